// What FIFOs and pipes leave out of the suite, each rule with the reason.

import type { ConformanceSkip } from './options.ts';

const PEERS = 'the kernel tells whether an end is open, not who has it: who only holds it counts as a reader';
const HAND_OUT = 'receive() settles at hand-out, so that nack() is NARU_SETTLED before the place is asked';

/** For both places and both formats. */
export const PIPE_SKIPS: readonly ConformanceSkip[] = [
  { rule: 'life.4', reason: 'the size of a pipe is nobody’s: whoever has it open may change it at any time' },
  { rule: 'stats.3', reason: PEERS },
  { rule: 'death.6', reason: PEERS },
  {
    rule: 'death.9',
    reason: 'it belongs to nobody: a pipe lives while it is open, the name of a FIFO until it is removed',
  },
  { rule: 'lacking.ack', reason: HAND_OUT },
  { rule: 'lacking.requeue', reason: HAND_OUT },
];

/** Raw, when several may write. */
export const SEVERAL_RAW_SKIPS: readonly ConformanceSkip[] = [
  { rule: 'full.8', reason: 'its 6,000 bytes are more than PIPE_BUF, and so refused' },
];
