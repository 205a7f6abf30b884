// Gathers messages into a batch: each is encoded where it stays, in memory that consumers are given views of.

import { type Chunk, chunkOf } from '../wire/splitter.ts';
import { Batch, BATCH_MESSAGES_MAX, ENTRY_BYTES } from './batch.ts';

/** Bytes of a batch at most, unless it is one message. */
const BATCH_BYTES_MAX = 64 << 10;
/** Batches share a piece of memory. */
const SLAB_BYTES = 256 << 10;
/** Longest name of a sender that is kept, in bytes. */
const SENDER_BYTES_MAX = 255;

export class BatchWriter {
  #chunk: Chunk = chunkOf(Buffer.alloc(0));
  #used = 0;
  #start = 0;
  #places: number[] = [];
  #senders: string[] = [];
  #sender: string | undefined;
  /** The name of that sender, as it is written once a batch. */
  #name: Uint8Array = new Uint8Array();
  #nameOf: string | undefined;

  /** Messages of the batch so far. */
  get count(): number {
    return this.#senders.length;
  }

  /** Where messages are written. */
  get chunk(): Chunk {
    return this.#chunk;
  }

  /** Whether a message of so many bytes belongs into the same batch. */
  hasRoomFor(length: number): boolean {
    if (this.count === 0) return true;
    const used = this.#used + ENTRY_BYTES + 1 + SENDER_BYTES_MAX + length;
    const isShort = used - this.#start <= BATCH_BYTES_MAX && used <= this.#chunk.bytes.length;
    return isShort && this.count < BATCH_MESSAGES_MAX;
  }

  /** One more message. @returns where in `chunk` its bytes must be written now */
  add(sender: string, length: number): number {
    if (this.count === 0) this.#begin(length);
    const { bytes, view } = this.#chunk;
    const isNew = sender !== this.#sender;
    let at = this.#used;
    view.setUint32(at, length * 2 + (isNew ? 1 : 0), true);
    at += ENTRY_BYTES;
    if (isNew) {
      const name = this.#nameBytes(sender);
      bytes[at] = name.length;
      bytes.set(name, at + 1);
      at += 1 + name.length;
      this.#sender = sender;
    }
    this.#places.push(at, length);
    this.#senders.push(sender);
    this.#used = at + length;
    return at;
  }

  /** The batch is complete. @returns it, and the bytes of its record */
  take(first: number): { readonly batch: Batch; readonly body: Uint8Array } {
    const { buffer, byteOffset } = this.#chunk;
    const bytes = this.#used - this.#start;
    const body = new Uint8Array(buffer, byteOffset + this.#start, bytes);
    const batch = new Batch(first, bytes, this.#chunk, this.#places, this.#senders);
    this.#places = [];
    this.#senders = [];
    this.#sender = undefined;
    return { batch, body };
  }

  #begin(length: number): void {
    const needed = ENTRY_BYTES + 1 + SENDER_BYTES_MAX + length;
    if (this.#used + needed > this.#chunk.bytes.length) {
      this.#chunk = chunkOf(Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, needed)));
      this.#used = 0;
    }
    this.#start = this.#used;
  }

  #nameBytes(sender: string): Uint8Array {
    if (this.#nameOf !== sender) {
      this.#name = Buffer.from(sender, 'utf8').subarray(0, SENDER_BYTES_MAX);
      this.#nameOf = sender;
    }
    return this.#name;
  }
}
