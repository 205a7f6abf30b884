// naru peek: shows the oldest waiting messages and leaves them there.

import { command, wholeNumber, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { messageToJson } from './message-json.ts';
import { ByteWriter } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: URL_ARGUMENT,
  count: { type: 'string', valueHint: 'n', description: 'how many messages at most (default 1)' },
  bytes: { type: 'boolean', description: 'write the bodies only, with no line feed after each' },
  json: { type: 'boolean', description: 'write a JSON object a message: its headers and its body' },
  'url-file': URL_FILE_FLAG,
} as const;

export const peek: Command = command({
  name: 'peek',
  description: 'Shows the oldest waiting messages without taking them',
  args: ARGS,
  notes: `
Nothing is taken, settled or created, and no seat of the mailbox is. An empty mailbox shows nothing, exit code 0. A place that
cannot be looked into is exit code 1 with NARU_UNSUPPORTED and the places that can; see also "naru places".`,
  examples: ['naru peek shm://jobs', 'naru peek tcp://127.0.0.1:5000 --count 10 --json'],
  run,
});

/** No more are asked for in one go. */
const COUNT_MAX = 100_000;

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  if (args.bytes && args.json) throw new UsageError('give only one of --bytes and --json');
  const count = wholeNumber(args.count, 'count', 1, COUNT_MAX) ?? 1;
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { refuseWithoutMessages } = await import('./kernel-objects.ts');
  refuseWithoutMessages((await import('./connect.ts')).partsOf(target), 'show');
  const { connect } = await import('./connect.ts');
  const { mailbox } = await connect(target, { create: 'never', needs: ['peek'] }, ending);
  const out = new ByteWriter();
  try {
    for (const message of await mailbox.peek(count)) {
      if (args.json) out.addLine(Buffer.from(JSON.stringify(messageToJson(message)), 'utf8'));
      else if (args.bytes || message.headers['naru.eol'] === 'none') out.add(message.body);
      else out.addLine(message.body);
    }
    await out.flush();
  } finally {
    await mailbox.close({ flushMs: 0 });
  }
  return EXIT.done;
}
