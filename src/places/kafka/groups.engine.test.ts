// Groups in motion, through each package: where a new one begins, members that come and go while producers send, a member that stands still,
// and a topic that many make at once.

import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { kafka } from '../../engines/kafka.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import { open } from '../../index.ts';
import { loadFirst } from './loaded.fixture.ts';
import { CLIENTS, type ClientName } from './options.ts';
import type { Told } from './peer.fixture.ts';

const PEER = fileURLToPath(new URL('./peer.fixture.js', import.meta.url));
const FOREIGN = fileURLToPath(new URL('./foreign.fixture.js', import.meta.url));
const MAKERS = 8;
/** Of a member that is no Naru's: longer than any request else may take, and than open() waits. */
const FOREIGN_SESSION_MS = 25_000;
const ROUNDS = 6;
const SLOW = { timeout: 60_000 };
const NEEDS = ['orderingKey'] as const;

const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

/** A process with a handle of its own. */
class Peer {
  readonly child: ChildProcess;
  readonly got = new Set<number>();
  created: boolean | undefined;
  isReady = false;
  failed: string | undefined;

  constructor(args: readonly string[], program = PEER) {
    this.child = fork(program, args, { execArgv: [] });
    this.child.on('message', (told: Told) => {
      if ('created' in told) this.created = told.created;
      else if ('got' in told) this.got.add(told.got);
      else if ('failed' in told) this.failed = told.failed;
      else this.isReady = true;
    });
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}

/** Sends numbers with keys of their own until it is stopped; each awaited, so that the last one that is counted is in. */
function stream(send: (n: number) => Promise<unknown>): { readonly stop: () => Promise<number> } {
  const over = new AbortController();
  const sending = (async () => {
    let n = 0;
    while (!over.signal.aborted) await send((n += 1));
    return n;
  })();
  return {
    stop: () => {
      over.abort();
      return sending;
    },
  };
}

loadFirst();

onlyWith(kafka, 'groups on kafka://', (url) => {
  for (const client of CLIENTS) each(client, url);
});

function each(client: ClientName, url: string): void {
  test(`${client}: a new group misses nothing that its handle sends once it has asked for messages`, async () => {
    const topic = `new-${randomUUID()}`;
    const address = `${url}?topic=${topic}&client=${client}`;
    for (const round of range(ROUNDS)) {
      const more = round % 2 === 0 ? '&deliver=all' : `&group=g${round}`;
      await using handle = await open(`${address}${more}`, { create: 'if-missing' });
      await handle.send('before');
      const got: unknown[] = [];
      const consuming = handle.consume(({ data }) => void got.push(data));
      const sent = range(20);
      for (const n of sent) await handle.send(n);
      await expect.poll(() => got, SLOW).toEqual(sent);
      await consuming.stop();
    }
  }, 180_000);

  test(`${client}: members come and go while messages are sent, and the group misses none`, async () => {
    const address = `${url}?topic=moving-${randomUUID()}&client=${client}`;
    await using producer = await open(`${address}&partitions=4`, {
      role: 'producer',
      create: 'if-missing',
      needs: NEEDS,
    });
    const got = new Set<number>();
    const member = async (): Promise<{ leave: () => Promise<void>; count: () => number }> => {
      let count = 0;
      const handle = await open(`${address}&group=g`, { role: 'consumer' });
      // Acks of what went to others.
      handle.on('error', () => undefined);
      await handle.connect('consumer');
      handle.consume(({ data }) => {
        count += 1;
        got.add(data as number);
      });
      return { leave: async () => void (await handle.close()), count: () => count };
    };
    const first = await member();
    const sending = stream((n) => producer.send(n, { key: `key ${n}` }));
    const others = [];
    for (let joined = 0; joined < 3; joined += 1) {
      const one = await member();
      others.push(one);
      await expect.poll(one.count, SLOW).toBeGreaterThan(0);
    }
    await first.leave();
    const before = got.size;
    await expect.poll(() => got.size, SLOW).toBeGreaterThan(before + 20);
    const sent = await sending.stop();
    await expect.poll(() => range(sent).filter((n) => !got.has(n)), SLOW).toEqual([]);
    await Promise.all(others.map((one) => one.leave()));
  }, 180_000);

  test(`${client}: a member that stood still for longer than a session lasts gets messages again`, async () => {
    const address = `${url}?topic=still-${randomUUID()}&client=${client}`;
    await using producer = await open(address, { role: 'producer', create: 'if-missing' });
    const peer = new Peer([address, 'consumer']);
    try {
      await expect.poll(() => peer.failed ?? peer.isReady, SLOW).toBe(true);
      const sending = stream((n) => producer.send(n));
      await expect.poll(() => peer.got.size, SLOW).toBeGreaterThan(0);
      peer.child.kill('SIGSTOP');
      const got = new Set<number>();
      const other = await open(address, { role: 'consumer' });
      const consuming = other.consume(({ data }) => void got.add(data as number));
      await expect.poll(() => got.size, SLOW).toBeGreaterThan(0);
      peer.child.kill('SIGCONT');
      await consuming.stop();
      await other.close();
      const sent = await sending.stop();
      await expect.poll(() => range(sent).filter((n) => !got.has(n) && !peer.got.has(n)), SLOW).toEqual([]);
      await producer.send(sent + 1);
      await expect.poll(() => peer.got.has(sent + 1), SLOW).toBe(true);
    } finally {
      await peer.end();
    }
  }, 240_000);

  test(`${client}: a member is killed and the next one opens at once: it gets what was not acked`, async () => {
    const address = `${url}?topic=restart-${randomUUID()}&client=${client}`;
    await using producer = await open(address, { role: 'producer', create: 'if-missing' });
    const peer = new Peer([address, 'keeper', '50']);
    const sent = range(200);
    try {
      await expect.poll(() => peer.failed ?? peer.isReady, SLOW).toBe(true);
      for (const n of sent.slice(0, 100)) await producer.send(n);
      await expect.poll(() => peer.got.size, SLOW).toBe(100);
    } finally {
      await peer.end();
    }
    await using next = await open(address, { role: 'consumer' });
    for (const n of sent.slice(100)) await producer.send(n);
    const got: unknown[] = [];
    const consuming = next.consume(({ data }) => void got.push(data));
    await expect.poll(() => got, SLOW).toEqual(sent.slice(50));
    await consuming.stop();
  }, 180_000);

  test(`${client}: a killed member of another program with a long session holds up the next one no longer than that`, async () => {
    const topic = `foreign-${randomUUID()}`;
    const address = `${url}?topic=${topic}&client=${client}`;
    await using producer = await open(address, { role: 'producer', create: 'if-missing' });
    const group = `naru.${topic}`;
    const foreign = new Peer([new URL(url).host, topic, group, String(FOREIGN_SESSION_MS)], FOREIGN);
    try {
      await expect.poll(() => foreign.isReady, SLOW).toBe(true);
    } finally {
      await foreign.end();
    }
    await producer.send('waits');
    const late = await open(address, { role: 'consumer', timeoutMs: 6_000 }).catch((error: unknown) => error);
    expect(late).toMatchObject({
      code: 'NARU_TIMEOUT',
      message: expect.stringMatching(/waits for a member that is gone/),
    });
    await using next = await open(address, { role: 'consumer', timeoutMs: 2 * FOREIGN_SESSION_MS });
    expect((await next.receive()).data).toBe('waits');
  }, 180_000);

  test(`${client}: of ${MAKERS} processes that make a topic at once one has made it, and all send`, async () => {
    const address = `${url}?topic=made-${randomUUID()}&partitions=2&client=${client}`;
    const peers = range(MAKERS).map(() => new Peer([address, 'producer']));
    try {
      await Promise.all(peers.map((peer) => once(peer.child, 'exit')));
      expect(peers.map(({ failed }) => failed).filter((failed) => failed !== undefined)).toEqual([]);
      expect(peers.filter(({ created }) => created === true)).toHaveLength(1);
      await using reader = await open(`${address}&deliver=all&from=start`);
      const senders = new Set<unknown>();
      for await (const { data } of reader) if (senders.add(data).size === MAKERS) break;
      expect(senders).toEqual(new Set(peers.map(({ child }) => child.pid)));
    } finally {
      await Promise.all(peers.map((peer) => peer.end()));
    }
  }, 180_000);
}
