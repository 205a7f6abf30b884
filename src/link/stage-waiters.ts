// Who waits until a message of this process has reached a stage in the contents of its host.

import { NaruError } from '../errors/index.ts';
import { Deque } from '../store/deque.ts';
import type { Stage, Stages } from './contents.ts';
import type { Host } from './host.ts';

/** Somebody who waits for messages that were taken one after the other. */
interface Waiter {
  /** The last of them. */
  number: number;
  count: number;
  readonly done: (error?: Error) => void;
}

/** So many messages hear of their stage together. */
const TOGETHER_MAX = 256;

export class StageWaiters {
  readonly #host: Host;
  readonly #stages: Stages;
  readonly #hold: (isWaiting: boolean) => void;
  /** The last that came, by stage. */
  readonly #newest: Record<Stage, Waiter | undefined> = { placed: undefined, durable: undefined };
  readonly #waiters: Readonly<Record<Stage, Deque<Waiter>>> = { placed: new Deque(), durable: new Deque() };
  readonly #onAdvanced = (): void => {
    this.#answer('placed');
    this.#answer('durable');
    this.#hold(this.#isAwaited());
  };

  /** @param hold  somebody waits, or nobody any more */
  constructor(host: Host, hold: (isWaiting: boolean) => void) {
    if (host.stages === undefined) throw new TypeError('these contents have no stages');
    this.#host = host;
    this.#stages = host.stages;
    this.#hold = hold;
    host.advanced.add(this.#onAdvanced);
  }

  /** Calls `done` when the message that the contents took last has reached the stage. Never at once. */
  wait(stage: Stage, done: (error?: Error) => void): void {
    const { taken } = this.#stages;
    const newest = this.#newest[stage];
    // A list is sent with one function for all of it.
    if (newest?.done === done && newest.number === taken - 1 && newest.count < TOGETHER_MAX) {
      newest.number = taken;
      newest.count += 1;
      return;
    }
    if (!this.#isAwaited()) this.#hold(true);
    const waiter = { number: taken, count: 1, done };
    this.#waiters[stage].push(waiter);
    this.#newest[stage] = waiter;
  }

  /** Resolves when everything that was taken is placed, and durable as far as somebody waits for that. */
  async close(): Promise<void> {
    try {
      await this.#stages.flush(this.#waiters.durable.size > 0 ? 'durable' : 'placed');
      this.#onAdvanced();
    } catch {
      // They hear it below.
    }
    this.fail();
  }

  /** Nobody will know. */
  fail(): void {
    this.#host.advanced.delete(this.#onAdvanced);
    const text = `${this.#host.mailbox}: the mailbox closed before the receipt came: the message may or may not be there`;
    for (const waiters of Object.values(this.#waiters)) {
      for (let waiter = waiters.shift(); waiter !== undefined; waiter = waiters.shift()) {
        const { done, count } = waiter;
        process.nextTick(() => {
          for (let index = 0; index < count; index += 1) {
            done(new NaruError('NARU_OUTCOME_UNKNOWN', text, this.#host));
          }
        });
      }
    }
    this.#hold(false);
  }

  #isAwaited(): boolean {
    return this.#waiters.placed.size > 0 || this.#waiters.durable.size > 0;
  }

  #answer(stage: Stage): void {
    const waiters = this.#waiters[stage];
    const reached = this.#stages[stage];
    for (
      let waiter = waiters.front();
      waiter !== undefined && waiter.number <= reached;
      waiter = waiters.front()
    ) {
      waiters.shift();
      if (waiter === this.#newest[stage]) this.#newest[stage] = undefined;
      for (let index = 0; index < waiter.count; index += 1) waiter.done();
    }
  }
}
