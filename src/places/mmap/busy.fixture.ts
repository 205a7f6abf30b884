// A process that never sleeps: it sends and receives synchronously until the mailbox fails, then says with which code. argv: the URL.

import { writeSync } from 'node:fs';
import { isNaruError } from '../../errors/index.ts';
import { open } from '../../open.ts';

const mailbox = await open(process.argv[2] as 'mmap:///file', { codec: 'bytes' });
await mailbox.connect('producer');
await mailbox.connect('consumer');
mailbox.on('error', () => undefined);
writeSync(1, 'busy\n');
const body = new Uint8Array(5_000).fill(1);
try {
  for (;;) {
    for (let i = 0; i < 500; i += 1) {
      mailbox.trySend(body);
      await mailbox.tryReceive()?.ack();
    }
    // Lets the timers of the handle run, and nothing else.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
} catch (error) {
  writeSync(1, `${isNaruError(error) ? error.code : String(error)}\n`);
}
await mailbox.close();
