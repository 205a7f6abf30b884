// A program of its own on a topic, for tests that start it with fork(): says whether it made the topic, and as a consumer every number that
// it gets.

import { open } from '../../index.ts';

/** A keeper is a consumer that acks numbers up to `last` and keeps what comes behind them. */
const [address = '', role, last = ''] = process.argv.slice(2);

/** To load the package alone takes a second of a processor that is free, and there are many of these programs. */
const OPEN_MS = 60_000;

/** What it tells its parent. */
export type Told =
  | { readonly created: boolean }
  | { readonly isReady: true }
  | { readonly got: number }
  | { readonly failed: string };

function tell(told: Told): void {
  process.send?.(told);
}

async function run(): Promise<void> {
  const mailbox = await open(address, {
    create: 'if-missing',
    timeoutMs: OPEN_MS,
    settle: role === 'keeper' ? 'manual' : 'auto',
  });
  tell({ created: mailbox.created });
  if (role === 'consumer' || role === 'keeper') await mailbox.connect('consumer');
  if (role === 'keeper') {
    tell({ isReady: true });
    for (;;) {
      const message = await mailbox.receive();
      const got = message.data as number;
      if (got <= Number(last)) await message.ack();
      tell({ got });
    }
  } else if (role === 'consumer') {
    tell({ isReady: true });
    for await (const { data } of mailbox) tell({ got: data as number });
  } else {
    await mailbox.send(process.pid);
    await mailbox.close();
  }
}

// Its parent's end is its own.
process.on('disconnect', () => process.exit());
try {
  await run();
} catch (error) {
  tell({ failed: String(error) });
}
if (role === 'producer') process.disconnect();
