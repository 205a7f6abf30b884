// The real clock, as the store wants it.

import { turnTime } from '../mailbox/waiting.ts';
import type { Clock } from '../store/types.ts';

const TIMER_MS_MAX = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => performance.now(),
  recent: turnTime,
  schedule(atMs, fn) {
    let timer: NodeJS.Timeout;
    const arm = (): void => {
      const leftMs = Math.ceil(atMs - performance.now());
      timer = setTimeout(
        leftMs > TIMER_MS_MAX ? arm : fn,
        Math.min(Math.max(leftMs, 0), TIMER_MS_MAX),
      ).unref();
    };
    arm();
    return () => clearTimeout(timer);
  },
};
