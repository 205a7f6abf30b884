// naru doctor: is this machine fit, and did dead processes leave anything behind? Looks at the system itself, not at messages.

import { lstatSync, readFileSync, statfsSync } from 'node:fs';
import { sysctl } from '../kernel/queue-errors.ts';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT } from './exit.ts';
import { formatBytes, formatCount, paint, print, printJson, table, type Colour } from './output.ts';
import { peersText } from './shown.ts';

const ARGS = {
  clean: { type: 'boolean', description: 'remove what dead processes left behind' },
  verify: {
    type: 'string',
    valueHint: 'DIR',
    description: 'check the data folder of a broker or a file place, and nothing else',
  },
  json: { type: 'boolean', description: 'the findings as one JSON document' },
} as const;

export const doctor: Command = command({
  name: 'doctor',
  description: 'Checks Node, the addon, limits, permissions, and leftovers of dead processes',
  args: ARGS,
  notes: `
Exit code 1 when something does not work ("fail"); a "warn" is something that works only in part. Leftovers are mailboxes, locks,
semaphores and events in shared memory that nobody can use any more, and private queues for answers; what has owner=system stays, whoever
died. --clean removes those, and nothing else: objects of the kernel whose known users have all ended are shown (in JSON: unused), but somebody may
mean them to stay. --verify reads every file of a data folder that no process has open, and changes nothing in it; exit code 71 when
something is damaged.`,
  examples: ['naru doctor', 'naru doctor --clean --json', 'naru doctor --verify ./data'],
  run,
});

type Verdict = 'ok' | 'warn' | 'fail';

/** What was looked at, and what was found. */
interface Finding {
  readonly what: string;
  readonly verdict: Verdict;
  readonly text: string;
}

const MARKS: Readonly<Record<Verdict, Colour>> = { ok: 'green', warn: 'yellow', fail: 'red' };
/** The default capacity of a lane; less free memory than a few of them is soon used up. */
const SHM_FREE_MIN = 16 * 1024 ** 2;
const FILES_MIN = 1024;

async function run({ args }: Invocation<typeof ARGS>): Promise<number> {
  if (args.verify !== undefined) {
    const { verifyFolder } = await import('./verify.ts');
    return verifyFolder(args.verify, args.json === true);
  }
  const findings = [nodeVersion(), platform(), await addon(), sharedMemory(), openFiles(), await runtime()];
  findings.push(...(await groups()));
  const { mailboxes, removed, finding } = await leftovers(args.clean === true);
  const { syncs, syncFinding } = await foundSyncs();
  const queues = await privateQueues(args.clean === true);
  removed.push(...queues.removed);
  findings.push(finding, syncFinding, ...queues.findings, queueLimits());
  const unused = await unusedObjects();
  findings.push(...(unused === undefined ? [] : [unusedFinding(unused)]));
  const ok = findings.every(({ verdict }) => verdict !== 'fail');
  if (args.json) {
    await printJson({ ok, checks: findings, mailboxes, syncs, removed, unused: unused ?? [] });
  } else {
    const rows = findings.map(({ what, verdict, text }) => [verdict, what, text]);
    const text = table([{ title: '' }, { title: 'check' }, { title: 'found' }], rows, process.stdout);
    const painted = text.replace(/^(ok|warn|fail)/gm, (word) =>
      paint(MARKS[word as Verdict], word, process.stdout),
    );
    await print(painted + removed.map((name) => `removed ${name}\n`).join(''));
  }
  return ok ? EXIT.done : EXIT.failed;
}

function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const fits = major > 20 || (major === 20 && minor >= 19);
  return {
    what: 'Node',
    verdict: fits ? 'ok' : 'fail',
    text: `${process.version}${fits ? '' : '; needs 20.19 or newer'}`,
  };
}

function platform(): Finding {
  const full = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch);
  const text = `${process.platform} ${process.arch}`;
  return {
    what: 'platform',
    verdict: full ? 'ok' : 'warn',
    text: full ? text : `${text}: everything but shared memory works; in full on Linux x64 and arm64`,
  };
}

async function addon(): Promise<Finding> {
  const { nativeProblem } = await import('../native/index.ts');
  const problem = nativeProblem();
  if (problem === undefined) return { what: 'addon', verdict: 'ok', text: 'loaded' };
  return {
    what: 'addon',
    verdict: 'warn',
    text: `not loaded, so there is no shm:// (${problem.replace(/\s*\n\s*/g, ' ')})`,
  };
}

function sharedMemory(): Finding {
  const what = '/dev/shm';
  try {
    const { bsize, blocks, bavail } = statfsSync('/dev/shm');
    const free = bavail * bsize;
    const text = `${formatBytes(free)} free of ${formatBytes(blocks * bsize)}`;
    return free >= SHM_FREE_MIN
      ? { what, verdict: 'ok', text }
      : { what, verdict: 'warn', text: `${text}; give it more (docker run --shm-size)` };
  } catch (error) {
    return { what, verdict: 'warn', text: `not there (${(error as NodeJS.ErrnoException).code})` };
  }
}

function openFiles(): Finding {
  const what = 'open files';
  let limits: string;
  try {
    limits = readFileSync('/proc/self/limits', 'latin1');
  } catch {
    return { what, verdict: 'ok', text: 'limit unknown: there is no /proc here' };
  }
  const [, soft = '', hard = ''] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
  const count = soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
  const text = `at most ${soft} (could be ${hard})`;
  return count >= FILES_MIN
    ? { what, verdict: 'ok', text }
    : { what, verdict: 'warn', text: `${text}; raise it: ulimit -n ${FILES_MIN}` };
}

/** The folder of the shared objects must be the user's own and closed to others: whoever can write there owns the messages. */
async function runtime(): Promise<Finding> {
  const what = 'runtime folder';
  const { runtimeFolder } = await import('../places/shm/index.ts');
  const folder = runtimeFolder();
  const stat = lstatSync(folder, { throwIfNoEntry: false });
  if (stat === undefined) return { what, verdict: 'ok', text: `${folder}: made at first use` };
  const mode = (stat.mode & 0o777).toString(8).padStart(3, '0');
  const uid = process.getuid?.() ?? stat.uid;
  const problem = !stat.isDirectory()
    ? 'is not a folder'
    : stat.uid !== uid
      ? `belongs to uid ${stat.uid}, not ${uid}`
      : (stat.mode & 0o077) !== 0
        ? `has mode ${mode}, needs 700: chmod 700 ${folder}`
        : undefined;
  if (problem === undefined) return { what, verdict: 'ok', text: `${folder}: uid ${stat.uid}, mode ${mode}` };
  return { what, verdict: 'fail', text: `${folder} ${problem}` };
}

/** One finding for each group that this user is in and that shares mailboxes. */
async function groups(): Promise<Finding[]> {
  const { groupFolders } = await import('../places/shm/index.ts');
  return groupFolders().map(({ path, gid, problem }) => ({
    what: 'group folder',
    // Anybody could have laid something else in its place; everything but this group's mailboxes works.
    verdict: problem === undefined ? 'ok' : 'warn',
    text: problem === undefined ? `${path}: mailboxes of group ${gid}` : `${path} cannot be used: ${problem}`,
  }));
}

/** What doctor shows of a mailbox. */
interface FoundMailbox {
  readonly name: string;
  readonly state: string;
  readonly depth: number;
  readonly problem?: string;
  /** The gid of a mailbox that a group shares. */
  readonly accessGroup?: number;
}

async function leftovers(
  clean: boolean,
): Promise<{ mailboxes: FoundMailbox[]; removed: string[]; finding: Finding }> {
  const what = 'shm mailboxes';
  const { nativeProblem } = await import('../native/index.ts');
  if (nativeProblem() !== undefined) {
    return { mailboxes: [], removed: [], finding: { what, verdict: 'ok', text: 'none: no addon' } };
  }
  const { cleanLeftovers, listMailboxes, mailboxFolders } = await import('../places/shm/index.ts');
  const { cleanStates, listStates } = await import('../places/shm/state-leftovers.ts');
  const removed: string[] = [];
  const mailboxes: FoundMailbox[] = [];
  for (const { path, gid } of mailboxFolders()) {
    if (clean) removed.push(...cleanLeftovers(path).map((name) => named(name, gid)));
    if (clean) removed.push(...cleanStates(path).map((name) => named(name, gid)));
    const states = listStates(path).map((one) => ({ ...one, depth: one.length }));
    for (const { name, state, depth, problem } of [...listMailboxes(path), ...states])
      mailboxes.push({
        name,
        state,
        depth,
        ...(problem === undefined ? {} : { problem }),
        ...(gid === undefined ? {} : { accessGroup: gid }),
      });
  }
  const { text, verdict } = summary(mailboxes);
  const cleaned = clean ? `; ${formatCount(removed.length)} removed` : '';
  return { mailboxes, removed, finding: { what, verdict, text: `${text}${cleaned}` } };
}

function summary(found: readonly { readonly state: string }[]): { verdict: Verdict; text: string } {
  const count = (state: string): number => found.filter((one) => one.state === state).length;
  const [left, damaged] = [count('leftover') + count('unfinished'), count('damaged')];
  const parts = [`${formatCount(count('live'))} in use or kept`];
  if (left > 0) parts.push(`${formatCount(left)} left by dead processes: naru doctor --clean`);
  if (damaged > 0) parts.push(`${formatCount(damaged)} damaged: see --json`);
  return { verdict: damaged > 0 ? 'fail' : left > 0 ? 'warn' : 'ok', text: parts.join('; ') };
}

/** What doctor shows of a lock, semaphore or event. */
interface FoundSync {
  readonly name: string;
  readonly type: string;
  readonly state: string;
  readonly problem?: string;
}

/** After the leftovers were removed, if they were. */
async function foundSyncs(): Promise<{ syncs: FoundSync[]; syncFinding: Finding }> {
  const what = 'locks, semaphores, events';
  const { nativeProblem } = await import('../native/index.ts');
  if (nativeProblem() !== undefined)
    return { syncs: [], syncFinding: { what, verdict: 'ok', text: 'none: no addon' } };
  const { listSharedSyncs } = await import('./shared-sync.ts');
  const syncs = (await listSharedSyncs()).map(({ listed: { name, type, state, problem }, gid }) => ({
    name: named(name, gid),
    type: type ?? 'unknown',
    state,
    ...(problem === undefined ? {} : { problem }),
  }));
  return { syncs, syncFinding: { what, ...summary(syncs) } };
}

function named(name: string, gid: number | undefined): string {
  return gid === undefined ? name : `${name}?accessGroup=${gid}`;
}

/** Private queues of requesters that are dead: proved by the kernel, and made by Naru. */
async function privateQueues(clean: boolean): Promise<{ removed: string[]; findings: Finding[] }> {
  const what = 'reply queues';
  const { nativeProblem } = await import('../native/index.ts');
  if (nativeProblem() !== undefined || process.platform !== 'linux') return { removed: [], findings: [] };
  const { cleanPrivateQueues, listDeadPrivateQueues } = await import('../kernel/private-queue.ts');
  const removed = clean ? cleanPrivateQueues().map(({ id }) => `sysv://id/${id}`) : [];
  const left = listDeadPrivateQueues().length;
  const parts = left > 0 ? [`${formatCount(left)} left by dead processes: naru doctor --clean`] : [];
  if (removed.length > 0) parts.push(`${formatCount(removed.length)} removed`);
  const text = parts.length > 0 ? parts.join('; ') : 'none left by dead processes';
  return { removed, findings: [{ what, verdict: left > 0 ? 'warn' : 'ok', text }] };
}

/** What the kernel allows its queues: the sysctls that errors name. */
function queueLimits(): Finding {
  const what = 'kernel queues';
  const value = (name: string): string => {
    const number = sysctl(name);
    return number === undefined ? 'unknown' : formatCount(number);
  };
  const systemV = `System V: messages up to ${value('kernel.msgmax')} bytes, ${value('kernel.msgmnb')} bytes a queue, ${value('kernel.msgmni')} queues`;
  const posix = `POSIX: up to ${value('fs.mqueue.msg_max')} messages of ${value('fs.mqueue.msgsize_max')} bytes, ${value('fs.mqueue.queues_max')} queues`;
  return { what, verdict: 'ok', text: `${systemV}; ${posix}` };
}

/** An object whose known users have all ended. */
interface Unused {
  readonly kind: string;
  readonly name: string;
  readonly who: string;
}

/** @returns undefined where nobody can know */
async function unusedObjects(): Promise<Unused[] | undefined> {
  const { nativeProblem } = await import('../native/index.ts');
  if (nativeProblem() !== undefined || process.platform !== 'linux') return undefined;
  const { listKernelObjects } = await import('./kernel-objects.ts');
  return listKernelObjects().flatMap(({ shown: { kind, name, peers } }) =>
    peers === null || peers.length === 0 || peers.some(({ isAlive }) => isAlive)
      ? []
      : [{ kind, name, who: peersText(peers) }],
  );
}

/** Names that the table shows; the JSON document has all. */
const NAMES_MAX = 3;

function unusedFinding(unused: readonly Unused[]): Finding {
  const what = 'kernel objects';
  if (unused.length === 0) return { what, verdict: 'ok', text: 'none whose last users have ended' };
  const names = unused.slice(0, NAMES_MAX).map(({ name }) => name);
  const more = unused.length > NAMES_MAX ? ', …' : '';
  const text = `${formatCount(unused.length)} whose last users have ended (${names.join(', ')}${more}); kept, since somebody may come back: naru inspect, naru rm`;
  return { what, verdict: 'ok', text };
}
