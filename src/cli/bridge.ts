// naru bridge: moves messages from one mailbox to another. A message leaves the source only after the target's receipt. What
// of a message travels is in freight.ts, opening and coming back in side.ts, the moving itself in haul.ts.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { command, DURATION_MS_MAX, oneOf, wholeNumber, type Command, type Invocation } from './command.ts';
import { EXIT, Stopped, tell, UsageError, type Ending } from './exit.ts';
import { formatCount, messages, note, printJson, Progress } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG, type Target } from './url.ts';
import { FIELDS, type Field } from './freight.ts';
import type { Connection } from './connect.ts';
import type { Haul, HaulCounts, MapMessage } from './haul.ts';
import type { Side } from './side.ts';

const ARGS = {
  from: { ...URL_ARGUMENT, description: 'where the messages are taken: shm://jobs, … (or NARU_URL)' },
  to: { type: 'positional', required: false, description: 'where they go' },
  count: { type: 'string', valueHint: 'n', description: 'end after so many messages were taken' },
  idle: {
    type: 'string',
    valueHint: 'ms',
    description: 'end (exit code 0) when the source gave no message for so long',
  },
  concurrency: {
    type: 'string',
    valueHint: 'n',
    description: 'messages between the source and the receipt of the target at most (default 256)',
  },
  map: {
    type: 'string',
    valueHint: 'module.js',
    description:
      'its default export is called with each message and returns the new body; undefined drops it',
  },
  confirm: oneOf(
    ['accepted', 'placed', 'durable', 'received'],
    'how far a message must get in the target before it leaves the source',
  ),
  without: {
    type: 'string',
    valueHint: 'field',
    description: `leave this behind: ${FIELDS.join(', ')}; may be repeated`,
  },
  timeout: { type: 'string', valueHint: 'ms', description: 'longest wait for each mailbox at the start' },
  end: { type: 'boolean', description: 'end the target when the source has ended' },
  json: { type: 'boolean', description: 'at the end, a summary as one JSON document' },
  'url-file': { ...URL_FILE_FLAG, description: 'read the URL of the source from this file instead' },
  'to-file': { ...URL_FILE_FLAG, description: 'read the URL of the target from this file instead' },
} as const;

const NOTES = `
A message is settled in the source only after the target's receipt. A bridge that is killed leaves what was in transfer in the
source: it comes again, marked as redelivered, and in the target with the same id. A side that restarts is reached again, for as
long as it takes; what the source gives again then, as it did not hear the acks, is not carried twice. Messages of the source keep
their order.

A source whose reading deletes (ack: none, see "naru places") cannot take anything back: there the bridge takes one message at a time,
and SIGKILL can lose that one. Standard error says so at the start, and what of the messages the target cannot carry.

Headers, type, priority, key, time to live, correlation id and message id travel where the target has them; --without leaves some
behind. Answers to requests do not cross a bridge.

Without --count and --idle it goes on until it is stopped or the source ends. SIGINT (130) and SIGTERM (0) finish what is in
transfer; what the target does not take within two seconds goes back to the source.`;

export const bridge: Command = command({
  name: 'bridge',
  description: 'Moves messages from one mailbox to another',
  args: ARGS,
  notes: NOTES,
  examples: [
    'naru bridge shm://jobs tcp://10.0.0.7:5000',
    'naru bridge unix:///tmp/in.sock shm://jobs --idle 1000 --json',
    'naru bridge shm://raw shm://clean --map ./clean.mjs --concurrency 1000',
  ],
  run,
});

/** Messages in transfer unless the user says otherwise. */
const CONCURRENCY = 256;
/** More would wait for room than a handle lets wait. */
const CONCURRENCY_MAX = 10_000;

async function run({ args, positionals, all, ending }: Invocation<typeof ARGS>): Promise<number> {
  const count = wholeNumber(args.count, 'count', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
  const idleMs = wholeNumber(args.idle, 'idle', 0, DURATION_MS_MAX);
  const timeoutMs = wholeNumber(args.timeout, 'timeout', 1, DURATION_MS_MAX);
  const concurrency = wholeNumber(args.concurrency, 'concurrency', 1, CONCURRENCY_MAX) ?? CONCURRENCY;
  const without = readFields(all('without'));
  const [from, to] = await findBoth(positionals, args['url-file'], args['to-file']);
  const map = args.map === undefined ? undefined : await loadMap(args.map);
  const [{ Side }, { Haul }] = await Promise.all([import('./side.ts'), import('./haul.ts')]);
  const opening = timeoutMs === undefined ? {} : { timeoutMs };
  const source = new Side('source', from, { role: 'consumer', ...opening }, ending);
  const confirm = args.confirm === undefined ? {} : { confirm: args.confirm };
  const end = args.end === true ? { needs: ['end' as const] } : {};
  const target = new Side('target', to, { role: 'producer', ...opening, ...confirm, ...end }, ending);
  await target.open();
  try {
    await source.open();
  } catch (error) {
    await target.mailbox.close({ flushMs: 0 });
    throw error;
  }
  const progress = new Progress();
  const haul: Haul = new Haul(source, target, { concurrency, idleMs, map, without }, ending, () =>
    progress.update(() => summaryOf(haul.counts)),
  );
  return finish(
    haul,
    { source, target, progress, count, endsTarget: args.end === true, json: args.json === true },
    ending,
  );
}

interface Job {
  readonly source: Side;
  readonly target: Side;
  readonly progress: Progress;
  readonly count: number;
  readonly endsTarget: boolean;
  readonly json: boolean;
}

/** Runs it, leaves both mailboxes and says how it went. */
async function finish(haul: Haul, job: Job, ending: Ending): Promise<number> {
  let failure: unknown;
  try {
    refuseLoop(job);
    announce(haul, job);
    const how = await haul.run(job.count);
    if (how === 'ended' && job.endsTarget) await job.target.mailbox.end();
  } catch (error) {
    failure = error;
  }
  job.progress.clear();
  try {
    await leave(job, failure, ending);
  } catch (error) {
    failure ??= error;
  }
  job.progress.clear();
  const { counts } = haul;
  if (counts.lost > 0)
    note(`naru: ${messages(counts.lost)} taken from a source whose reading deletes did not reach the target`);
  if (haul.requests > 0)
    note(`naru: ${messages(haul.requests)} asked for an answer, and answers do not cross a bridge`);
  if (job.json) await printJson(toJson(haul, job));
  else if (job.progress.active) note(summaryOf(counts));
  if (failure !== undefined) {
    if (counts.lost > 0 && failure instanceof Stopped && failure.reason !== 'SIGINT') return EXIT.failed;
    throw failure;
  }
  return EXIT.done;
}

/** What cannot be as it was in the source: said once, before anything moves. */
function announce(haul: Haul, { target }: Job): void {
  for (const sentence of haul.freight.lacks) note(`naru: ${sentence}`);
  if (haul.readingDeletes) {
    note(
      'naru: reading from the source deletes: one message at a time, and SIGKILL can lose the one in transfer',
    );
  }
  if (target.connection.livesHere)
    note('naru: the target lives in this process: what nobody has received when it is killed is lost');
}

/** @throws UsageError  both are one mailbox: its messages would go round for ever */
function refuseLoop({ source, target }: Job): void {
  if (source.mailbox.address !== target.mailbox.address) return;
  throw new UsageError('the source and the target are the same mailbox');
}

/** How long consumers have to learn that the mailbox has ended before its host leaves, in milliseconds. */
const END_MS = 2_000;

/**
 * Closes both. A target that lives here stays until it was emptied, as long as nobody stops the command.
 * @throws NARU_NO_CONSUMER  messages are left that nobody can receive any more
 */
async function leave(
  { source, target, progress, endsTarget }: Job,
  failure: unknown,
  ending: Ending,
): Promise<void> {
  const { closeAndCount, lostError, serveOthers } = await import('./connect.ts');
  const lostOfSource = await closeAndCount(source.connection).catch(ignoreLoss);
  if (lostOfSource > 0)
    note(`naru: ${messages(lostOfSource)} that were not moved are lost: the source lived in this process`);
  const { connection } = target;
  if (connection.livesHere && !(failure instanceof Stopped)) {
    await connection.mailbox.disconnect('producer');
    const patience = { aloneMs: Number.POSITIVE_INFINITY, quietMs: endsTarget ? END_MS : 0 };
    await serveOthers(connection.mailbox, patience, ending, (left) =>
      progress.update(
        () => `done; waiting for a receiver of ${messages(left)} (the target lives in this process)`,
      ),
    );
  }
  await closeTarget(connection, closeAndCount, lostError);
  ending.signal.throwIfAborted();
}

async function closeTarget(
  connection: Connection,
  closeAndCount: (connection: Connection) => Promise<number>,
  lostError: (count: number, connection: Connection) => Error,
): Promise<void> {
  const lost = await closeAndCount(connection).catch(ignoreLoss);
  // What the target never took has gone back to the source; only a mailbox that goes with this process takes messages along.
  if (lost === 0 || !connection.livesHere) return;
  const loss = lostError(lost, connection);
  tell(loss);
  throw loss;
}

/** A mailbox that has failed answers no more questions. */
function ignoreLoss(): number {
  return 0;
}

function toJson(haul: Haul, { source, target }: Job): Record<string, unknown> {
  const { counts } = haul;
  const seconds = counts.ms / 1000;
  return {
    from: source.mailbox.address,
    to: target.mailbox.address,
    ...counts,
    ms: Math.round(counts.ms),
    lowered: haul.freight.lowered,
    requests: haul.requests,
    reopened: source.returns + target.returns,
    messagesPerSecond: seconds === 0 ? 0 : Math.round(counts.moved / seconds),
  };
}

function summaryOf({ moved, dropped, ms }: HaulCounts): string {
  const rate = formatCount((moved * 1000) / Math.max(ms, 1));
  return `moved ${messages(moved)}${dropped > 0 ? `, dropped ${formatCount(dropped)}` : ''}, ${rate} a second`;
}

/** @throws UsageError, ConfigError */
async function findBoth(
  positionals: readonly string[],
  urlFile: string | undefined,
  toFile: string | undefined,
): Promise<readonly [Target, Target]> {
  const ofTarget = toFile === undefined ? 1 : 0;
  if (positionals.length < ofTarget)
    throw new UsageError('a bridge takes two mailbox URLs: from where, and where to');
  const from = await findTarget(positionals.slice(0, positionals.length - ofTarget), urlFile);
  const to = await findTarget(positionals.slice(positionals.length - ofTarget), toFile);
  const extra = from.rest[0] ?? to.rest[0];
  if (extra !== undefined) throw new UsageError(`"${extra}" is not a mailbox URL, or one argument too many`);
  if (from.url === to.url) throw new UsageError('the source and the target are the same mailbox');
  return [from, to];
}

function readFields(texts: readonly string[]): readonly Field[] {
  return texts.map((text) => {
    const field = FIELDS.find((name) => name === text);
    if (field !== undefined) return field;
    throw new UsageError(`--without is one of ${FIELDS.join(', ')}, not "${text}"`);
  });
}

/** @throws UsageError  it cannot be loaded, or exports no function */
async function loadMap(file: string): Promise<MapMessage> {
  let loaded: Record<string, unknown>;
  try {
    loaded = (await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UsageError(`--map ${file} cannot be loaded: ${why}`, { cause });
  }
  const map = loaded['default'] ?? loaded['map'];
  if (typeof map === 'function') return map as MapMessage;
  throw new UsageError(`--map ${file} has no function as its default export (or an export named map)`);
}
