// A message as a record of the log: the body is the message's bytes as the table has them (exchange and routing key, properties,
// body); note and stamp hold what recovery must know without reading it. docs/internals/broker-storage.md describes the layout.

/** Bytes of exchange, routing key and properties fit into so many bits. */
const HEAD_BITS = 22;
export const HEAD_BYTES_MAX: number = 2 ** HEAD_BITS - 1;

export interface MessageNote {
  readonly priority: number;
  /** False: a transient message that a clean stop or a quorum queue kept. */
  readonly persistent: boolean;
  /** The stamp is when the message expires, by its own ttl or its queues'; else when it came. */
  readonly hasTtl: boolean;
  readonly headBytes: number;
}

/** Bits from the lowest: bytes of the head 22, ttl 1, persistent 1, priority 8. */
export function packNote({ priority, persistent, hasTtl, headBytes }: MessageNote): number {
  const flags = (hasTtl ? 1 : 0) | (persistent ? 2 : 0) | (priority << 2);
  return ((flags << HEAD_BITS) | headBytes) >>> 0;
}

export function unpackNote(note: number): MessageNote {
  const flags = note >>> HEAD_BITS;
  return {
    priority: flags >>> 2,
    persistent: (flags & 2) !== 0,
    hasTtl: (flags & 1) !== 0,
    headBytes: note & HEAD_BYTES_MAX,
  };
}

/** How often a message came back, in the stamp of a record of its own: its note is the queue's stream, its body is empty. */
export function packReturns(sequence: number, returns: number): number {
  return sequence * 256 + Math.min(returns, 255);
}

export function unpackReturns(stamp: number): { readonly sequence: number; readonly returns: number } {
  return { sequence: Math.floor(stamp / 256), returns: stamp % 256 };
}

/** A record that a stream needs no more. */
export interface Removed {
  readonly stream: number;
  readonly sequence: number;
}

/** What a transaction removes, in the body of a record of its own: for each its stream and sequence as float64. */
export function packRemoved(all: readonly Removed[]): Uint8Array {
  const numbers = new Float64Array(all.length * 2);
  all.forEach(({ stream, sequence }, index) => {
    numbers[index * 2] = stream;
    numbers[index * 2 + 1] = sequence;
  });
  return new Uint8Array(numbers.buffer);
}

export function unpackRemoved(body: Uint8Array): Removed[] {
  const view = new DataView(body.buffer, body.byteOffset, body.length);
  const all: Removed[] = [];
  for (let at = 0; at + 16 <= body.length; at += 16) {
    all.push({ stream: view.getFloat64(at, true), sequence: view.getFloat64(at + 8, true) });
  }
  return all;
}
