// The scenario `wake`: what it takes to wake somebody who sleeps, as a thread and as an event loop.

import { BODY_BYTES } from '../harness/bodies.ts';
import { naruWake } from '../rivals/naru-wake.ts';
import { nodePipePing } from '../rivals/node-pipe.ts';
import { cDuel } from '../rivals/program.ts';
import { atMost, noted } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

const FUTEX = 'c-futex-wake';
const PIPE = 'c-pipe-wake';

export const wake: Scenario = scenarioOf({
  name: 'wake',
  summary: 'waking a parked thread and a parked event loop, against a futex, a pipe and a raw pipe in Node',
  title: 'Waking somebody who sleeps',
  parts: [
    {
      id: 'wake',
      title: 'A message and its answer, both sides asleep in between',
      note: `Round trips of ${BODY_BYTES} bytes between two processes. Naru neither spins nor yields here
(\`wait: { spinMicros: 0, yields: 0 }\`), so that each side parks before each message; its messages are encoded, written, read,
acked and decoded. The futex carries no data. On a machine whose cores sleep deeply all of them are slower.`,
      unit: 'µs',
      roundTrips: 12_000,
      duels: [
        cDuel('futex', { id: FUTEX, label: 'futex, C', kind: 'latency' }),
        cDuel('pipe', { id: PIPE, label: 'pipe, C', kind: 'latency' }),
        nodePipePing,
        ...naruWake,
      ],
    },
  ],
  goals(figures) {
    const loop = 'naru-shm-loop-wake';
    return [
      atMost(
        'a parked worker thread against a futex in C',
        1.3,
        figures.ratio('naru-shm-thread-wake', FUTEX),
        '×',
      ),
      atMost(
        'a parked main thread against a futex in C',
        1.3,
        figures.ratio('naru-shm-main-wake', FUTEX),
        '×',
      ),
      atMost(
        "a parked event loop against Node's own raw pipe",
        1.2,
        figures.ratio(loop, nodePipePing.id),
        '×',
      ),
      noted('a parked event loop against a pipe in C', figures.ratio(loop, PIPE), '×'),
    ];
  },
});
