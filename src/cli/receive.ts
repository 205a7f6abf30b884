// naru receive: message bodies to standard output, byte for byte, settled only after they were written. --exec is in exec.ts.

import {
  atMostOne,
  command,
  DURATION_MS_MAX,
  oneOf,
  wholeNumber,
  type Command,
  type Invocation,
} from './command.ts';
import { EXIT, tell, UsageError, type Ending } from './exit.ts';
import { messageToJson } from './message-json.ts';
import { ByteWriter, messages, note, Progress } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';
import type { Message } from '../mailbox/message.ts';
import type { ByteMailbox, Connection } from './connect.ts';

const ARGS = {
  url: URL_ARGUMENT,
  count: { type: 'string', valueHint: 'n', description: 'end after so many messages' },
  timeout: {
    type: 'string',
    valueHint: 'ms',
    description: 'fail (exit code 1) when no message came for so long',
  },
  follow: {
    type: 'boolean',
    description: 'go on until interrupted or the mailbox ends (the default without --count)',
  },
  bytes: { type: 'boolean', description: 'write the bodies only, with no line feed after each' },
  json: { type: 'boolean', description: 'write a JSON object a message: its headers and its body' },
  ack: oneOf(
    ['auto', 'none'],
    'auto (default): settle what was written; none: settle nothing, everything goes back at the end',
  ),
  exec: {
    type: 'string',
    valueHint: 'cmd',
    description: 'run this for each message, its body on standard input',
  },
  'url-file': URL_FILE_FLAG,
} as const;

const NOTES = `
A message is settled after its bytes were written. What was taken and not written goes back to the mailbox: when the reader
of standard output goes away ("| head", exit code 0), at SIGTERM (0) and at SIGINT (130).

--exec: exit code 0 acks the message; anything else nacks it, and it is tried again after a growing pause. After five attempts
the command stops with exit code 1 and the message stays in the mailbox. The command finds NARU_ID, NARU_DELIVERIES and
NARU_HEADERS (JSON) in its environment.

--json: one object a line. "body" is text; where a body is no UTF-8 it is base64 and "encoding" says so.`;

export const receive: Command = command({
  name: 'receive',
  description: 'Writes received messages to standard output',
  args: ARGS,
  notes: NOTES,
  examples: [
    'naru receive shm://jobs --count 10',
    'naru receive "tcp://127.0.0.1:5000?listen" > received.log',
    'naru receive unix:///tmp/jobs.sock --exec "./handle-one-job"',
  ],
  run,
});

/** How long a host whose own work is done waits for others to come for what is left, or to leave, in milliseconds. */
const LINGER_MS = 2_000;

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  atMostOne(args, 'count', 'follow');
  atMostOne(args, 'bytes', 'json', 'exec');
  const count = wholeNumber(args.count, 'count', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
  const timeoutMs = wholeNumber(args.timeout, 'timeout', 0, DURATION_MS_MAX);
  const settles = args.ack !== 'none';
  if (args.exec !== undefined && !settles)
    throw new UsageError('--exec settles each message; --ack none does not go with it');
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { connect } = await import('./connect.ts');
  const limits = timeoutMs === undefined ? {} : { timeoutMs };
  const connection = await connect(
    target,
    {
      role: 'consumer',
      ...(timeoutMs === undefined ? {} : { timeoutMs: Math.max(1, timeoutMs) }),
      ...(settles ? {} : { settle: 'manual', needs: ['ack'] }),
    },
    ending,
  );
  const { mailbox } = connection;
  try {
    if (args.exec !== undefined) {
      const { receiveWithCommand } = await import('./exec.ts');
      await receiveWithCommand(mailbox, args.exec, { count, ...limits }, ending);
    } else {
      const write = args.json ? addJson : args.bytes ? addBytes : addLine;
      await new Receiving(mailbox, write, settles, ending).run(count, timeoutMs);
    }
  } finally {
    await leave(connection, ending);
  }
  return EXIT.done;
}

type AddMessage = (out: ByteWriter, message: Message<Uint8Array>) => void;

const addBytes: AddMessage = (out, message) => out.add(message.body);

/** The sender marks a last line that had no line feed: see `naru send --help`. */
const addLine: AddMessage = (out, message) => {
  if (message.headers['naru.eol'] === 'none') out.add(message.body);
  else out.addLine(message.body);
};

const addJson: AddMessage = (out, message) => {
  out.addLine(Buffer.from(JSON.stringify(messageToJson(message)), 'utf8'));
};

/** Takes messages, writes them, and settles what was written. */
class Receiving {
  readonly #mailbox: ByteMailbox;
  readonly #add: AddMessage;
  readonly #settles: boolean;
  readonly #ending: Ending;
  readonly #out = new ByteWriter();
  readonly #progress = new Progress(!process.stdout.isTTY);
  #received = 0;

  constructor(mailbox: ByteMailbox, add: AddMessage, settles: boolean, ending: Ending) {
    this.#mailbox = mailbox;
    this.#add = add;
    this.#settles = settles;
    this.#ending = ending;
  }

  /** Resolves when `count` messages were written or the mailbox ended. */
  async run(count: number, timeoutMs: number | undefined): Promise<void> {
    try {
      while (this.#received < count) {
        if (!(await this.#receiveUpTo(count - this.#received, timeoutMs))) break;
      }
    } finally {
      this.#progress.clear();
    }
  }

  /**
   * Runs one loop that never takes more than is wanted: what is taken too much would have to be given back, and would
   * look like a redelivery to others.
   * @returns false when the mailbox has ended
   */
  async #receiveUpTo(wanted: number, timeoutMs: number | undefined): Promise<boolean> {
    const max = Math.min(wanted, BATCH);
    const limits = timeoutMs === undefined ? {} : { timeoutMs };
    const batches = this.#mailbox.batches({ max, signal: this.#ending.signal, ...limits });
    let left = wanted;
    for await (const batch of batches) {
      for (const message of batch) this.#add(this.#out, message);
      await this.#out.flush();
      this.#received += batch.length;
      left -= batch.length;
      this.#progress.update(() => `received ${messages(this.#received)}`);
      const stop = left < max || this.#ending.stopped !== undefined;
      if (!stop) continue;
      if (this.#settles) await Promise.all(batch.map((message) => message.ack()));
      this.#ending.signal.throwIfAborted();
      return true;
    }
    return false;
  }
}

/** Messages taken at a time. */
const BATCH = 256;

/**
 * Closes the mailbox. One that lives in this process goes with it: while others take from it, it stays; when nobody is there
 * it waits a little for somebody, and then says what is lost.
 */
async function leave(connection: Connection, ending: Ending): Promise<void> {
  const { mailbox, livesHere } = connection;
  const { closeAndCount, serveOthers } = await import('./connect.ts');
  if (livesHere) {
    const progress = new Progress();
    try {
      await mailbox.disconnect('consumer');
      await serveOthers(mailbox, { aloneMs: LINGER_MS, quietMs: LINGER_MS }, ending, (count) => {
        progress.update(() => `done; others still take ${messages(count)} from this process`);
      });
    } catch (error) {
      tell(error);
    }
    progress.clear();
  }
  const lost = await closeAndCount(connection);
  if (lost > 0)
    note(`naru: ${messages(lost)} that nobody received are lost: the mailbox lived in this process`);
}
