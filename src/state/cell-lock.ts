// The lock that every shared value and array has beside it, made at its first use.

import { Lock } from '../sync/lock.ts';
import type { CellDriver } from './cells.ts';

export class CellLock {
  readonly #driver: CellDriver;
  #lock: Lock | undefined;

  constructor(driver: CellDriver) {
    this.#driver = driver;
  }

  get lock(): Lock {
    this.#lock ??= this.#open();
    return this.#lock;
  }

  async close(): Promise<void> {
    await this.#lock?.close();
  }

  #open(): Lock {
    const lock: Lock = new Lock(
      this.#driver.openLock({ ready: () => lock.ready(), failed: (error) => lock.failed(error) }),
      false,
    );
    return lock;
  }
}
