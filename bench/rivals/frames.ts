// Length-prefixed frames over a stream, written as a careful engineer would for this one purpose: four bytes of length, then
// the body. The rivals `raw-socket` are made of it; Naru does not use it.

import type { Socket } from 'node:net';

const PREFIX_BYTES = 4;
/** One write of the batching writer, and about what one read returns. */
const CHUNK_BYTES = 64 * 1024;
/** A frame longer than this is refused. */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;

/** Writes the length and the body. @returns where the next frame starts */
function putFrame(target: Buffer, at: number, body: Uint8Array): number {
  const length = body.byteLength;
  target[at] = length;
  target[at + 1] = length >>> 8;
  target[at + 2] = length >>> 16;
  target[at + 3] = length >>> 24;
  target.set(body, at + PREFIX_BYTES);
  return at + PREFIX_BYTES + length;
}

/** Waits for `drain` where the socket asked for it, and for nothing else. */
function whenWritable(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('drain', () => {
      socket.off('error', reject);
      resolve();
    });
  });
}

/** One write for each frame. */
export async function writeEach(
  socket: Socket,
  count: number,
  make: (sequence: number) => Uint8Array,
): Promise<void> {
  for (let sequence = 0; sequence < count; sequence += 1) {
    const body = make(sequence);
    const frame = Buffer.allocUnsafe(PREFIX_BYTES + body.byteLength);
    putFrame(frame, 0, body);
    if (!socket.write(frame)) await whenWritable(socket);
  }
}

/** One write for as many frames as 64 KiB hold; buffers are used again once they are written. */
export async function writeBatched(
  socket: Socket,
  count: number,
  make: (sequence: number) => Uint8Array,
): Promise<void> {
  const free: Buffer[] = [];
  for (let sequence = 0; sequence < count; ) {
    const chunk = free.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    let at = 0;
    while (sequence < count) {
      const body = make(sequence);
      if (at + PREFIX_BYTES + body.byteLength > CHUNK_BYTES) break;
      at = putFrame(chunk, at, body);
      sequence += 1;
    }
    const hasRoom = socket.write(chunk.subarray(0, at), () => free.push(chunk));
    if (!hasRoom) await whenWritable(socket);
  }
}

/** Cuts what comes into bodies: views of the chunks that were read; only a body cut in two is copied. */
export class FrameReader {
  readonly #give: (body: Uint8Array) => void;
  #rest: Buffer | undefined;

  constructor(give: (body: Uint8Array) => void) {
    this.#give = give;
  }

  push(chunk: Buffer): void {
    let at = this.#rest === undefined ? 0 : this.#complete(this.#rest, chunk);
    const end = chunk.length;
    while (at + PREFIX_BYTES <= end) {
      const length = lengthAt(chunk, at);
      const next = at + PREFIX_BYTES + length;
      if (next > end) break;
      this.#give(new Uint8Array(chunk.buffer, chunk.byteOffset + at + PREFIX_BYTES, length));
      at = next;
    }
    if (at < end) this.#rest = chunk.subarray(at);
  }

  /** Ends the frame that began in an earlier chunk. @returns how much of this chunk it took */
  #complete(rest: Buffer, chunk: Buffer): number {
    this.#rest = undefined;
    const head = rest.length >= PREFIX_BYTES ? rest : Buffer.concat([rest, chunk.subarray(0, PREFIX_BYTES)]);
    const needed =
      head.length < PREFIX_BYTES
        ? PREFIX_BYTES - rest.length
        : PREFIX_BYTES + lengthAt(head, 0) - rest.length;
    const frame = Buffer.concat([rest, chunk.subarray(0, needed)]);
    if (head.length < PREFIX_BYTES || chunk.length < needed) {
      this.#rest = frame;
      return chunk.length;
    }
    this.#give(new Uint8Array(frame.buffer, frame.byteOffset + PREFIX_BYTES, frame.length - PREFIX_BYTES));
    return needed;
  }
}

function lengthAt(chunk: Buffer, at: number): number {
  const length = chunk.readUInt32LE(at);
  if (length > FRAME_BYTES_MAX)
    throw new Error(`a frame of ${length} bytes, the limit is ${FRAME_BYTES_MAX}`);
  return length;
}
