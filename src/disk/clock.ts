// The real clock, as the log wants it.

import type { LogClock } from '../log/index.ts';

export const logClock: LogClock = {
  now: () => performance.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms).unref();
    return () => clearTimeout(timer);
  },
};
