// naru send: arguments or standard input to messages, byte for byte. How standard input becomes messages is in source.ts.

import {
  atMostOne,
  command,
  DURATION_MS_MAX,
  oneOf,
  wholeNumber,
  type Command,
  type Invocation,
} from './command.ts';
import { EXIT, Stopped, tell, UsageError, type Ending } from './exit.ts';
import { readHeaders } from './headers.ts';
import { formatBytes, formatCount, messages, note, Progress } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';
import type { SendOptions } from '../mailbox/lacks.ts';
import type { WaitLimits } from '../mailbox/waiting.ts';
import type { ByteMailbox, Connection } from './connect.ts';
import type { Batch } from './source.ts';

const ARGS = {
  url: URL_ARGUMENT,
  body: {
    type: 'positional',
    required: false,
    description: 'one message an argument (default: standard input)',
  },
  lines: { type: 'boolean', description: 'standard input: one message a line (the default)' },
  bytes: { type: 'boolean', description: 'standard input: all of it is one message' },
  'json-lines': {
    type: 'boolean',
    description: 'standard input: one JSON value a line, checked; empty lines are skipped',
  },
  priority: { type: 'string', valueHint: 'n', description: 'higher is more urgent' },
  header: {
    type: 'string',
    valueHint: 'key=value',
    description: 'a header of every message; may be repeated',
  },
  ttl: { type: 'string', valueHint: 'ms', description: 'the messages expire after so many milliseconds' },
  type: { type: 'string', valueHint: 'n', description: 'type of every message' },
  confirm: oneOf(
    ['accepted', 'placed', 'durable', 'received'],
    'how far each message must get before the command goes on',
  ),
  rate: { type: 'string', valueHint: 'n', description: 'send at most so many messages a second' },
  receivers: {
    type: 'string',
    valueHint: 'n',
    description: 'wait until so many receivers are there before sending',
  },
  timeout: {
    type: 'string',
    valueHint: 'ms',
    description: 'longest wait for the mailbox, for receivers, and for room',
  },
  end: {
    type: 'boolean',
    description: 'end the mailbox after the last message, so that its receivers finish',
  },
  'url-file': URL_FILE_FLAG,
} as const;

const NOTES = `
Bytes in are bytes out: "naru receive" writes the lines that --lines read, whatever bytes they hold. A line is sent without
its line feed. When the input does not end in one, the last message carries the header naru.eol=none and "naru receive" writes
no line feed after it; where the place has no headers (format=raw) that is not possible, and the receiver adds one.

A mailbox that this command creates in shared memory stays until it is received and removed (owner=system), unless the URL
says otherwise. A mailbox on unix:// or tcp://…?listen lives in the process that opened it first: when that is this command, it
waits until somebody has received everything.`;

export const send: Command = command({
  name: 'send',
  description: 'Sends each argument, or standard input, as messages',
  args: ARGS,
  positionalsMax: Number.POSITIVE_INFINITY,
  notes: NOTES,
  examples: [
    'naru send shm://jobs "first" "second"',
    'naru send unix:///tmp/log.sock < /var/log/syslog',
    'printf \'{"id":1}\\n{"id":2}\\n\' | naru send --json-lines tcp://127.0.0.1:5000 --header tenant=a',
  ],
  run,
});

async function run({ args, positionals, all, ending }: Invocation<typeof ARGS>): Promise<number> {
  atMostOne(args, 'lines', 'bytes', 'json-lines');
  const options = sendOptions(args, all('header'));
  const receivers = wholeNumber(args.receivers, 'receivers', 0, 65_536) ?? 0;
  const rate = wholeNumber(args.rate, 'rate', 1, 1e9);
  const target = await findTarget(positionals, args['url-file']);
  const stdinMode = args.bytes ? 'bytes' : args['json-lines'] ? 'json-lines' : 'lines';
  if (target.rest.length > 0 && (args.lines || args.bytes || args['json-lines'])) {
    throw new UsageError(
      '--lines, --bytes and --json-lines are about standard input; there are arguments to send',
    );
  }
  const [{ connect }, source] = await Promise.all([import('./connect.ts'), import('./source.ts')]);
  const connection = await connect(
    target,
    {
      role: 'producer',
      ...(args.end ? { needs: ['end'] } : {}),
      ...(options.timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, options.timeoutMs) }),
    },
    ending,
  );
  const { mailbox } = connection;
  const batches =
    target.rest.length > 0
      ? source.fromArguments(target.rest)
      : source.fromStdin(stdinMode, mailbox.maxMessageBytes, ending.signal);
  const sender = new Sender(mailbox, options, ending);
  let failure: unknown;
  try {
    if (receivers > 0) await mailbox.ready({ consumers: receivers, ...limitsOf(options, ending) });
    await sender.sendAll(rate === undefined ? batches : source.paced(batches, rate, ending.signal));
    if (args.end) await mailbox.end();
  } catch (error) {
    failure = error;
  }
  try {
    if (!(failure instanceof Stopped)) await sender.waitForReceivers(connection, args.end === true);
  } catch (error) {
    failure ??= error;
  }
  sender.finish();
  await leave(connection, failure);
  return EXIT.done;
}

/**
 * Closes the mailbox and says what nobody will receive.
 * @throws what the command failed with; NARU_NO_CONSUMER when only a loss is left to be told
 */
async function leave(connection: Connection, failure: unknown): Promise<void> {
  const { closeAndCount, lostError } = await import('./connect.ts');
  const lost = await closeAndCount(connection);
  const wasStopped = failure instanceof Stopped;
  if (lost > 0) {
    const loss = lostError(lost, connection);
    if (failure === undefined || (wasStopped && failure.reason !== 'SIGINT')) throw loss;
    tell(loss);
  }
  if (failure !== undefined) throw failure;
}

/** How long consumers have to learn that the mailbox has ended before its host leaves, in milliseconds. */
const END_MS = 2_000;

/** Sends batches and counts. */
class Sender {
  readonly #mailbox: ByteMailbox;
  readonly #options: SendOptions;
  readonly #ending: Ending;
  readonly #progress = new Progress();
  readonly #startedAt = performance.now();
  #sent = 0;
  #bytes = 0;

  constructor(mailbox: ByteMailbox, options: SendOptions, ending: Ending) {
    this.#mailbox = mailbox;
    this.#options = options;
    this.#ending = ending;
  }

  async sendAll(batches: AsyncIterable<Batch>): Promise<void> {
    try {
      for await (const batch of batches) await this.#send(batch);
    } catch (error) {
      this.#sent += (error as { partial?: { sent?: number } }).partial?.sent ?? 0;
      if (this.#ending.stopped !== undefined) note(`naru: stopped after ${messages(this.#sent)}`);
      throw error;
    }
  }

  /** A mailbox that lives in this process is gone with it: everything must be taken first. */
  async waitForReceivers({ mailbox, livesHere }: Connection, hasEnded: boolean): Promise<void> {
    if (!livesHere) return;
    const { serveOthers } = await import('./connect.ts');
    // This handle must not count as a producer that others could wait for.
    await mailbox.disconnect('producer');
    const patience = { aloneMs: Number.POSITIVE_INFINITY, quietMs: hasEnded ? END_MS : 0 };
    await serveOthers(mailbox, patience, this.#ending, (count) => {
      this.#progress.update(
        () =>
          `${this.#summary()}; waiting for a receiver of ${messages(count)} (the mailbox lives in this process)`,
      );
    });
    this.#ending.signal.throwIfAborted();
  }

  finish(): void {
    this.#progress.clear();
    if (this.#progress.active) note(this.#summary());
  }

  async #send({ bodies, unterminated }: Batch): Promise<void> {
    const options = unterminated ? this.#withoutLineFeed() : this.#options;
    const { sent } = await this.#mailbox.sendMany(bodies, { ...options, signal: this.#ending.signal });
    this.#sent += sent;
    for (const body of bodies) this.#bytes += body.byteLength;
    this.#progress.update(() => this.#summary());
  }

  /** The mark that makes `naru receive` leave out the line feed. */
  #withoutLineFeed(): SendOptions {
    if (this.#mailbox.capabilities.features.headers === 'none') {
      note(
        `naru: the last line has no line feed, and this place has no headers to say so: receivers will add one`,
      );
      return this.#options;
    }
    return { ...this.#options, headers: { ...this.#options.headers, 'naru.eol': 'none' } };
  }

  #summary(): string {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const rate = formatCount(this.#sent / Math.max(seconds, 0.001));
    return `sent ${messages(this.#sent)}, ${formatBytes(this.#bytes)}, ${rate} a second`;
  }
}

function limitsOf({ timeoutMs }: SendOptions, { signal }: Ending): WaitLimits {
  return { timeoutMs, signal };
}

function sendOptions(args: Invocation<typeof ARGS>['args'], headers: readonly string[]): SendOptions {
  const options = {
    priority: wholeNumber(args.priority, 'priority', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
    ttlMs: wholeNumber(args.ttl, 'ttl', 0, DURATION_MS_MAX),
    timeoutMs: wholeNumber(args.timeout, 'timeout', 0, DURATION_MS_MAX),
    type: args.type,
    confirm: args.confirm,
    ...readHeaders(headers),
  };
  const stated = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(stated) as SendOptions;
}
