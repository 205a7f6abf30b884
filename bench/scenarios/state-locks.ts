// The locks of the scenario `state`: one that nobody else wants, and two processes that want nothing else.

import { bareSwaps, naruLockAlone, naruLockShared } from '../rivals/naru-lock.ts';
import { pythonDuel } from '../rivals/python.ts';
import { atLeast, atMost, type Figures, noted } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

const PYTHON_ALONE = 'python-lock-alone';
const PYTHON_TWO = 'python-lock-two';
const NS_PER_US = 1000;

export const lockParts: readonly PlannedPart[] = [
  {
    id: 'lock-alone',
    title: 'Taking a lock that nobody else wants, and letting go',
    note: `One thread, a hundred pairs between two looks at the clock. Naru's lock knows its holder and goes to the next one when that one dies;
the bare word does neither; Python's is a POSIX semaphore.`,
    unit: 'ns',
    trip: 'pair',
    roundTrips: 300_000,
    duels: [
      naruLockAlone,
      bareSwaps,
      pythonDuel('lock', { id: PYTHON_ALONE, label: "Python's multiprocessing.Lock", kind: 'latency' }),
    ],
  },
  {
    id: 'lock-two',
    title: 'Two processes that want nothing but the lock',
    note: `Each adds to a number in shared memory, under the lock, until a total is reached; a "message" is one critical section of either. Both
spin before they sleep: on a machine whose processors have other things to do, one of them sleeps more often.`,
    unit: 'msg/s',
    duels: [
      naruLockShared,
      // So many that both run: what one does before the other has begun is quick, and tells nothing.
      pythonDuel('lock', {
        id: PYTHON_TWO,
        label: "Python's multiprocessing.Lock",
        kind: 'throughput',
        firstCount: 100_000,
      }),
    ],
  },
];

export function lockGoals(figures: Figures): readonly Goal[] {
  const ns = (id: string): number | undefined => {
    const median = figures.median(id);
    return median === undefined ? undefined : median * NS_PER_US;
  };
  return [
    atMost('taking a lock that nobody else wants and letting go', 150, ns(naruLockAlone.id), 'ns'),
    atLeast(
      'critical sections of two processes that contend',
      1e6,
      figures.median(naruLockShared.id),
      'msg/s',
    ),
    noted("… against Python's", figures.ratio(naruLockShared.id, PYTHON_TWO), '×'),
  ];
}
