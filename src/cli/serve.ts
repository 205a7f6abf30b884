// naru serve: answers requests with what a command writes.

import { command, wholeNumber, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = {
  url: URL_ARGUMENT,
  exec: {
    type: 'string',
    valueHint: 'cmd',
    description: 'the command that answers: request on standard input, answer on standard output',
  },
  concurrency: {
    type: 'string',
    valueHint: 'n',
    description: 'requests answered at the same time (default 1)',
  },
  count: { type: 'string', valueHint: 'n', description: 'end after so many requests' },
  'url-file': URL_FILE_FLAG,
} as const;

export const serve: Command = command({
  name: 'serve',
  description: 'Answers requests with what a command writes',
  args: ARGS,
  notes: `
An exit code other than 0 is an error at the requester, with the last line of the command's standard error. The command finds
NARU_ID, NARU_DELIVERIES and NARU_HEADERS (JSON) in its environment. Ends at SIGTERM (0) and SIGINT (130) after the requests
in hand were answered.`,
  examples: [
    'naru serve shm://upper --exec "tr a-z A-Z"',
    'naru serve "tcp://127.0.0.1:5000?listen" --exec ./answer --concurrency 4',
  ],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const { exec } = args;
  if (exec === undefined) throw new UsageError('serve needs --exec: the command that answers');
  const concurrency = wholeNumber(args.concurrency, 'concurrency', 1, 1024) ?? 1;
  const count = wholeNumber(args.count, 'count', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const [{ connect }, { runForMessage }] = await Promise.all([import('./connect.ts'), import('./exec.ts')]);
  const { mailbox } = await connect(target, { role: 'consumer', needs: ['reply'] }, ending);
  const enough = new AbortController();
  ending.signal.addEventListener('abort', () => enough.abort(), { once: true });
  let started = 0;
  const serving = mailbox.serve(
    (message) => {
      started += 1;
      if (started >= count) enough.abort();
      return runForMessage(exec, message, mailbox.maxMessageBytes);
    },
    { concurrency: Math.min(concurrency, count), signal: enough.signal },
  );
  try {
    await serving.finished;
  } finally {
    await mailbox.close();
  }
  ending.signal.throwIfAborted();
  return EXIT.done;
}
