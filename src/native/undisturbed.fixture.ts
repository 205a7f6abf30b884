// A clock for what is measured in tests on a machine that others use too.

import { readFileSync } from 'node:fs';

/**
 * Milliseconds, without those in which this process's main thread could have run and had no processor: differences do not depend on what
 * else the machine does. proc_pid_schedstat: time on a processor, time waiting for one, in nanoseconds.
 */
export function undisturbedMs(): number {
  const [, waited] = readFileSync('/proc/self/schedstat', 'utf8').split(' ').map(Number);
  return performance.now() - (waited ?? Number.NaN) / 1e6;
}
