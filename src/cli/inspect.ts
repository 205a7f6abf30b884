// naru inspect: everything that can be known of one mailbox without touching it.

import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { formatBytes, formatCount, print, printJson, table } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';
import type { MailboxStats } from '../mailbox/stats.ts';
import type { ByteMailbox } from './connect.ts';

const ARGS = {
  url: URL_ARGUMENT,
  json: { type: 'boolean', description: 'everything as one JSON document' },
  'url-file': URL_FILE_FLAG,
} as const;

export const inspect: Command = command({
  name: 'inspect',
  description: 'Shows one mailbox in full: what is in it, who is attached, what it can do, its limits',
  args: ARGS,
  notes: `
Reads only: takes no message and no seat, and creates nothing; exit code 1 with NARU_NOT_FOUND when there is no such mailbox. What the
place cannot know is "unknown" (in JSON: null).`,
  examples: ['naru inspect shm://jobs', "naru inspect shm://jobs --json | jq '.stats.depth'"],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { connect } = await import('./connect.ts');
  const { mailbox } = await connect(target, { create: 'never' }, ending);
  try {
    const report = reportOf(mailbox, await mailbox.stats());
    if (args.json) await printJson(report);
    else await print(textOf(report));
  } finally {
    await mailbox.close({ flushMs: 0 });
  }
  return EXIT.done;
}

type Report = ReturnType<typeof reportOf>;

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

function textOf({ mailbox, place, format, stats, limits, confirm, relation, features }: Report): string {
  const rows: [string, string][] = [
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
  return table([{ title: 'what' }, { title: 'value' }], rows, process.stdout);
}

function isNative(features: Report['features'], name: string): boolean {
  return (features as Readonly<Record<string, string>>)[name] === 'native';
}

function show(value: number | null, format: (value: number) => string = formatCount): string {
  return value === null ? 'unknown' : format(value);
}
