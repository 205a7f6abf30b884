// The scenario `ring`: the ring by itself against the same ring in C and against what the kernel has, driven from C.

import { BODY_BYTES } from '../harness/bodies.ts';
import { cDuel } from '../rivals/program.ts';
import { iceoryx2 } from '../rivals/iceoryx2.ts';
import { naruRingFlow, naruRingPing } from '../rivals/naru-ring.ts';
import { naruTry } from '../rivals/naru-try.ts';
import { processSend } from '../rivals/process-send.ts';
import { atLeast, atMost, noted } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { PlannedPart } from './plan.ts';
import type { Scenario } from './scenario.ts';

/** Whole mailboxes with seats, doorbells and envelopes, where the ring in C has lanes and bodies alone. */
const CLIENT = 'naru_ring.h, the C client of shm://';

const handoff: PlannedPart = {
  id: 'handoff',
  title: 'Handoff: one way to a consumer that is looking, by ping-pong',
  note: `Half a round trip between two processes that both spin, synchronous, one look at the clock for 100 round trips; p50 and
p99 are over these hundreds. The payload is written by one side, copied out and read at both ends by the other, and acked. In
iceoryx2 and in the C client of shm:// the receiver reads it in place.`,
  unit: 'ns',
  trip: 'one way',
  roundTrips: 600_000,
  duels: [
    naruRingPing,
    cDuel('ring', { id: 'c-ring-handoff', label: 'the same ring in C', kind: 'latency', ways: 2 }),
    cDuel('ring-client', { id: 'c-client-handoff', label: CLIENT, kind: 'latency', ways: 2 }),
    iceoryx2('ping'),
  ],
};

const burst: PlannedPart = {
  id: 'burst',
  title: 'Bursts: messages per second',
  note: `One producer, one consumer, two processes. The rings publish and ack up to 256 messages at a time and spin; the kernel's
queues, pipe and socket take one call for each message and wait in the kernel. Every body is written by the producer, read at both
ends by the consumer, and checked for its order. The C client and the ring "with envelopes" write 88 bytes a message and read it in
place; the bare ring writes 72 and copies the body out. The POSIX queue has the length that the kernel allows anybody.`,
  unit: 'msg/s',
  anchor: { id: 'system-v', label: 'System V' },
  duels: [
    naruRingFlow,
    cDuel('ring', {
      id: 'c-ring-burst',
      label: 'the same ring in C',
      kind: 'throughput',
      firstCount: 100_000,
    }),
    cDuel('ring-envelopes', {
      id: 'c-envelopes-burst',
      label: 'the same ring in C with envelopes, in place',
      kind: 'throughput',
      firstCount: 100_000,
    }),
    cDuel('ring-client', {
      id: 'c-client-burst',
      label: CLIENT,
      kind: 'throughput',
      firstCount: 100_000,
    }),
    iceoryx2('flow'),
    cDuel('system-v', { id: 'system-v', label: 'System V queue, C', kind: 'throughput' }),
    cDuel('posix-mq', { id: 'posix-mq', label: 'POSIX queue, C', kind: 'throughput' }),
    cDuel('pipe', { id: 'c-pipe', label: 'pipe, C', kind: 'throughput' }),
    cDuel('unix-seqpacket', { id: 'c-seqpacket', label: 'Unix socket (seqpacket), C', kind: 'throughput' }),
    ...processSend.filter(({ kind }) => kind === 'throughput'),
  ],
};

const rounds: PlannedPart = {
  id: 'try',
  title: 'The public class where nobody waits: a message sent and received in one thread',
  note: 'trySend() on one handle, tryReceive() on another of the same process: 100 rounds for each look at the clock.',
  unit: 'ns',
  trip: 'round',
  roundTrips: 600_000,
  duels: [naruTry],
};

export const ring: Scenario = scenarioOf({
  name: 'ring',
  summary: 'the ring by itself: handoff and bursts against C, kernel queues, pipe, socket, iceoryx2',
  title: `The ring, ${BODY_BYTES}-byte messages`,
  parts: [handoff, burst, rounds],
  goals(figures) {
    const own = naruRingFlow.id;
    const tryMicros = figures.median(naruTry.id);
    return [
      atMost(
        'handoff against the same ring in C',
        1.3,
        figures.ratio(naruRingPing.id, 'c-ring-handoff'),
        '×',
      ),
      atMost(
        'bursts of the C client against the same ring in C',
        1.1,
        figures.ratio('c-ring-burst', 'c-client-burst'),
        '×',
      ),
      noted(
        'bursts of the C client against the ring in C with envelopes, in place',
        figures.ratio('c-envelopes-burst', 'c-client-burst'),
        '×',
      ),
      atLeast('bursts', 20e6, figures.median(own), 'msg/s'),
      atLeast('bursts against the same ring in C', 0.5, figures.ratio(own, 'c-ring-burst'), '×'),
      atLeast('bursts against a System V queue driven from C', 15, figures.ratio(own, 'system-v'), '×'),
      atMost(
        'trySend() and tryReceive() of one message',
        400,
        tryMicros === undefined ? undefined : tryMicros * 1000,
        'ns',
      ),
    ];
  },
});
