// The contestants of the scenario `mailbox`, in the order of its tables. The other scenarios name theirs themselves.

import type { Duel } from '../harness/duel.ts';
import { naru } from './naru.ts';
import { postMessage } from './post-message.ts';
import { processSend } from './process-send.ts';
import { rawSocket } from './raw-socket.ts';
import { zeromq } from './zeromq.ts';

export const MAILBOX_DUELS: readonly Duel[] = [
  ...processSend,
  ...postMessage,
  ...zeromq,
  ...rawSocket,
  ...naru,
];
