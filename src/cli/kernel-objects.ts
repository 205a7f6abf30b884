// The kernel's objects as the commands name and show them: which URL means which, what can be known of each, how it is removed. Made by
// Naru or by others makes no difference. Nothing is opened that could disturb who uses it. Loaded only by commands that need it.

import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { type Attachment, type Attachments, findAttachments } from '../kernel/attachments.ts';
import {
  PosixQueue,
  type PosixQueueStatus,
  Semaphore,
  type SemaphoreEntry,
  SharedMemory,
  type SharedMemoryStatus,
  SystemVQueue,
  type SystemVQueueStatus,
} from '../kernel/index.ts';
import { kernelCall } from '../kernel/object-errors.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { Peer, Shown } from './shown.ts';

/** Everything else that is known of an object, by name. */
export type Facts = Readonly<Record<string, string | number | boolean | null>>;

/** An object of the kernel. */
export interface KernelObject {
  readonly shown: Shown;
  /** @throws NARU_DENIED */
  facts(): Facts;
  /** @throws NARU_NOT_FOUND, NARU_DENIED */
  remove(): void;
}

/** Objects that are no mailboxes, by the scheme of their URLs. */
const SCHEMES = ['posix-shm', 'sysv-shm', 'posix-sem', 'sysv-sem'] as const;

/** Whether a URL names an object of the kernel that holds no messages. */
export function holdsNoMessages({ scheme }: PlaceUrl): boolean {
  return (SCHEMES as readonly string[]).includes(scheme);
}

/** @throws NARU_UNSUPPORTED  the URL names an object that holds no messages */
export function refuseWithoutMessages(url: PlaceUrl, what: string): void {
  if (!holdsNoMessages(url)) return;
  const text = `${url.text}: it holds no messages, so there are none to ${what}; naru inspect shows what it is`;
  throw new NaruError('NARU_UNSUPPORTED', text, { mailbox: url.text });
}

/** Everything that the kernel lists, and what processes have open besides. */
export function listKernelObjects(): KernelObject[] {
  const who = findAttachments();
  return [
    ...SystemVQueue.list().map(systemVQueue),
    ...posixQueues(who),
    ...SharedMemory.list().map((one) => sharedMemory(one, who)),
    ...Semaphore.list().map((one) => semaphore(one, who)),
    ...who.fifos.map(({ path }) => fifo(path, who)),
  ];
}

/** Whether the kernel lists POSIX queues here: else only those are known that somebody has open. */
export function listsPosixQueues(): boolean {
  return PosixQueue.list() !== undefined;
}

/**
 * The object that a URL names.
 * @returns undefined when the URL is of another kind
 * @throws NARU_NOT_FOUND, NARU_INVALID_ARGUMENT
 */
export function findKernelObject(url: PlaceUrl): KernelObject | undefined {
  switch (url.scheme) {
    case 'sysv': {
      const isMeant = systemVTarget(url);
      const found = SystemVQueue.list().find(isMeant);
      return found === undefined ? undefined : systemVQueue(found);
    }
    case 'posixmq':
      return posixQueues(findAttachments()).find(({ shown }) => shown.name === posixUrl('posixmq', url.host));
    case 'posix-shm': {
      const found = SharedMemory.list().find(({ name }) => name === `/${url.host}`);
      return sharedMemory(found ?? notFound(url), findAttachments());
    }
    case 'sysv-shm': {
      const isMeant = systemVTarget(url);
      const found = SharedMemory.list().find(
        ({ kind, key, id }) => kind === 'system-v' && isMeant({ key, id }),
      );
      return sharedMemory(found ?? notFound(url), findAttachments());
    }
    case 'posix-sem':
      return semaphore(
        Semaphore.list().find(({ name }) => name === `/${url.host}`) ?? notFound(url),
        findAttachments(),
      );
    case 'sysv-sem': {
      const isMeant = systemVTarget(url);
      const found = Semaphore.list().find(({ kind, key, id }) => kind === 'system-v' && isMeant({ key, id }));
      return semaphore(found ?? notFound(url), findAttachments());
    }
    case 'fifo':
      if (lstatSync(url.path, { throwIfNoEntry: false })?.isFIFO() !== true) notFound(url);
      return fifo(url.path, findAttachments());
    default:
      return undefined;
  }
}

function notFound(url: PlaceUrl): never {
  throw new NaruError('NARU_NOT_FOUND', `${url.text}: there is no such object; naru ls shows what there is`, {
    mailbox: url.text,
  });
}

interface Numbered {
  readonly key?: number | undefined;
  readonly id?: number | undefined;
}

/** `//0x1234`, `//id/5`, or `///path?project=1`. */
function systemVTarget({ host, path, extra, text }: PlaceUrl): (one: Numbered) => boolean {
  if (/^0x[0-9a-f]{1,8}$/i.test(host) && path === '' && Number(host) !== 0) {
    return ({ key }) => key === (Number(host) | 0);
  }
  if (host === 'id' && /^\/\d{1,10}$/.test(path)) return ({ id }) => id === Number(path.slice(1));
  if (host === '' && path !== '') {
    const key = SystemVQueue.key(path, readProject(extra['project']));
    return (one) => one.key === key;
  }
  const what = 'name it by its key, its id, or the file of its key: //0x1234, //id/5, ///path?project=1';
  throw new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
}

function readProject(text: string | undefined): number | string | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : text;
}

function systemVUrl(scheme: string, { key, id }: Numbered): string {
  if (key === undefined || key === 0) return `${scheme}://id/${id}`;
  return `${scheme}://${hex(key)}`;
}

function hex(key: number): string {
  return `0x${(key >>> 0).toString(16).padStart(8, '0')}`;
}

/** @param name  without its slash */
function posixUrl(scheme: string, name: string): string {
  return `${scheme}://${encodeURIComponent(name)}`;
}

function systemVQueue(queue: SystemVQueueStatus): KernelObject {
  const { id, key, uid, gid, creatorUid, creatorGid, mode, count, bytes, limitBytes } = queue;
  const name = systemVUrl('sysv', queue);
  const peers = [
    ...lastUser('last sender', queue.lastSenderPid),
    ...lastUser('last receiver', queue.lastReceiverPid),
  ];
  return {
    shown: { kind: 'System V queue', name, uid, mode, depth: count, bytes, peers, state: null },
    facts: () => ({
      id,
      key: key === 0 ? 'private' : hex(key),
      gid,
      creatorUid,
      creatorGid,
      limitBytes: limitBytes ?? null,
      lastSenderPid: queue.lastSenderPid === 0 ? 'none' : queue.lastSenderPid,
      lastReceiverPid: queue.lastReceiverPid === 0 ? 'none' : queue.lastReceiverPid,
      sentAt: timeOf(queue.sentAt),
      receivedAt: timeOf(queue.receivedAt),
      changedAt: timeOf(queue.changedAt),
    }),
    remove: () => SystemVQueue.open({ id }).remove(),
  };
}

function timeOf(time: Date | undefined): string {
  return time?.toISOString() ?? 'never';
}

/** Those of the list, and those that somebody has open: without a mounted file system of theirs there is no list. */
function posixQueues(who: Attachments): KernelObject[] {
  const listed = new Map((PosixQueue.list() ?? []).map((queue) => [queue.name, queue]));
  const names = new Set([...listed.keys(), ...who.queues.keys()]);
  return [...names].flatMap((name) => {
    const status = listed.get(name) ?? statusByName(name);
    return status === undefined ? [] : [posixQueue(status, usersOf(who.queues.get(name) ?? [], who))];
  });
}

/** @returns undefined when there is no such queue any more: who has it open keeps it without its name */
function statusByName(name: string): PosixQueueStatus | undefined {
  try {
    const queue = PosixQueue.open({ name, create: 'never', access: 'read' });
    const status = queue.stat();
    void queue.close();
    return status;
  } catch {
    return undefined;
  }
}

function posixQueue(queue: PosixQueueStatus, users: readonly Peer[] | null): KernelObject {
  const { name, uid, gid, mode, count, bytes, maxMessages, maxMessageBytes, notifiedPid } = queue;
  const notified = notifiedPid === undefined ? [] : lastUser('notifies', notifiedPid);
  return {
    shown: {
      kind: 'POSIX queue',
      name: posixUrl('posixmq', name.slice(1)),
      uid,
      mode,
      depth: count ?? null,
      bytes: bytes ?? null,
      peers: users === null && notified.length === 0 ? null : [...(users ?? []), ...notified],
      state: stateOf(users),
    },
    facts: () => ({
      gid,
      maxMessages: maxMessages ?? null,
      maxMessageBytes: maxMessageBytes ?? null,
      notifiesPid: notifiedPid ?? 'none',
      lastSenderPid: null,
      lastReceiverPid: null,
    }),
    remove: () => PosixQueue.unlink(name),
  };
}

function sharedMemory(one: SharedMemoryStatus, who: Attachments): KernelObject {
  const { name, key, id = 0, uid, gid, mode, sizeBytes: bytes, attached, creatorPid, isRemoved } = one;
  const isPosix = name !== undefined;
  const found = isPosix ? who.ofFile(`/dev/shm${name}`) : who.ofSegment(id);
  const users = usersOf(found, who);
  const creator = creatorPid === undefined ? [] : lastUser('made by', creatorPid);
  return {
    shown: {
      kind: 'shared memory',
      name: isPosix ? posixUrl('posix-shm', name.slice(1)) : systemVUrl('sysv-shm', one),
      uid,
      mode,
      depth: null,
      bytes,
      peers: users === null && creator.length === 0 ? null : [...(users ?? []), ...creator],
      // Without a name and without a user it goes; with a name it may be opened again.
      state: isRemoved === true ? 'dead' : attached !== undefined && attached > 0 ? 'live' : stateOf(users),
    },
    facts: () =>
      isPosix
        ? { gid }
        : {
            id,
            key: key === 0 ? 'private' : hex(key ?? 0),
            gid,
            attached: attached ?? null,
            creatorPid: creatorPid ?? null,
            isRemoved: isRemoved ?? false,
          },
    remove: () => (isPosix ? SharedMemory.unlink(name) : SharedMemory.removeSegment(id)),
  };
}

/** Values of a large set that are shown. */
const VALUES_MAX = 32;

function semaphore(one: SemaphoreEntry, who: Attachments): KernelObject {
  const { name, key, id = 0, count, uid, gid, mode } = one;
  const isPosix = name !== undefined;
  // The kernel keeps no list of who uses a set.
  const users = isPosix ? usersOf(who.ofFile(`/dev/shm/sem.${name.slice(1)}`), who) : null;
  return {
    shown: {
      kind: 'semaphore',
      name: isPosix ? posixUrl('posix-sem', name.slice(1)) : systemVUrl('sysv-sem', one),
      uid,
      mode,
      depth: count ?? null,
      bytes: null,
      peers: users,
      state: stateOf(users),
    },
    facts: () => {
      const values = Semaphore.read({ ...one, count: Math.min(count ?? 1, VALUES_MAX) }).join(' ');
      const shown = (count ?? 1) > VALUES_MAX ? `${values} …` : values;
      return isPosix
        ? { gid, value: shown }
        : { id, key: key === 0 ? 'private' : hex(key ?? 0), gid, values: shown };
    },
    remove: () => (isPosix ? Semaphore.unlink(name) : Semaphore.removeSet(id)),
  };
}

/** Not opened: that would let go whoever waits in open(2) for the other side. fifo(7) */
function fifo(path: string, who: Attachments): KernelObject {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  const open = who.fifos.find((one) => one.path === path)?.attached ?? [];
  const users = usersOf(open, who);
  return {
    shown: {
      kind: 'FIFO',
      name: `fifo://${path.split('/').map(encodeURIComponent).join('/')}`,
      uid: stat?.uid ?? null,
      mode: stat === undefined ? null : stat.mode & 0o777,
      depth: null,
      bytes: null,
      peers: users,
      state: stateOf(users),
    },
    facts: () => ({ gid: stat?.gid ?? null }),
    remove: () => kernelCall(path, () => unlinkSync(path)),
  };
}

/** null: nobody is known, but not everybody could be looked at. */
function usersOf(found: readonly Attachment[], { isComplete }: Attachments): Peer[] | null {
  const others = found.filter(({ pid }) => pid !== process.pid);
  if (others.length === 0 && !isComplete) return null;
  return others.map(({ pid, how }) => ({ what: `${how} ${pid}`, isAlive: true }));
}

function stateOf(users: readonly Peer[] | null): Shown['state'] {
  return users !== null && users.length > 0 ? 'live' : null;
}

/** 0: nobody yet. */
function lastUser(what: string, pid: number): Peer[] {
  return pid === 0 ? [] : [{ what: `${what} ${pid}`, isAlive: existsSync(`/proc/${pid}`) }];
}
