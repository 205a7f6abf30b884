// The host's end of a link over HTTP: what it says goes into one answer that does not end, what the handle says comes in pieces.

import type { ServerResponse } from 'node:http';
import { Duplex } from 'node:stream';
import { NaruError } from '../../errors/index.ts';

type Done = (error?: Error | null) => void;

export class HttpHostStream extends Duplex {
  readonly #response: ServerResponse;
  #received = 0;
  #hungry: (() => void) | undefined;
  #isFull = false;

  constructor(response: ServerResponse) {
    super({ allowHalfOpen: true });
    this.#response = response;
    response.on('error', () => undefined);
    response.once('close', () => {
      this.push(null);
      this.destroy();
    });
  }

  /**
   * A part of what the handle says. Resolves when more may come.
   * @param offset  bytes of the stream before it
   * @throws NARU_CORRUPT  what comes before it is missing
   */
  async feed(offset: number, bytes: Buffer): Promise<void> {
    if (offset > this.#received) {
      const text = `a piece of the link begins at byte ${offset}, expected is ${this.#received}`;
      throw new NaruError('NARU_CORRUPT', text, { place: 'http' });
    }
    // What came before is sent again because its answer was lost.
    const news = bytes.subarray(Math.min(this.#received - offset, bytes.length));
    this.#received += news.length;
    if (news.length === 0 || this.destroyed) return;
    this.#isFull = !this.push(news);
    if (!this.#isFull) return;
    await new Promise<void>((resolve) => {
      this.#hungry = resolve;
    });
  }

  override _read(): void {
    this.#isFull = false;
    this.#wake();
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: Done): void {
    // Kept by nobody once it is called back: the writer uses the memory again.
    this.#response.write(bytes, done);
  }

  override _final(done: Done): void {
    this.#response.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#wake();
    this.#response.destroy();
    done(error);
  }

  #wake(): void {
    this.#hungry?.();
    this.#hungry = undefined;
  }
}
