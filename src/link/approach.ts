// How a handle finds its host behind a Unix socket: it connects, or becomes the host itself, or waits for whoever is about to. Where
// the socket is and what makes a host is the place's business.

import { isNaruError, NaruError } from '../errors/index.ts';
import { connectSession } from './remote-session.ts';
import type { RemoteInit } from './remote.ts';
import type { Session, SessionEvents } from './session.ts';
import type { MailboxSettings, StatedSettings } from './settings.ts';
import { checkPeer, connectSocket } from './unix-socket.ts';

/** How long to leave a process that is about to become the host, before looking again. */
const ELECTION_MS = 10;

export interface ApproachInit extends Omit<RemoteInit, 'events' | 'stated'> {
  /** Of the socket. */
  readonly path: string;
  readonly stated: StatedSettings;
  /** What the mailbox holds outlives its host: a host that is lost at the first word is as one that was not there. */
  readonly outlivesHost?: boolean | undefined;
  readonly create: 'if-missing' | 'new' | 'never' | undefined;
  /** Nobody listens. @throws NARU_NOT_FOUND and others, where nobody may become the host */
  nobodyListens(isBack: boolean): Promise<void>;
  /** @returns undefined when somebody else is about to be the host */
  becomeHost(events: SessionEvents, previous: MailboxSettings | undefined): Promise<Session | undefined>;
}

/**
 * Connects to the host, or becomes it.
 *
 * @param previous  what the mailbox was before its host was lost; undefined at the first time
 * @throws NARU_EXISTS, NARU_DENIED, NARU_LIMIT, NARU_DISCONNECTED, and what the place throws
 */
export async function approach(
  init: ApproachInit,
  events: SessionEvents,
  signal: AbortSignal,
  previous: MailboxSettings | undefined,
): Promise<Session> {
  const { path, mailbox } = init;
  for (;;) {
    signal.throwIfAborted();
    const socket = await connectSocket(path, init);
    if (socket !== undefined) {
      // Only the first opener states anything new; who comes back wants what was there.
      if (init.create === 'new' && previous === undefined) {
        socket.destroy();
        throw new NaruError('NARU_EXISTS', `${mailbox}: the mailbox exists already (create: "new")`, init);
      }
      checkPeer(socket, init);
      try {
        return await connectSession(socket, { ...init, stated: previous ?? init.stated, events }, signal);
      } catch (error) {
        if (init.outlivesHost !== true || !isLoss(error)) throw error;
      }
    } else {
      await init.nobodyListens(previous !== undefined);
      const session = await init.becomeHost(events, previous);
      if (session !== undefined && !signal.aborted) return session;
      await session?.close(0);
      signal.throwIfAborted();
    }
    await new Promise((resolve) => {
      setTimeout(resolve, ELECTION_MS);
    });
  }
}

function isLoss(error: unknown): boolean {
  return isNaruError(error, 'NARU_DISCONNECTED') || isNaruError(error, 'NARU_PEER_GONE');
}
