// naru rm: destroys a mailbox for everybody.

import { NaruError } from '../errors/index.ts';
import { command, type Command, type Invocation } from './command.ts';
import { EXIT, UsageError } from './exit.ts';
import { findTarget, URL_ARGUMENT, URL_FILE_FLAG } from './url.ts';

const ARGS = { url: URL_ARGUMENT, 'url-file': URL_FILE_FLAG } as const;

export const rm: Command = command({
  name: 'rm',
  description: 'Removes a mailbox with everything in it',
  args: ARGS,
  notes: `
Whoever uses the mailbox gets NARU_CLOSED; messages in it are lost. A mailbox in shared memory is removed even when it is
damaged. Exit code 1 with NARU_NOT_FOUND when there is none.`,
  examples: ['naru rm shm://jobs'],
  run,
});

async function run({ args, positionals, ending }: Invocation<typeof ARGS>): Promise<number> {
  const target = await findTarget(positionals, args['url-file']);
  if (target.rest.length > 0) throw new UsageError(`too many arguments: "${target.rest[0]}"`);
  const { connect, schemeAndName } = await import('./connect.ts');
  const { scheme, name } = schemeAndName(target);
  if (scheme === 'shm') {
    // By name: a damaged mailbox cannot be opened, and is what most needs to be removed.
    const { removeMailbox } = await import('../places/shm/index.ts');
    if (await removeMailbox(name)) return EXIT.done;
    throw new NaruError('NARU_NOT_FOUND', `shm://${name}: there is no such mailbox`);
  }
  const { mailbox } = await connect(target, { create: 'never' }, ending);
  await mailbox.unlink();
  return EXIT.done;
}
