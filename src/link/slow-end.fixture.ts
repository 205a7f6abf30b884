// A connection in memory whose bytes arrive when the test says so.

import { Duplex } from 'node:stream';

/** One end of a connection. */
export class SlowEnd extends Duplex {
  readonly #inbox: Buffer[] = [];
  #other: SlowEnd | undefined;

  /** The other end. */
  pair(): SlowEnd {
    const other = new SlowEnd();
    this.#other = other;
    other.#other = this;
    return other;
  }

  /** Hands over one piece of what the other end wrote. @returns whether there was one */
  deliver(): boolean {
    const chunk = this.#inbox.shift();
    if (chunk !== undefined && !this.destroyed) this.push(chunk);
    return chunk !== undefined;
  }

  override _read(): void {
    // deliver() pushes.
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    // A copy, as in a kernel: whoever wrote may use its memory again once this is done.
    if (this.#other !== undefined) this.#other.#inbox.push(Buffer.from(chunk));
    done();
  }

  override _final(done: () => void): void {
    done();
  }
}
