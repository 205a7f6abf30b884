// naru inspect: everything that can be known of one mailbox, or of another object of the kernel, without touching it.

import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { formatBytes, formatCount, print, printJson, table } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { MailboxStats } from '../mailbox/stats.ts';
import type { Facts, KernelObject } from './kernel-objects.ts';
import { peersText, type Shown } from './shown.ts';
import { inspectState } from './state-objects.ts';
import type { ByteMailbox } from './connect.ts';

const ARGS = {
  url: URL_ARGUMENT,
  json: { type: 'boolean', description: 'everything as one JSON document' },
  'url-file': URL_FILE_FLAG,
} as const;

export const inspect: Command = command({
  name: 'inspect',
  description:
    'Shows one mailbox, or another object that naru ls shows, in full: what is in it, who uses it, its limits',
  args: ARGS,
  notes: `
Reads only: takes no message and no seat, and creates nothing; exit code 1 with NARU_NOT_FOUND when there is no such mailbox. What the
place cannot know is "unknown" (in JSON: null). Of a queue of the kernel, and of shared memory, semaphores and FIFOs by the names that
naru ls gives them, it shows what the kernel tells (in JSON: object).`,
  examples: [
    'naru inspect shm://jobs',
    'naru inspect posix-shm://frames',
    "naru inspect shm://jobs --json | jq '.stats.depth'",
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { connect, partsOf } = await import('./connect.ts');
  const { findKernelObject, holdsNoMessages } = await import('./kernel-objects.ts');
  const url = partsOf(target);
  const { findSharedSync } = await import('./shared-sync.ts');
  const sync = await findSharedSync(url);
  if (sync !== undefined) {
    await printReport(args.json, sync);
    return EXIT.done;
  }
  if (holdsNoMessages(url)) {
    await printReport(args.json, objectOf(findKernelObject(url)));
    return EXIT.done;
  }
  // What is no FIFO is not there, rather than a wrong URL.
  if (url.scheme === 'fifo') findKernelObject(url);
  if (await inspectState(target, url, args.json, ending)) return EXIT.done;
  const { mailbox } = await connect(target, { create: 'never' }, ending);
  try {
    const object = objectOf(findKernelObject(parseUrl(mailbox.address).parts));
    await printReport(args.json, object, reportOf(mailbox, await mailbox.stats()));
  } finally {
    await mailbox.close({ flushMs: 0 });
  }
  return EXIT.done;
}

type Report = ReturnType<typeof reportOf>;
type Row = [what: string, value: string];

/** What the kernel tells of the object that the mailbox is, or of one that is no mailbox. */
interface ObjectReport {
  readonly shown: Shown;
  readonly facts: Facts;
}

function objectOf(object: KernelObject | undefined): ObjectReport | undefined {
  return object === undefined ? undefined : { shown: object.shown, facts: object.facts() };
}

async function printReport(
  isJson: boolean | undefined,
  object: ObjectReport | undefined,
  mailbox?: Report,
): Promise<void> {
  if (isJson) {
    const about = object === undefined ? {} : { object: { ...object.shown, ...object.facts } };
    return printJson({ ...mailbox, ...about });
  }
  const rows = mailbox === undefined ? [] : rowsOf(mailbox);
  if (object !== undefined) rows.push(...rowsOfObject(object));
  await print(table([{ title: 'what' }, { title: 'value' }], rows, process.stdout));
}

function rowsOfObject({ shown: { kind, name, uid, mode, depth, bytes, peers }, facts }: ObjectReport): Row[] {
  const rows: Row[] = [
    ['object', `${kind} ${name}`],
    ['owner', uid === null ? 'unknown' : `uid ${uid}`],
    ['mode', mode === null ? 'unknown' : mode.toString(8).padStart(3, '0')],
    ['who', peers === null ? 'unknown' : peersText(peers)],
  ];
  if (kind === 'semaphore' && depth !== null) rows.push(['semaphores', formatCount(depth)]);
  if (bytes !== null) rows.push(['bytes', formatBytes(bytes)]);
  for (const [what, value] of Object.entries(facts)) {
    rows.push([what.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`), String(value ?? 'unknown')]);
  }
  return rows;
}

function reportOf(mailbox: ByteMailbox, { place }: MailboxStats) {
  const { capabilities, address, maxMessageBytes } = mailbox;
  const { scheme, mode, features, notes, limits, confirm, relation } = capabilities;
  return {
    mailbox: address,
    place: scheme,
    format: mode,
    stats: {
      depth: known(place.depth),
      depthBytes: known(place.depthBytes),
      unsettled: known(place.unsettled),
      producers: known(place.producers),
      consumers: known(place.consumers),
      dropped: place.dropped,
      blockedBy: place.blockedBy ?? null,
      extra: place.extra,
    },
    limits: {
      ...limits,
      maxMessageBytes,
      capacityBytes: known(place.capacityBytes),
      capacityMessages: known(place.capacityMessages),
    },
    confirm,
    relation,
    features,
    notes,
  };
}

/** A number of the place; null where it cannot know. */
function known(value: number): number | null {
  return value < 0 || !Number.isFinite(value) ? null : value;
}

function rowsOf({ mailbox, place, format, stats, limits, confirm, relation, features }: Report): Row[] {
  const rows: Row[] = [
    ['mailbox', mailbox],
    ['place', `${place}://${format === 'raw' ? ' (format=raw)' : ''}`],
    ['waiting', show(stats.depth)],
    ['waiting bytes', show(stats.depthBytes, formatBytes)],
    ['unsettled', show(stats.unsettled)],
    ['producers', `${show(stats.producers)} of ${formatCount(limits.maxProducers)}`],
    ['consumers', `${show(stats.consumers)} of ${formatCount(limits.maxConsumers)}`],
    ['capacity', `${show(limits.capacityBytes, formatBytes)}, ${show(limits.capacityMessages)} messages`],
    ['largest message', formatBytes(limits.maxMessageBytes)],
    ['priorities', `${limits.priorityMin} to ${limits.priorityMax}`],
    ['receipt of send', confirm],
    ['relation', relation],
  ];
  if (stats.blockedBy !== null && stats.blockedBy.length > 0)
    rows.push(['blocked by', stats.blockedBy.join(', ')]);
  for (const [reason, count] of Object.entries(stats.dropped))
    rows.push([`dropped: ${reason}`, formatCount(count)]);
  for (const [name, value] of Object.entries(stats.extra)) rows.push([name, formatCount(value)]);
  rows.push([
    'can',
    Object.keys(features)
      .filter((name) => isNative(features, name))
      .join(', '),
  ]);
  return rows;
}

function isNative(features: Report['features'], name: string): boolean {
  return (features as Readonly<Record<string, string>>)[name] === 'native';
}

function show(value: number | null, format: (value: number) => string = formatCount): string {
  return value === null ? 'unknown' : format(value);
}
