// The scenario `kernel`: the kernel's message queues through Naru's classes, against the same calls in C; and the ring in a mapped file,
// against the ring in shared memory.

import { BODY_BYTES } from '../harness/bodies.ts';
import { mappedFlows, mappedPings } from '../rivals/naru.ts';
import { kernelDuelId, kernelFlows, kernelWakes, posix, systemV } from '../rivals/naru-kernel.ts';
import {
  BRIDGE,
  bridgeFlow,
  POSIX_PLACE,
  posixPlaceFlow,
  SYSTEM_V_PLACE,
  systemVPlaceFlow,
} from '../rivals/naru-kernel-places.ts';
import { nodePipePing } from '../rivals/node-pipe.ts';
import { cDuel } from '../rivals/program.ts';
import { atLeast, atMost, noted } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Goal, Scenario } from './scenario.ts';
import type { Figures } from './goals.ts';

const SYSTEM_V_FLOW = 'c-kernel-sysv-flow';
const SYSTEM_V_WAKE = 'c-kernel-sysv-wake';
const POSIX_FLOW = 'c-kernel-posixmq-flow';
const POSIX_WAKE = 'c-kernel-posixmq-wake';
const PIPE_WAKE = 'node-pipe-kernel-wake';

const KINDS = [
  {
    kind: systemV,
    name: 'a System V queue',
    flow: SYSTEM_V_FLOW,
    ping: SYSTEM_V_WAKE,
    place: SYSTEM_V_PLACE,
  },
  { kind: posix, name: 'a POSIX queue', flow: POSIX_FLOW, ping: POSIX_WAKE, place: POSIX_PLACE },
];

function goalsOf({ kind, name, flow, ping, place }: (typeof KINDS)[number], figures: Figures): Goal[] {
  const ratio = (way: Parameters<typeof kernelDuelId>[1], rival: string): number | undefined =>
    figures.ratio(kernelDuelId(kind, way), rival);
  return [
    atLeast(`${name}, blocking calls, against C`, 0.5, ratio('sync', flow), '×'),
    atLeast(`${name}, async and batched, against C`, 0.35, ratio('batches', flow), '×'),
    noted(
      `${name} as a mailbox, against its class`,
      figures.ratio(place, kernelDuelId(kind, 'batches')),
      '×',
    ),
    atMost(`${name}, waking a thread, against C`, 1.3, ratio('thread-wake', ping), '×'),
    atMost(
      `${name}, waking an event loop, against Node's own raw pipe`,
      1.2,
      ratio('loop-wake', PIPE_WAKE),
      '×',
    ),
  ];
}

/** How many times as long a message takes through the file. */
function mappedCost(figures: Figures): number | undefined {
  return figures.ratio('naru-shm-sendMany-batches', 'naru-mmap-sendMany-batches');
}

export const kernel: Scenario = scenarioOf({
  name: 'kernel',
  summary:
    "the kernel's message queues through Naru's classes, against the same calls in C; the ring in a mapped file",
  title: "The kernel's queues",
  parts: [
    {
      id: 'flow',
      title: 'Messages a second',
      note: `Messages of ${BODY_BYTES} bytes from one process to another, through a queue as large as the kernel gives anybody: what
passes is bound by how often the two wake each other. The contestants in C make a system call for each message and look at both
ends of it, as all the others do. What the bridge moves comes from a program in C; the processor time is that program's and the
consumer's, without the bridge's own.`,
      unit: 'msg/s',
      duels: [
        cDuel('system-v', { id: SYSTEM_V_FLOW, label: 'msgsnd(), msgrcv(), C', kind: 'throughput' }),
        ...kernelFlows(systemV),
        systemVPlaceFlow,
        cDuel('posix-mq', { id: POSIX_FLOW, label: 'mq_send(), mq_receive(), C', kind: 'throughput' }),
        ...kernelFlows(posix),
        posixPlaceFlow,
        bridgeFlow,
      ],
    },
    {
      id: 'wake',
      title: 'A message and its answer, one at a time',
      note: `Round trips of ${BODY_BYTES} bytes between two processes over two queues. An event loop that waits for a System V queue has a
thread that sits in msgrcv(2), since such a queue cannot be watched: two wake-ups for each message. A thread that blocks through the
classes looks twenty times before it sleeps: where the answer comes that soon it has not slept, which those in C have.`,
      unit: 'µs',
      roundTrips: 12_000,
      duels: [
        cDuel('system-v', { id: SYSTEM_V_WAKE, label: 'msgsnd(), msgrcv(), C', kind: 'latency' }),
        cDuel('posix-mq', { id: POSIX_WAKE, label: 'mq_send(), mq_receive(), C', kind: 'latency' }),
        { ...nodePipePing, id: PIPE_WAKE },
        ...kernelWakes(systemV),
        ...kernelWakes(posix),
      ],
    },
    {
      id: 'mapped',
      title: 'The ring in a mapped file',
      note: `Messages of ${BODY_BYTES} bytes from one process to another, through the same ring: in memory (\`shm://\`), and in a file on the disk
that holds temporary files (\`mmap://\`), which the kernel writes back meanwhile.`,
      unit: 'msg/s',
      duels: mappedFlows,
    },
    {
      id: 'mapped-wake',
      title: 'A message and its answer through the ring',
      note: `Round trips of ${BODY_BYTES} bytes between two event loops over two mailboxes.`,
      unit: 'µs',
      roundTrips: 12_000,
      duels: mappedPings,
    },
  ],
  goals: (figures) => [
    ...KINDS.flatMap((kind) => goalsOf(kind, figures)),
    atMost('the ring in a mapped file, time a message, against shared memory', 1.2, mappedCost(figures), '×'),
    atMost(
      'the ring in a mapped file, a round trip, against shared memory',
      1.2,
      figures.ratio('naru-mmap-ping', 'naru-shm-ping'),
      '×',
    ),
    atLeast('naru bridge from a System V queue to shared memory', 300_000, figures.median(BRIDGE), 'msg/s'),
  ],
});
