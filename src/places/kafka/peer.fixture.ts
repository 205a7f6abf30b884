// A program of its own on a topic, for tests that start it with fork(): says whether it made the topic, and as a consumer every number that
// it gets.

import { open } from '../../index.ts';

const [address = '', role] = process.argv.slice(2);

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
  const mailbox = await open(address, { create: 'if-missing', timeoutMs: OPEN_MS });
  tell({ created: mailbox.created });
  if (role === 'consumer') {
    await mailbox.connect('consumer');
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
if (role !== 'consumer') process.disconnect();
