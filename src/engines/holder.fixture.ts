// A consumer that takes one message, says so and keeps it until it is killed. Its URL is its argument.

import { open } from '../index.ts';

const mailbox = await open(process.argv[2] ?? '', { settle: 'manual', prefetch: 1 });
await mailbox.receive({ timeoutMs: 60_000 });
process.send?.('holds');
setInterval(() => undefined, 60_000);
