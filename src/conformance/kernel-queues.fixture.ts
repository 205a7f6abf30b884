// What the kernel's queues leave out of the suite, each rule with the reason.

import type { ConformanceOptions, ConformanceSkip } from './options.ts';

const PEERS = 'the kernel does not say who uses a queue: nobody is seen to come or go';
const NOBODY = 'the kernel does not say whether anybody reads a queue: only nobody "keep" is taken';
const RELATION = 'relation is advisory: the kernel keeps no seats';
const HAND_OUT = 'receive() settles at hand-out, so that nack() is NARU_SETTLED before the place is asked';

/** For both formats of every queue. */
export const QUEUE_SKIPS: readonly ConformanceSkip[] = [
  { rule: 'life.12', reason: RELATION },
  { rule: 'life.13', reason: RELATION },
  { rule: 'nobody.2', reason: NOBODY },
  { rule: 'nobody.3', reason: NOBODY },
  { rule: 'nobody.4', reason: NOBODY },
  { rule: 'nobody.6', reason: PEERS },
  { rule: 'stats.3', reason: PEERS },
  { rule: 'death.6', reason: PEERS },
  { rule: 'death.9', reason: 'the owner is the system: a queue lives until it is removed' },
  { rule: 'lacking.ack', reason: HAND_OUT },
  { rule: 'lacking.requeue', reason: HAND_OUT },
];

/** With envelopes, at the limits a kernel has by default. */
export const ENVELOPE_SKIPS: readonly ConformanceSkip[] = [
  { rule: 'format.6', reason: 'its longest texts, four times 2,000 characters, are more than a queue takes' },
  { rule: 'sendmany.3', reason: 'a queue is smaller than what it sends before anybody receives' },
];

/** The run with what Naru adds on request, and the rules that are about it. */
export const EMULATED: Pick<ConformanceOptions, 'open' | 'only'> = {
  open: { emulate: ['reply', 'ttl'] },
  only: ['requests', 'time', 'lacking.several'],
};
