// The driver's line back to its mailbox. A driver may call before the mailbox exists (while it opens); such calls are kept.

import type { Delivery, DriverEvents, DriverHooks } from './driver.ts';

/** Passes every call on to a target that is bound later. */
export class HookRelay implements DriverHooks {
  #target: DriverHooks | undefined;
  #early: ((target: DriverHooks) => void)[] = [];

  bind(target: DriverHooks): void {
    this.#target = target;
    for (const call of this.#early) call(target);
    this.#early = [];
  }

  readable(): void {
    this.#target?.readable();
  }

  writable(): void {
    this.#target?.writable();
  }

  peers(): void {
    this.#target?.peers();
  }

  reply(delivery: Delivery): void {
    this.#target?.reply(delivery);
  }

  event<K extends keyof DriverEvents>(type: K, detail: DriverEvents[K]): void {
    this.#later((target) => target.event(type, detail));
  }

  failed(error: Error): void {
    this.#later((target) => target.failed(error));
  }

  #later(call: (target: DriverHooks) => void): void {
    if (this.#target === undefined) this.#early.push(call);
    else call(this.#target);
  }
}
