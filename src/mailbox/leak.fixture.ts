// A program that forgets claims and views, run with --expose-gc by leaks.test.ts: `leak.fixture.js <url> <scenario>`. Prints
// what it saw as one line of JSON.

import { setImmediate as turn } from 'node:timers/promises';
import type { MailboxEvents } from './events.ts';
import type { Claim } from './claim.ts';
import type { MessageView } from './view.ts';
import { open } from '../index.ts';

const [url = 'memory://leaks', scenario = ''] = process.argv.slice(2);
const { gc } = globalThis as { gc?: () => void };
const mailbox = await open(url, { codec: 'bytes', needs: ['claim', 'views', 'trySync'] });
await mailbox.connect('producer');
await mailbox.connect('consumer');
const leaks: MailboxEvents['leak'][] = [];
if (scenario !== 'unheard') mailbox.on('leak', (leak) => leaks.push(leak));

/** Collects garbage until `count` leaks were reported, or long enough to be sure that there are no more. */
async function collect(count: number): Promise<void> {
  for (let rounds = count === 0 ? 20 : 500; rounds > 0; rounds -= 1) {
    if (count > 0 && leaks.length >= count) return;
    await turn();
    gc?.();
  }
}

// Each in a function of its own: the frame of the caller must not hold what was forgotten.
async function forgetClaim(): Promise<void> {
  (await mailbox.claim(100)).data.fill(9);
}

async function forgetView(): Promise<void> {
  const view = await mailbox.receiveView();
  if (view.data[0] !== 1) throw new Error('another message');
}

async function onlyData(of: Promise<Claim | MessageView>): Promise<Uint8Array> {
  return (await of).data;
}

async function tidy(): Promise<void> {
  for (let n = 0; n < 1_000; n += 1) {
    const claim = await mailbox.claim(8);
    if (n % 3 === 0) claim.abort();
    else {
      claim.commit();
      const view = await mailbox.receiveView();
      if (n % 100 === 1) await turn();
      await (n % 2 === 0 ? view.ack() : view.reject());
    }
    if (n % 100 === 0) await turn();
  }
}

const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  async claim() {
    await forgetClaim();
    const behind = mailbox.send(Uint8Array.of(1));
    await collect(1);
    await behind;
    return [...(await mailbox.receive()).data];
  },
  async view() {
    await mailbox.send(Uint8Array.of(1));
    await forgetView();
    await collect(1);
    const { deliveries } = await mailbox.receive({ timeoutMs: 5_000 });
    return deliveries;
  },
  async unheard() {
    await forgetClaim();
    const warned = new Promise<Error>((resolve) => {
      process.on('warning', resolve);
    });
    void collect(1);
    const warning = (await warned) as Error & { detail?: string };
    return [warning.name, warning.message, warning.detail];
  },
  async tidy() {
    await tidy();
    await collect(0);
    return leaks.length;
  },
  /** Whoever holds the bytes still uses them. */
  async data() {
    let data: Uint8Array | undefined = await onlyData(mailbox.claim(10));
    await collect(0);
    const before = leaks.length;
    data.fill(1);
    data = undefined;
    await collect(1);
    await mailbox.send(Uint8Array.of(1));
    data = await onlyData(mailbox.receiveView());
    await collect(0);
    const between = leaks.length;
    if (data[0] !== 1) throw new Error('another message');
    data = undefined;
    await collect(2);
    return [before, between, leaks.length];
  },
  /** Faster than their stacks could be noted. */
  async many() {
    const makeMany = (): void => {
      for (let n = 0; n < 1_000; n += 1) {
        if (!mailbox.trySend(Uint8Array.of(1))) throw new Error('full');
        mailbox.tryReceiveView();
      }
    };
    makeMany();
    await collect(1_000);
    const named = (all: typeof leaks): number =>
      all.filter(({ createdAt }) => createdAt.includes('makeMany')).length;
    const first = [leaks.length, named(leaks) > 0, named(leaks) < 1_000];
    await mailbox.purge();
    const before = leaks.length;
    makeMany();
    await collect(before + 1_000);
    return [...first, named(leaks.slice(before))];
  },
  async closed() {
    await mailbox.send(Uint8Array.of(1));
    await forgetView();
    await forgetClaim();
    await mailbox.close();
    await collect(0);
    return leaks.length;
  },
};

const result = await scenarios[scenario]?.();
const [first] = leaks;
process.stdout.write(JSON.stringify({ result, kind: first?.kind, createdAt: first?.createdAt }));
await mailbox.close();
