// A process that uses one mailbox as its first argument says, for tests: a JSON object with `url`, `act` and what the act needs.
// Prints one JSON line for each thing that happens.

import { writeSync } from 'node:fs';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { open } from '../open.ts';

interface Orders {
  readonly url: string;
  readonly act: 'hold' | 'produce' | 'consume' | 'open-and-end' | 'send-raw' | 'ask';
  readonly name?: string;
  readonly count?: number;
  readonly bytes?: number;
  /** Stop by itself when nothing came for so long. */
  readonly idleMs?: number;
  readonly options?: Record<string, unknown>;
}

const orders = JSON.parse(process.argv[2] ?? '{}') as Orders;
const { url, act, name = '', count = 0, bytes = 0, idleMs = 1_000, options = {} } = orders;

/** Blocks until it is written: process.stdout would keep what a slow reader leaves, and SIGKILL would take it along. */
function say(what: Record<string, unknown>): void {
  writeSync(1, `${JSON.stringify(what)}\n`);
}

process.on('uncaughtException', (error) => {
  say({ crashed: String(error.stack) });
  process.exit(3);
});

const mailbox = await open(url, options).catch((error: unknown) => {
  say({ refused: (error as { code?: string }).code, text: String(error) });
  process.exit(2);
});
mailbox.on('disconnect', () => say({ event: 'disconnect' }));
mailbox.on('reconnect', () => say({ event: 'reconnect' }));
say({ ready: true, created: mailbox.created, address: mailbox.address, pid: process.pid });

/** Sends name-1 … name-count; says which are placed and which are unknown. */
async function produce(): Promise<void> {
  const padding = 'x'.repeat(bytes);
  const placed: string[] = [];
  const unknown: string[] = [];
  const send = async (n: number): Promise<void> => {
    const id = `${name}-${n}`;
    try {
      await mailbox.send({ id, padding });
      placed.push(id);
      if (placed.length % 100 === 0) say({ placed: placed.splice(0) });
    } catch (error) {
      if ((error as { code?: string }).code !== 'NARU_OUTCOME_UNKNOWN') throw error;
      unknown.push(id);
    }
  };
  const inFlight = new Set<Promise<void>>();
  for (let n = 1; n <= count; n += 1) {
    const sending = send(n).finally(() => inFlight.delete(sending));
    inFlight.add(sending);
    if (inFlight.size >= 64) await Promise.race(inFlight);
  }
  await Promise.all(inFlight);
  say({ placed, unknown, done: true });
}

/** Says every message it received before it settles it: what a killed process had settled is known. */
async function consume(): Promise<void> {
  try {
    for await (const message of mailbox.messages({ timeoutMs: idleMs })) {
      say({ received: [{ id: (message.data as { id: string }).id, deliveries: message.deliveries }] });
    }
  } catch (error) {
    if ((error as { code?: string }).code !== 'NARU_TIMEOUT') throw error;
  }
  say({ done: true });
}

switch (act) {
  case 'produce':
    await produce();
    await mailbox.close();
    break;
  case 'consume':
    await consume();
    await mailbox.close();
    break;
  case 'open-and-end':
    break;
  case 'ask':
    say({ answer: (await (mailbox as unknown as Mailbox).request({ id: name })).data });
    await mailbox.close();
    break;
  default:
    // Lives until its standard input ends.
    process.stdin.resume();
    process.stdin.on('end', () => void mailbox.close().then((result) => say({ closed: result })));
}
