// The program of a peer in a worker thread or a child process: takes commands from the test and answers each. Started by
// peers.ts, which also says what a command looks like on the way.

import { parentPort } from 'node:worker_threads';
import { isNaruError } from '../errors/index.ts';
import { PeerSession } from './peer-session.ts';
import type { PeerAnswer, PeerCall, PeerFault } from './peers.ts';

const session = new PeerSession();

const post = (message: PeerAnswer): void => {
  if (parentPort === null) process.send?.(message);
  else parentPort.postMessage(message);
};

async function answer(call: PeerCall): Promise<void> {
  const { id, command, args } = call;
  if (command === 'leave') {
    leave(id);
    return;
  }
  try {
    const act = session[command] as (...values: readonly unknown[]) => Promise<unknown>;
    post({ id, value: await act.apply(session, [...args]) });
  } catch (error) {
    post({ id, fault: describe(error) });
  }
}

/** Lets go of the line to the test: from here on only what the mailboxes hold keeps this peer running. */
function leave(id: number): void {
  post({ id, value: undefined });
  if (parentPort === null) process.disconnect();
  else parentPort.close();
}

function describe(error: unknown): PeerFault {
  if (isNaruError(error)) return { naru: error.toJSON() };
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
  return { name, message, stack };
}

const listen = (call: PeerCall): void => {
  answer(call).catch((error: unknown) => {
    process.nextTick(() => {
      throw error;
    });
  });
};

if (parentPort === null) process.on('message', (call) => listen(call as PeerCall));
else parentPort.on('message', listen);
