// A process that uses one mailbox that is a pipe, for tests: a JSON object with `url`, `act` and what the act needs. Prints a line for
// each thing that happens.

import { writeSync } from 'node:fs';
import type { OpenOptions } from '../mailbox/options.ts';
import { open } from '../open.ts';

interface Orders {
  readonly url: string;
  readonly act: 'consume' | 'produce' | 'echo' | 'hold';
  readonly options?: OpenOptions;
  readonly name?: string;
  readonly count?: number;
  readonly bytes?: number;
  /** Where it says what happens. Default: 1. */
  readonly tells?: number;
}

const orders = JSON.parse(process.argv[2] ?? '{}') as Orders;
const { url, act, options = {}, name = 'm', count = 0, bytes = 0, tells = 1 } = orders;

/** Blocks until it is written: SIGKILL would take along what process.stdout has not written. */
function say(text: string): void {
  writeSync(tells, `${text}\n`);
}

const mailbox = await open(url, { codec: 'text', ...options });
mailbox.on('error', ({ error }) => say(`error ${(error as { code?: string }).code}`));
if (act !== 'echo') say('ready');

if (act === 'consume') {
  for await (const { data } of mailbox) say(String(data));
  say('ended');
} else if (act === 'produce') {
  for (let n = 1; n <= count; n += 1) {
    await mailbox.send(`${name}-${n}-`.padEnd(bytes, 'x'));
    say(`sent ${n}`);
  }
  await mailbox.close();
} else if (act === 'echo') {
  for await (const { data, headers } of mailbox) {
    await mailbox.send(`echo ${String(data)}`, Object.keys(headers).length > 0 ? { headers } : {});
  }
  await mailbox.close();
} else {
  // Nothing else keeps it alive.
  setInterval(() => undefined, 60_000);
}
