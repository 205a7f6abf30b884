// Every contestant, in the order of the tables.

import type { Duel } from '../harness/duel.ts';
import { naru } from './naru.ts';
import { postMessage } from './post-message.ts';
import { processSend } from './process-send.ts';
import { rawSocket } from './raw-socket.ts';
import { zeromq } from './zeromq.ts';

export const DUELS: readonly Duel[] = [...processSend, ...postMessage, ...zeromq, ...rawSocket, ...naru];

/** @throws when there is none with this id */
export function duelOf(id: string): Duel {
  const found = DUELS.find((duel) => duel.id === id);
  if (found === undefined) throw new Error(`no contestant "${id}"`);
  return found;
}
