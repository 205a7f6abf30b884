// Real time for the store: monotonic, with timers that keep no process alive.

import { turnTime } from '../../mailbox/waiting.ts';
import type { Clock } from '../../store/types.ts';

/** What setTimeout() can wait at most. */
const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  recent: turnTime,
  schedule(atMs, fn) {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = Math.min(Math.max(Math.ceil(atMs - performance.now()), 1), TIMER_MS_MAX);
      timer = setTimeout(() => (performance.now() < atMs ? arm() : fn()), leftMs).unref();
    };
    arm();
    return () => clearTimeout(timer);
  },
};
