// naru ls: what programs of this machine share, whoever made it. Each kind of object has a function that lists it as entries; nothing
// is opened for reading or writing messages, so nobody is disturbed.

import { userInfo } from 'node:os';
import { existsSync } from 'node:fs';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT } from './exit.ts';
import { formatBytes, formatCount, print, printJson, table } from './output.ts';

const ARGS = {
  json: { type: 'boolean', description: 'all of it as one JSON document' },
} as const;

export const ls: Command = command({
  name: 'ls',
  description:
    'Lists what programs of this machine share: mailboxes, kernel queues, shared memory, semaphores',
  args: ARGS,
  notes: `
Also what other programs made. Reads only. What the kernel does not tell is "unknown" (in JSON: null): a POSIX queue keeps no last
sender, shared memory no list of its users. Where the kernel lists something by path only (FIFOs, mapped files, Unix sockets) there is
no list of it. Ends with 0 also when there is nothing.`,
  examples: ['naru ls', 'naru ls --json | jq \'.objects[] | select(.state == "dead")\''],
  run,
});

/** One shared object. */
interface Entry {
  readonly kind: 'mailbox' | 'System V queue' | 'POSIX queue' | 'shared memory' | 'semaphore';
  /** The URL that opens it here, or what the kernel calls it. */
  readonly name: string;
  readonly uid: number | null;
  /** Permission bits. */
  readonly mode: number | null;
  /** Messages; of a semaphore set: how many semaphores. */
  readonly depth: number | null;
  readonly bytes: number | null;
  /** Who uses it, as far as that is known. */
  readonly peers: readonly Peer[] | null;
  /** `dead`: nobody who could use it lives any more. */
  readonly state: 'live' | 'dead' | 'damaged' | null;
}

interface Peer {
  readonly what: string;
  readonly isAlive: boolean;
}

async function run({ args }: Invocation<typeof ARGS>): Promise<number> {
  const { nativeProblem } = await import('../native/index.ts');
  const missing = nativeProblem();
  const objects = missing === undefined ? await listAll() : [];
  if (args.json) await printJson({ objects });
  else if (objects.length > 0) await print(textOf(objects));
  else
    await print(
      missing === undefined ? 'nothing\n' : 'nothing can be listed without the addon: naru doctor\n',
    );
  return EXIT.done;
}

async function listAll(): Promise<Entry[]> {
  return [...(await mailboxes()), ...(await queues()), ...(await memory())];
}

async function mailboxes(): Promise<Entry[]> {
  const { listMailboxes, mailboxFolders } = await import('../places/shm/index.ts');
  const uid = process.getuid?.() ?? null;
  return mailboxFolders().flatMap(({ path, gid }) =>
    listMailboxes(path).map(({ name, state, depth, depthBytes, participants }) => ({
      kind: 'mailbox' as const,
      name: gid === undefined ? `shm://${name}` : `shm://${name}?accessGroup=${gid}`,
      uid: gid === undefined ? uid : null,
      mode: gid === undefined ? 0o600 : 0o660,
      depth,
      bytes: depthBytes,
      peers: participants.map(({ identity, isAlive, isConsumer, lanes }) => ({
        what: `${roleOf(isConsumer, lanes.length > 0)} ${identity}`,
        isAlive,
      })),
      state: state === 'live' || state === 'damaged' ? state : ('dead' as const),
    })),
  );
}

function roleOf(isConsumer: boolean, isProducer: boolean): string {
  if (isConsumer && isProducer) return 'both';
  return isConsumer ? 'consumer' : isProducer ? 'producer' : 'handle';
}

async function queues(): Promise<Entry[]> {
  const { PosixQueue, SystemVQueue } = await import('../kernel/index.ts');
  const systemV = SystemVQueue.list().map(
    (queue): Entry => ({
      kind: 'System V queue',
      name: queue.key === 0 ? `private, id ${queue.id}` : `sysv://${hex(queue.key)}`,
      uid: queue.uid,
      mode: queue.mode,
      depth: queue.count,
      bytes: queue.bytes,
      peers: [
        ...processes('last sender', queue.lastSenderPid),
        ...processes('last receiver', queue.lastReceiverPid),
      ],
      state: null,
    }),
  );
  const posix = (PosixQueue.list() ?? []).map(
    (queue): Entry => ({
      kind: 'POSIX queue',
      name: `posixmq:/${queue.name}`,
      uid: queue.uid,
      mode: queue.mode,
      depth: queue.count ?? null,
      bytes: queue.bytes ?? null,
      peers: queue.notifiedPid === undefined ? null : processes('notifies', queue.notifiedPid),
      state: null,
    }),
  );
  return [...systemV, ...posix];
}

async function memory(): Promise<Entry[]> {
  const { Semaphore, SharedMemory } = await import('../kernel/index.ts');
  const segments = SharedMemory.list().map(
    (one): Entry => ({
      kind: 'shared memory',
      name: nameOf(one),
      uid: one.uid,
      mode: one.mode,
      depth: null,
      bytes: one.sizeBytes,
      peers: one.attached === undefined ? null : processes('made by', one.creatorPid ?? 0),
      // Without a name and without a user it goes; with a name it may be opened again.
      state: one.isRemoved === true ? 'dead' : null,
    }),
  );
  const semaphores = Semaphore.list().map(
    (one): Entry => ({
      kind: 'semaphore',
      name: nameOf(one),
      uid: null,
      mode: null,
      depth: one.count ?? null,
      bytes: null,
      peers: null,
      state: null,
    }),
  );
  return [...segments, ...semaphores];
}

function nameOf({
  name,
  key,
  id,
}: {
  readonly name?: string;
  readonly key?: number;
  readonly id?: number;
}): string {
  if (name !== undefined) return name;
  return key === undefined || key === 0
    ? `private, id ${id ?? 'unknown'}`
    : `key ${hex(key)}, id ${id ?? 'unknown'}`;
}

function hex(key: number): string {
  return `0x${(key >>> 0).toString(16).padStart(8, '0')}`;
}

/** 0: nobody yet. */
function processes(what: string, pid: number): Peer[] {
  return pid === 0 ? [] : [{ what: `${what} ${pid}`, isAlive: existsSync(`/proc/${pid}`) }];
}

function textOf(objects: readonly Entry[]): string {
  const rows = objects.map((one) => [
    one.kind,
    one.name,
    one.uid === null ? 'unknown' : userOf(one.uid),
    one.mode === null ? 'unknown' : one.mode.toString(8).padStart(3, '0'),
    one.depth === null ? '-' : formatCount(one.depth),
    one.bytes === null ? '-' : formatBytes(one.bytes),
    one.peers === null ? 'unknown' : peersText(one.peers),
    one.state ?? '',
  ]);
  const columns = ['kind', 'name', 'owner', 'mode', 'depth', 'bytes', 'who', 'state'].map((title) => ({
    title,
    right: title === 'depth' || title === 'bytes',
  }));
  return table(columns, rows, process.stdout);
}

function peersText(peers: readonly Peer[]): string {
  if (peers.length === 0) return 'nobody';
  return peers.map(({ what, isAlive }) => (isAlive ? what : `${what} (gone)`)).join(', ');
}

function userOf(uid: number): string {
  return uid === process.getuid?.() ? userInfo().username : String(uid);
}
