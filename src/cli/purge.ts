// naru purge: empties a mailbox and says how many messages went.

import { isNaruError, NaruError } from '../errors/index.ts';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError, type Ending } from './exit.ts';
import { messages, print, printJson } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG, type Target } from './url.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type { ByteMailbox } from './connect.ts';

const ARGS = {
  url: URL_ARGUMENT,
  json: { type: 'boolean', description: 'the outcome as one JSON document' },
  'url-file': URL_FILE_FLAG,
} as const;

export const purge: Command = command({
  name: 'purge',
  description: 'Removes every waiting message; the mailbox stays',
  args: ARGS,
  notes: `
Goes: what waits when the command begins. What a consumer has in hand is its own, and what is sent meanwhile stays. Where the place
cannot be emptied in one go, its messages are taken one after the other, which needs a consumer's seat. A topic has no such
messages (each of its consumers has its own): exit code 1 with NARU_UNSUPPORTED and the places that can. Creates nothing.`,
  examples: ['naru purge shm://jobs', 'naru purge tcp://127.0.0.1:5000 --json'],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { refuseWithoutMessages } = await import('./kernel-objects.ts');
  refuseWithoutMessages((await import('./connect.ts')).partsOf(target), 'remove');
  const mailbox = await openQueue(target, ending);
  let removed: number;
  try {
    removed = (await purged(mailbox)) ?? (await takeAll(mailbox, ending));
  } finally {
    await mailbox.close();
  }
  if (args.json) await printJson({ mailbox: mailbox.address, removed });
  else await print(`removed ${messages(removed)}\n`);
  return EXIT.done;
}

/** @throws NARU_UNSUPPORTED  it is a topic */
async function openQueue(target: Target, ending: Ending): Promise<ByteMailbox> {
  const { connect } = await import('./connect.ts');
  try {
    return (await connect(target, { create: 'never', deliver: 'one' }, ending)).mailbox;
  } catch (error) {
    if (!isNaruError(error, 'NARU_EXISTS') || !error.message.includes('deliver')) throw error;
    const { allCapabilities } = await import('../open.ts');
    throw new NaruError(
      'NARU_UNSUPPORTED',
      `${error.mailbox ?? 'the mailbox'} is a topic, and each of its consumers has its own messages; queues can be emptied: ${queuesOf(await allCapabilities())}`,
      { place: error.place, mailbox: error.mailbox, cause: error },
    );
  }
}

function queuesOf(places: readonly Capabilities[]): string {
  const schemes = places
    .filter(({ mode, features }) => mode === 'envelope' && features.crossProcess === 'native')
    .map(({ scheme }) => `${scheme}://`);
  return [...new Set(schemes)].join(', ');
}

/** @returns undefined where the place cannot do it in one go */
async function purged(mailbox: ByteMailbox): Promise<number | undefined> {
  try {
    return await mailbox.purge();
  } catch (error) {
    if (isNaruError(error, 'NARU_UNSUPPORTED')) return undefined;
    throw error;
  }
}

/** Messages taken at a time. */
const BATCH = 256;

async function takeAll(mailbox: ByteMailbox, { signal }: Ending): Promise<number> {
  const { depth } = (await mailbox.stats()).place;
  const wanted = depth < 0 ? Number.POSITIVE_INFINITY : depth;
  let removed = 0;
  try {
    while (removed < wanted) {
      signal.throwIfAborted();
      const max = Math.min(BATCH, wanted - removed);
      removed += (await mailbox.receiveMany(max, { timeoutMs: 0 })).length;
    }
  } catch (error) {
    // Empty, or others were quicker; or ended and empty.
    if (!isNaruError(error, 'NARU_TIMEOUT') && !isNaruError(error, 'NARU_CLOSED')) throw error;
  }
  return removed;
}
