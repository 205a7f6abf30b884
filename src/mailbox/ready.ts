// Waiting until the other side is there: what slow joiners lack elsewhere.

import type { Driver } from './driver.ts';
import { watchLimits, type WaitLimits } from './waiting.ts';

/** How many must be attached, by all processes together. */
export interface ReadyOptions extends WaitLimits {
  /** Default 0. */
  readonly producers?: number;
  /** Default 0. */
  readonly consumers?: number;
}

/** Some places learn of peers only when they look: how often to look, in milliseconds. Also keeps the process alive. */
const LOOK_MS = 100;

/** The waits of one handle. */
export class PeerWaits {
  readonly #driver: Driver;
  readonly #mailbox: string;
  readonly #failure: () => Error | undefined;
  readonly #checks = new Set<() => void>();

  /** @param failure  the error to reject with, once there is one */
  constructor(driver: Driver, mailbox: string, failure: () => Error | undefined) {
    this.#driver = driver;
    this.#mailbox = mailbox;
    this.#failure = failure;
  }

  /** The numbers of peers may have changed, or the handle ends. */
  check(): void {
    for (const check of this.#checks) check();
  }

  wait(options: ReadyOptions): Promise<void> {
    const { producers = 0, consumers = 0 } = options;
    const isReady = (): boolean => {
      const { peers } = this.#driver;
      return peers.producers >= producers && peers.consumers >= consumers;
    };
    if (isReady()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearInterval(timer);
        stop();
        this.#checks.delete(check);
      };
      const check = (): void => {
        const error = this.#failure();
        if (error === undefined && !isReady()) return;
        finish();
        if (error === undefined) resolve();
        else reject(error);
      };
      const timer = setInterval(check, LOOK_MS);
      const stop = watchLimits(options, 'the peers did not come', this.#mailbox, (error) => {
        finish();
        reject(error);
      });
      this.#checks.add(check);
    });
  }
}
