// naru ls: what programs of this machine share, whoever made it: mailboxes in shared memory, and the kernel's objects. Nothing is
// opened for reading or writing messages, so nobody is disturbed.

import { userInfo } from 'node:os';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { ListedRing } from '../mapped-ring/listing.ts';
import { formatBytes, formatCount, note, print, printJson, table } from './output.ts';
import { listStateObjects } from './state-objects.ts';
import { peersText, type Shown } from './shown.ts';

const ARGS = {
  url: {
    type: 'positional',
    required: false,
    description: 'list only the logs in this folder: file:///var/lib/app',
  },
  json: { type: 'boolean', description: 'all of it as one JSON document' },
} as const;

export const ls: Command = command({
  name: 'ls',
  description:
    'Lists what programs of this machine share: mailboxes, locks, values, maps, kernel queues, shared memory, semaphores, FIFOs',
  args: ARGS,
  notes: `
Also what other programs made. Reads only. Each name is a URL that naru inspect and naru rm take; where it is a mailbox, all commands do.
What the kernel does not tell is "unknown" (in JSON: null): a POSIX queue keeps no last sender, a System V semaphore no list of its
users, and of processes of other users nothing is known. FIFOs and what lies in mapped files are listed while
somebody has them open. Logs (file:///folder) are listed that lie in the data folder, $XDG_STATE_HOME/naru or ~/.local/state/naru, or in the folder that is named: it
and those directly in it. Ends with 0 also when there is nothing.`,
  examples: [
    'naru ls',
    'naru ls file:///var/lib/app',
    'naru ls --json | jq \'.objects[] | select(.state == "dead")\'',
  ],
  run,
});

async function run({ args, positionals }: Invocation<typeof ARGS>): Promise<number> {
  const [url, tooMuch] = positionals;
  if (tooMuch !== undefined) throw new UsageError(`too many arguments: "${tooMuch}"`);
  const { nativeProblem } = await import('../native/index.ts');
  const missing = url === undefined ? nativeProblem() : undefined;
  const { dataFolder } = await import('./data-folder.ts');
  const logs = await listLogFolders(url === undefined ? dataFolder() : folderOf(url));
  const objects = missing === undefined && url === undefined ? [...(await listAll()), ...logs] : logs;
  if (args.json) await printJson({ objects });
  else if (objects.length > 0) await print(textOf(objects));
  else
    await print(
      missing === undefined ? 'nothing\n' : 'nothing but logs can be listed without the addon: naru doctor\n',
    );
  return EXIT.done;
}

async function listAll(): Promise<Shown[]> {
  const { listKernelObjects, listsPosixQueues } = await import('./kernel-objects.ts');
  const { mailboxFolders } = await import('../places/shm/index.ts');
  if (!listsPosixQueues()) {
    note(
      'naru: no file system of type mqueue is mounted (mount -t mqueue none /dev/mqueue): only POSIX queues that somebody has open are listed',
    );
  }
  const files = await mappedFiles();
  const states = await listStateObjects();
  // The FIFOs of mailboxes are part of them.
  const folders = [
    ...mailboxFolders().map(({ path }) => `fifo://${path}/`),
    ...[...files, ...states].map(({ name }) => `${name.replace('mmap:', 'fifo:')}.naru/`),
  ];
  const objects = listKernelObjects().map(({ shown }) => shown);
  return [
    ...(await mailboxes()),
    ...states,
    ...(await syncs()),
    ...files,
    ...objects.filter(({ name }) => !folders.some((own) => name.startsWith(own))),
  ];
}

/** @throws UsageError */
function folderOf(url: string): string {
  const { parts } = parseUrl(url);
  if (parts.scheme === 'file' && parts.host === '') return parts.path;
  throw new UsageError(`naru ls lists the logs in a folder, file:///var/lib/app; not ${parts.text}`);
}

async function listLogFolders(folder: string): Promise<Shown[]> {
  const { listLogs } = await import('../places/file/log-listing.ts');
  return (await listLogs(folder)).map(({ address, uid, mode, bytes, holder }) => ({
    kind: 'mailbox',
    name: address,
    uid,
    mode,
    // Counting them would be opening it.
    depth: null,
    bytes,
    peers: holder === undefined ? [] : [{ what: `host ${holder.split('.')[0]}`, isAlive: true }],
    state: holder === undefined ? null : 'live',
  }));
}

async function mailboxes(): Promise<Shown[]> {
  const { listMailboxes, mailboxFolders } = await import('../places/shm/index.ts');
  return mailboxFolders().flatMap(({ path, gid }) =>
    listMailboxes(path).map((listed) => {
      const name = gid === undefined ? `shm://${listed.name}` : `shm://${listed.name}?accessGroup=${gid}`;
      return mailboxEntry(name, gid, listed);
    }),
  );
}

async function syncs(): Promise<Shown[]> {
  const { listSharedSyncs } = await import('./shared-sync.ts');
  return (await listSharedSyncs()).map(({ shown }) => shown);
}

async function mappedFiles(): Promise<Shown[]> {
  const { listMapped } = await import('../places/mmap/index.ts');
  return listMapped().map((listed) => mailboxEntry(listed.address, undefined, listed));
}

function mailboxEntry(
  name: string,
  gid: number | undefined,
  { state, depth, depthBytes, participants }: ListedRing,
): Shown {
  return {
    kind: 'mailbox',
    name,
    uid: gid === undefined ? (process.getuid?.() ?? null) : null,
    mode: gid === undefined ? 0o600 : 0o660,
    depth,
    bytes: depthBytes,
    peers: participants.map(({ identity, isAlive, isConsumer, lanes }) => ({
      what: `${roleOf(isConsumer, lanes.length > 0)} ${identity}`,
      isAlive,
    })),
    state: state === 'live' || state === 'damaged' ? state : 'dead',
  };
}

function roleOf(isConsumer: boolean, isProducer: boolean): string {
  if (isConsumer && isProducer) return 'both';
  return isConsumer ? 'consumer' : isProducer ? 'producer' : 'handle';
}

function textOf(objects: readonly Shown[]): string {
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

function userOf(uid: number): string {
  return uid === process.getuid?.() ? userInfo().username : String(uid);
}
