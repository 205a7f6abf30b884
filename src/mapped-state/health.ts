// Whether the mapped memory of a handle may be touched: it was not closed, the object was not removed, nobody truncated the file.
// Asked before every operation, so it has to cost nothing: the answer holds for one turn of the event loop.

import { NaruError } from '../errors/index.ts';
import { CLOSED } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import type { StatePart } from './attach.ts';
import { STATE_HEADER } from './layout.ts';
import { isWhole } from '../mapped-ring/object-file.ts';

export class Health {
  /** True: go ahead. False: call look() first. */
  isFresh = false;
  readonly #part: StatePart;
  #error: NaruError | undefined;
  readonly #forget = (): void => {
    this.isFresh = false;
  };

  constructor(part: StatePart) {
    this.#part = part;
  }

  /** Looks whether the object is still what it was. @throws NARU_CLOSED, NARU_PEER_GONE, NARU_CORRUPT */
  look(): void {
    if (this.isFresh) return;
    if (this.#error !== undefined) throw this.#error;
    const error = this.#findError();
    if (error !== undefined) {
      this.#error = error;
      throw error;
    }
    this.isFresh = true;
    setImmediate(this.#forget);
  }

  /** Every call fails from now on. */
  close(): void {
    this.isFresh = false;
    this.#error ??= this.#fault('NARU_CLOSED', 'this handle was closed');
  }

  /** Whether the memory may not be touched any more. */
  get isLost(): boolean {
    return this.#error !== undefined;
  }

  #findError(): NaruError | undefined {
    const { object, edges } = this.#part;
    if (!isWhole(object, edges))
      return this.#fault('NARU_CORRUPT', 'its file was truncated; remove it with "naru rm"');
    const closed = Atomics.load(object.memory.words, headerWord(STATE_HEADER.closed));
    if (closed === CLOSED.open) return undefined;
    return closed === CLOSED.ownerGone
      ? this.#fault('NARU_PEER_GONE', 'the process that owned it is dead')
      : this.#fault('NARU_CLOSED', 'it was removed, or closed by its owner');
  }

  #fault(code: 'NARU_CLOSED' | 'NARU_CORRUPT' | 'NARU_PEER_GONE', what: string): NaruError {
    const { request, site } = this.#part;
    return new NaruError(code, `${request.text}: ${what}`, { place: site.place, mailbox: request.text });
  }
}
