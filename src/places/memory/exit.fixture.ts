// A process that does one thing and then has nothing more to do. Started by exit.test.ts.

import { open } from '../../index.ts';

const scenario = process.argv[2];
const mailbox = await open('memory://exit?capacityMessages=5&leaseMs=60000&flushMs=400');
const say = (text: string): boolean => process.stdout.write(`${text}\n`);

if (scenario === 'idle') {
  await mailbox.send('leased');
  await mailbox.receive();
  await mailbox.send('waits', { ttlMs: 60_000 });
  await mailbox.send('delayed', { delayMs: 60_000 });
  say('ready');
} else if (scenario === 'receive') {
  void mailbox.receive();
  say('ready');
} else if (scenario === 'receive-abort') {
  const controller = new AbortController();
  mailbox.receive({ signal: controller.signal }).catch(() => say('aborted'));
  say('ready');
  setImmediate(() => controller.abort());
} else if (scenario === 'full') {
  for (let n = 0; n < 6; n += 1) void mailbox.send(n);
  say('ready');
} else if (scenario === 'receipt') {
  void mailbox.send('x', { confirm: 'received' });
  say('ready');
}
