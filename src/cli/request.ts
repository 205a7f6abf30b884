// naru request: one request, one answer on standard output.

import { command, DURATION_MS_MAX, wholeNumber, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { readHeaders } from './headers.ts';
import { ByteWriter } from './output.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';
import type { SendOptions } from '../mailbox/lacks.ts';

const ARGS = {
  url: URL_ARGUMENT,
  body: { type: 'positional', required: false, description: 'the request (default: all of standard input)' },
  timeout: { type: 'string', valueHint: 'ms', description: 'longest wait for the answer (default 30,000)' },
  header: { type: 'string', valueHint: 'key=value', description: 'a header of the request; may be repeated' },
  bytes: {
    type: 'boolean',
    description: 'write exactly the answer; else a line feed is added when it has none at its end',
  },
  'url-file': URL_FILE_FLAG,
} as const;

export const request: Command = command({
  name: 'request',
  description: 'Sends a request and writes the answer to standard output',
  args: ARGS,
  notes: 'An error of the serving side is exit code 1 and its text on standard error.',
  examples: [
    'naru request shm://upper "hello"',
    'naru request unix:///tmp/upper.sock --timeout 1000 < request.json',
  ],
  run,
});

async function run({ args, positionals, all, ending }: Invocation<typeof ARGS>): Promise<number> {
  const timeoutMs = wholeNumber(args.timeout, 'timeout', 1, DURATION_MS_MAX);
  const headers = readHeaders(all('header'));
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 1) throw new UsageError(`too many arguments: "${target.rest[1]}"`);
  const [{ connect }, { fromStdin }] = await Promise.all([import('./connect.ts'), import('./source.ts')]);
  const waits = timeoutMs === undefined ? {} : { timeoutMs };
  const { mailbox } = await connect(target, { role: 'producer', needs: ['reply'], ...waits }, ending);
  try {
    const options: SendOptions = { ...waits, ...headers, signal: ending.signal };
    let answer: Uint8Array = Buffer.alloc(0);
    const [text] = target.rest;
    if (text === undefined) {
      for await (const { bodies } of fromStdin('bytes', mailbox.maxMessageBytes, ending.signal)) {
        answer = (await mailbox.request(bodies[0] as Uint8Array, options)).body;
      }
    } else {
      answer = (await mailbox.request(Buffer.from(text, 'utf8'), options)).body;
    }
    const out = new ByteWriter();
    if (args.bytes || answer.at(-1) === 10) out.add(answer);
    else out.addLine(answer);
    await out.flush();
  } finally {
    await mailbox.close({ flushMs: 0 });
  }
  return EXIT.done;
}
