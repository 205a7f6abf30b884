// file:///folder: one process has the log open and is the host, the others connect to it. When that one goes, another takes its place:
// the folder's lock says who, and the log has everything.

import { closeSync, constants, lstatSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileSystemObjection } from '../../disk/file-system.ts';
import { isMailbox, outsideOf, removeRest } from '../../journal/folder.ts';
import { openJournal, type OpenedJournal } from '../../journal/open.ts';
import { approach, type ApproachInit } from '../../link/approach.ts';
import { openLink } from '../../link/driver.ts';
import { Host } from '../../link/host.ts';
import { Listener } from '../../link/listener.ts';
import { LocalSession } from '../../link/local-session.ts';
import type { Session, SessionEvents } from '../../link/session.ts';
import { type MailboxSettings, statedSettings } from '../../link/settings.ts';
import { bindSocket, checkPeer } from '../../link/unix-socket.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { PlaceContext, PlaceOptions } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { fileLog } from './capabilities.ts';
import { errnoOf, fileError } from './error.ts';
import { type LogOptions, logAddressOf } from './log-options.ts';
import { refusal } from './options.ts';

const SOCKET = 'host.sock';
/** sockaddr_un(7) has room for so many bytes of a path. */
const PATH_BYTES_MAX = process.platform === 'linux' ? 107 : 103;

/** Opens a handle. @throws see README.md of this folder */
export async function openLogMailbox(
  own: LogOptions,
  options: PlaceOptions,
  { hooks }: PlaceContext,
): Promise<Driver> {
  const identity = newHandleIdentity();
  const { offset, since } = own;
  return await openLink(
    {
      capabilities: fileLog,
      identity,
      mailbox: own.text,
      place: 'file',
      hooks,
      consumer: { group: options.group, from: options.from, self: identity, offset, since },
      connect: (events, signal, previous) => connect(own, options, identity, events, signal, previous),
    },
    options.signal,
  );
}

async function connect(
  own: LogOptions,
  options: PlaceOptions,
  identity: string,
  events: SessionEvents,
  signal: AbortSignal,
  previous: MailboxSettings | undefined,
): Promise<Session> {
  const { folder, text } = own;
  await checkFolder(own, options, previous !== undefined);
  const way = wayTo(folder, text);
  let isHost = false;
  const init: ApproachInit = {
    mailbox: text,
    place: 'file',
    address: logAddressOf(folder),
    identity,
    heartbeatMs: 0,
    prefetch: options.prefetch,
    path: way.path,
    outlivesHost: true,
    stated: statedSettings(options),
    create: options.create,
    nobodyListens: (isBack) => checkFolder(own, options, isBack),
    becomeHost: async (hostEvents) => {
      const session = await becomeHost(own, options, init, way, hostEvents, previous);
      isHost = session !== undefined;
      return session;
    },
  };
  try {
    return await approach(init, events, signal, previous);
  } finally {
    if (!isHost) way.close();
  }
}

/** Opens the log and listens. @returns undefined when another process has it open */
async function becomeHost(
  own: LogOptions,
  options: PlaceOptions,
  init: ApproachInit,
  way: Way,
  events: SessionEvents,
  previous: MailboxSettings | undefined,
): Promise<Session | undefined> {
  const { folder, text: mailbox, retainMs, segmentBytes, connectionsMax } = own;
  const { place, address, identity } = init;
  const stated = previous ?? init.stated;
  const isBack = previous !== undefined;
  let journal: OpenedJournal | undefined;
  try {
    const outside = await outsideOf(folder);
    journal = await openJournal({ outside, mailbox, stated, retainMs, segmentBytes, isBack });
    if (journal === undefined) return undefined;
    const opened = journal;
    const { settings, created } = opened;
    const host = new Host({
      settings,
      mailbox,
      place,
      contents: (hostEvents) => opened.contents(hostEvents),
    });
    await opened.filled();
    const server = await bindSocket(way.path, init);
    // Connections keep the process alive, an idle host does not.
    server.unref();
    const listener: Listener = new Listener(server, {
      host,
      heartbeatMs: 0,
      connectionsMax,
      event: 'connection',
      checkPeer: (socket) => checkPeer(socket, init),
      unlink: () => session.unlink(),
    });
    let isRemoved = false;
    let closing: Promise<void> | undefined;
    const shutDown = async (): Promise<void> => {
      await listener.close();
      way.close();
      if (!isRemoved) return await opened.close();
      await opened.destroy();
      await removeRest(folder);
    };
    const { flushMs } = options;
    const session: LocalSession = new LocalSession({
      host,
      identity,
      address,
      events,
      created,
      flushMs,
      shutDown: () => (closing ??= shutDown()),
      destroy: () => {
        isRemoved = true;
      },
    });
    return session;
  } catch (error) {
    await journal?.close().catch(() => undefined);
    throw error;
  }
}

/** Whether there may be a mailbox in the folder, which is made when it is not there. */
async function checkFolder(own: LogOptions, { create }: PlaceOptions, isBack: boolean): Promise<void> {
  const { folder, text } = own;
  try {
    const isThere = await isMailbox(folder);
    if (isBack && !isThere) throw refusal('NARU_CLOSED', text, 'the mailbox was removed');
    if (!isBack && isThere && create === 'new') {
      throw refusal('NARU_EXISTS', text, 'the mailbox exists already (create: "new")');
    }
    if (!isThere && create === 'never') {
      throw refusal('NARU_NOT_FOUND', text, 'there is no mailbox in this folder (create: "never")');
    }
    if (!isThere) makeFolder(folder);
    refuseForeign(folder, text);
  } catch (error) {
    throw fileError(error, text);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw error;
  }
}

/** Whoever can change the files of a log can make it say anything. */
function refuseForeign(folder: string, text: string): void {
  const stat = lstatSync(folder);
  if (!stat.isDirectory()) {
    const what = stat.isFile()
      ? `${folder} is a plain file: that is ${text}${text.includes('?') ? '&' : '?'}format=raw`
      : `${folder} is no folder (links are refused)`;
    throw refusal('NARU_UNSUPPORTED', text, what);
  }
  const uid = process.getuid?.();
  if (uid !== undefined && stat.uid !== uid) {
    throw refusal('NARU_DENIED', text, `${folder} belongs to uid ${stat.uid}, this process to ${uid}`);
  }
  if (uid !== undefined && (stat.mode & 0o022) !== 0) {
    throw refusal('NARU_DENIED', text, `others may write in ${folder}: chmod go-w`);
  }
  const problem = fileSystemObjection(folder);
  if (problem === undefined) return;
  const what = `${dirname(folder)} lies on ${problem}: locks and syncs are not what they are on a disk. Use a local folder`;
  throw refusal('NARU_UNSUPPORTED', text, what);
}

/** A path to the socket that is short enough. */
interface Way {
  readonly path: string;
  /** Nobody uses the path any more. A second call does nothing. */
  close(): void;
}

function wayTo(folder: string, text: string): Way {
  const path = join(folder, SOCKET);
  if (Buffer.byteLength(path) <= PATH_BYTES_MAX) return { path, close: () => undefined };
  if (process.platform !== 'linux') {
    const what = `the path has ${Buffer.byteLength(path)} bytes, that of a socket at most ${PATH_BYTES_MAX}: use a shorter one`;
    throw refusal('NARU_INVALID_ARGUMENT', text, what);
  }
  const fd = openSync(folder, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  let isOpen = true;
  return {
    path: `/proc/self/fd/${fd}/${SOCKET}`,
    close() {
      if (isOpen) closeSync(fd);
      isOpen = false;
    },
  };
}
