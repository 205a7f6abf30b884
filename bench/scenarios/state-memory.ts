// The parts of the scenario `state` that are about values and maps in shared memory, and about a Manager's map.

import { naruManagerMany, naruManagerOne } from '../rivals/naru-manager.ts';
import { naruMapGet, naruMapSet } from '../rivals/naru-maps.ts';
import { bareAdd32, bareAdd64, naruAdd32, naruAdd64 } from '../rivals/naru-values.ts';
import { postMessageGet, postMessageSet } from '../rivals/post-message-map.ts';
import { pythonDuel } from '../rivals/python.ts';
import { atLeast, atMost, type Figures, noted } from './goals.ts';
import type { PlannedPart } from './plan.ts';
import type { Goal } from './scenario.ts';

const PYTHON_ADD = 'python-value-add';
const PYTHON_GET = 'python-manager-get';

export const memoryParts: readonly PlannedPart[] = [
  {
    id: 'value-add',
    title: 'Adding to a number that processes share',
    note: `One thread, a thousand additions between two looks at the clock. Naru's refuses what would leave the type; the bare ones wrap. Python's
is \`with value.get_lock(): value.value += 1\`: without the lock it loses.`,
    unit: 'ns',
    trip: 'addition',
    roundTrips: 300_000,
    duels: [
      naruAdd32,
      bareAdd32,
      naruAdd64,
      bareAdd64,
      pythonDuel('value', { id: PYTHON_ADD, label: "Python's multiprocessing.Value", kind: 'latency' }),
    ],
  },
  {
    id: 'map-get',
    title: 'Reading a map that two processes share',
    note: `Values of 32 bytes, 1,000 keys; both processes read as fast as they can, a "message" is one get of either. The worker answers a
hundred questions at a time. A Manager, Naru's or Python's, is a third process; Python's proxies ask one question at a time.`,
    unit: 'msg/s',
    duels: [
      naruMapGet,
      postMessageGet,
      naruManagerMany,
      naruManagerOne,
      pythonDuel('manager', { id: PYTHON_GET, label: "Python's Manager().dict()", kind: 'throughput' }),
    ],
  },
  {
    id: 'map-set',
    title: 'Writing a map that two processes share',
    note: 'The same, with a set of 32 bytes of an entry that exists.',
    unit: 'msg/s',
    duels: [naruMapSet, postMessageSet],
  },
];

export function memoryGoals(figures: Figures): Goal[] {
  return [
    atMost(
      'adding to an i32, against a bare Atomics.add()',
      2,
      figures.ratio(naruAdd32.id, bareAdd32.id),
      '×',
    ),
    atMost(
      'adding to an i64, against a bare Atomics.add()',
      2,
      figures.ratio(naruAdd64.id, bareAdd64.id),
      '×',
    ),
    atLeast('gets of two processes, 32 bytes', 3e6, figures.median(naruMapGet.id), 'msg/s'),
    atLeast('sets of two processes, 32 bytes', 1.5e6, figures.median(naruMapSet.id), 'msg/s'),
    noted("… gets against Python's Manager", figures.ratio(naruMapGet.id, PYTHON_GET), '×'),
    atLeast(
      "gets from a Manager, against Python's Manager dict",
      10,
      figures.ratio(naruManagerMany.id, PYTHON_GET),
      '×',
    ),
    noted('… one at a time', figures.ratio(naruManagerOne.id, PYTHON_GET), '×'),
  ];
}
