// interop/naru_ring.h against this package, in real processes: both ways, every way of consuming that it knows, sleeping and waking,
// deaths on either side, damaged headers, and nothing left behind.

import { mkdirSync, readdirSync, readFileSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { type Mailbox, open } from 'naru';
import { numbered } from '#naru/places/shm/peer.fixture';
import { Scene, until, upTo } from '#naru/places/shm/scene.fixture';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { compiler, CPeer, numberedBody, readNumberedBody, sumLine } from './c-peer.fixture.ts';

const TIMEOUT = { timeout: 60_000 };
const COUNT = 120_000;
/** Bodies have 8 to 1,507 bytes; a lane of 64 KiB wraps more than a thousand times. */
const MORE = 1500;
const CHUNK = 500;

let peer: CPeer;
let scene: Scene;
const opened: { close(options: { flushMs: number }): Promise<unknown> }[] = [];
beforeAll(() => {
  if (compiler !== undefined) peer = new CPeer();
});
afterAll(() => peer?.remove());
beforeEach(() => {
  scene = new Scene();
});
afterEach(async () => {
  for (const handle of opened.splice(0)) await handle.close({ flushMs: 0 });
  await scene.end();
});

type Relation = '1:1' | 'N:1' | '1:N' | 'N:N';

async function mailbox(
  role: 'producer' | 'consumer' | 'both' | 'none',
  relation: Relation,
  name = 'm',
): Promise<Mailbox<Uint8Array, Uint8Array>> {
  const handle = await open(`shm://${name}?capacity=64KiB`, {
    codec: 'bytes',
    relation,
    ...(role === 'none' ? {} : { role }),
  });
  opened.push(handle);
  return handle as Mailbox<Uint8Array, Uint8Array>;
}

async function sendNumbered(
  producer: Mailbox<Uint8Array>,
  id: number,
  count: number,
  more = MORE,
): Promise<void> {
  for (let from = 0; from < count; from += CHUNK)
    await producer.sendMany(upTo(Math.min(CHUNK, count - from)).map((i) => numberedBody(id, from + i, more)));
}

/** Checks that every producer's messages come whole and in order. */
class Tally {
  readonly next = new Map<number, number>();
  readonly senders = new Map<number, Set<string>>();
  total = 0;

  add(body: Uint8Array, sender: string, more = MORE): void {
    const { id, sequence } = readNumberedBody(body, more);
    const expected = this.next.get(id) ?? 0;
    if (sequence !== expected) throw new Error(`${sequence} of producer ${id} came, not ${expected}`);
    this.next.set(id, sequence + 1);
    const senders = this.senders.get(id) ?? new Set();
    this.senders.set(id, senders.add(sender));
    this.total += 1;
  }

  async drain(consumer: Mailbox<unknown, Uint8Array>, count: number): Promise<void> {
    if (this.total >= count) return;
    for await (const batch of consumer.batches({ max: 256 })) {
      for (const { data, sender } of batch) this.add(data, sender);
      if (this.total >= count) return;
    }
  }
}

/** Typed arrays are compared element by element, which takes seconds. */
function comparable(value: unknown): unknown {
  return value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value;
}

const closed = (): void => expect(readdirSync(scene.folder)).toEqual([]);

describe.skipIf(compiler === undefined)('a C program', () => {
  test.each<[Relation, string]>([
    ['1:1', 'consume'],
    ['N:1', 'consume'],
    ['N:1', 'scatter'],
    ['1:N', 'consume'],
    ['N:N', 'consume'],
    ['N:N', 'nack'],
    ['N:1', 'nack'],
    ['N:N', 'singly'],
    ['N:1', 'singly'],
    ['1:1', 'singly'],
  ])('receives what TypeScript sends over %s (%s)', TIMEOUT, async (relation, role) => {
    const producer = await mailbox('producer', relation);
    const c = peer.start(scene, role, 'm', MORE);
    await sendNumbered(producer, 3, COUNT);
    await producer.end();
    expect(await c.exit).toBe(0);
    if (role === 'scatter') expect(c.lines.at(-1)).toBe(`got ${COUNT}`);
    else {
      expect(c.lines.slice(1, -1)).toEqual([sumLine(3, COUNT)]);
      expect(c.lines.at(-1)).toBe(`got ${COUNT} ${role === 'nack' ? COUNT / 50 : 0}`);
    }
    expect((await producer.stats()).place.depth).toBe(0);
    await producer.close();
    closed();
  });

  test.each<[Relation, number]>([
    ['1:1', 64],
    ['N:1', 1],
    ['N:1', 200],
    ['1:N', 7],
    ['N:N', 64],
  ])('sends to TypeScript over %s, %i at a time', TIMEOUT, async (relation, burst) => {
    const consumer = await mailbox('consumer', relation);
    const c = peer.start(scene, 'produce', 'm', 5, COUNT, MORE, burst);
    const tally = new Tally();
    await tally.drain(consumer, COUNT);
    expect(await c.exit).toBe(0);
    expect(tally.next.get(5)).toBe(COUNT);
    expect([...(tally.senders.get(5) ?? [])]).toEqual([c.lines[0]?.slice(5)]);
    await consumer.close();
    closed();
  });

  test('is one of several producers of a TypeScript consumer', TIMEOUT, async () => {
    const consumer = await mailbox('consumer', 'N:1');
    const ids = [1, 2, 3, 4];
    const children = ids.map((id) => peer.start(scene, 'produce', 'm', id, 30_000, MORE, id * 20 - 19));
    const producer = await mailbox('producer', 'N:1');
    const sent = sendNumbered(producer, 0, 30_000);
    const tally = new Tally();
    await tally.drain(consumer, 150_000);
    await sent;
    for (const { exit } of children) expect(await exit).toBe(0);
    expect([...tally.next]).toHaveLength(5);
    expect([...tally.next.values()]).toEqual([...tally.next].map(() => 30_000));
    for (const id of ids)
      expect([...(tally.senders.get(id) ?? [])]).toEqual([children[id - 1]?.lines[0]?.slice(5)]);
  });

  test('competes with TypeScript for messages, and each comes once', TIMEOUT, async () => {
    const producer = await mailbox('producer', 'N:N');
    const children = [1, 2].map(() => peer.start(scene, 'consume', 'm', MORE));
    const consumer = await mailbox('consumer', 'N:N');
    const sent = sendNumbered(producer, 1, COUNT).then(() => producer.end());
    let [own, sum] = [0, 0];
    for await (const batch of consumer.batches({ max: 64 }))
      for (const { data } of batch) {
        sum += readNumberedBody(data, MORE).sequence;
        own += 1;
      }
    await sent;
    const counts = await Promise.all(
      children.map(async (child) => {
        expect(await child.exit).toBe(0);
        sum += Number(child.lines.find((line) => line.startsWith('sum'))?.split(' ')[2] ?? 0);
        return Number(child.lines.at(-1)?.split(' ')[1]);
      }),
    );
    expect(counts.reduce((all, count) => all + count, own)).toBe(COUNT);
    expect(sum).toBe((COUNT * (COUNT - 1)) / 2);
    // Nobody took all of it.
    expect(Math.min(...counts)).toBeGreaterThan(0);
  });

  test.each(['json', 'text', 'bytes'] as const)('carries %s both ways unchanged', TIMEOUT, async (codec) => {
    const there = await open('shm://there?capacity=1MiB', { codec, role: 'producer' });
    const back = await open('shm://back?capacity=1MiB', { codec, role: 'consumer' });
    opened.push(there, back);
    const c = peer.start(scene, 'echo', 'there', 'back');
    const values: unknown[] = upTo(2000).map((i) => {
      if (codec === 'bytes') return numberedBody(1, i, i + 1);
      const text = `${'grüße, 世界 🚀 '.repeat(i % 50)}${i}`;
      return codec === 'text' ? text : { i, text, list: [i / 3, null, true, { deep: [text] }] };
    });
    values.push(
      codec === 'bytes' ? new Uint8Array(0) : '',
      codec === 'bytes' ? new Uint8Array(100_000) : 'x'.repeat(100_000),
    );
    const sent = (async () => {
      for (const value of values) await there.send(value);
      await there.end();
    })();
    const got: unknown[] = [];
    for await (const { data } of back) got.push(data);
    await sent;
    expect(got.length).toBe(values.length);
    expect(got.map(comparable)).toEqual(values.map(comparable));
    expect(await c.exit).toBe(0);
    expect(c.lines.at(-1)).toBe('ended ENDED');
  });
});

/** Whether a process sleeps on a futex. */
function isParked(pid: number | undefined): boolean {
  return / S /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').slice(0, 40)) && wchan(pid).includes('futex');
}

function wchan(pid: number | undefined): string {
  const text = readFileSync(`/proc/${pid}/wchan`, 'latin1');
  // Where the kernel does not tell, sleeping at all is the sign.
  return text === '' || text === '0' ? 'futex' : text;
}

describe.skipIf(compiler === undefined)('a sleeper', () => {
  test.each<Relation>(['N:1', 'N:N'])('in C is woken by TypeScript over %s', TIMEOUT, async (relation) => {
    const producer = await mailbox('producer', relation);
    const c = peer.start(scene, 'list', 'm', 3);
    await until(() => c.lines.length === 1, 'it is open');
    for (const sequence of upTo(3)) {
      await until(() => isParked(c.child.pid), 'it sleeps');
      await producer.send(numberedBody(1, sequence, 8));
      await until(() => c.lines.length >= 2 + sequence, 'it has the message');
    }
    expect(await c.exit).toBe(0);
    expect(c.lines.slice(1)).toEqual(['got 1 0 1', 'got 1 1 1', 'got 1 2 1', 'listed 0']);
  });

  test.each<Relation>(['N:1', 'N:N'])('in TypeScript is woken by C over %s', TIMEOUT, async (relation) => {
    const consumer = await mailbox('consumer', relation);
    const first = consumer.receive({ timeoutMs: 20_000 });
    while (((await consumer.stats()).place.extra?.['parks'] ?? 0) === 0) await turn();
    const c = peer.start(scene, 'produce', 'm', 1, 1, 8, 1);
    expect(readNumberedBody((await first).data, 8)).toEqual({ id: 1, sequence: 0 });
    expect(await c.exit).toBe(0);
    const { extra } = (await consumer.stats()).place;

    expect(extra?.['safetyWakeups']).toBe(0);
    expect(extra?.['wakeups']).toBeGreaterThan(0);
  });

  test.each<Relation>(['N:1', 'N:N'])(
    'in C waits for room, and is woken over %s',
    TIMEOUT,
    async (relation) => {
      const consumer = await mailbox('consumer', relation);
      const c = peer.start(scene, 'produce', 'm', 1, 3000, MORE, 1);
      await until(() => c.lines.length === 1 && isParked(c.child.pid), 'it sleeps before a full mailbox');
      const tally = new Tally();
      await tally.drain(consumer, 3000);
      expect(await c.exit).toBe(0);
    },
  );

  test.each<Relation>(['N:1', 'N:N'])(
    'in TypeScript waits for room, and is woken by C over %s',
    TIMEOUT,
    async (relation) => {
      const producer = await mailbox('producer', relation);
      let isFull = false;
      producer.on('full', () => {
        isFull = true;
      });
      const sent = sendNumbered(producer, 1, 3000).then(() => producer.end());
      await until(() => isFull, 'it waits');
      const c = peer.start(scene, 'singly', 'm', MORE);
      await sent;
      expect(await c.exit).toBe(0);
      expect(c.lines.at(-1)).toBe('got 3000 0');
    },
  );
});

describe.skipIf(compiler === undefined)('after a death', () => {
  test('of a C producer only what it had not published is missing', TIMEOUT, async () => {
    const consumer = await mailbox('consumer', 'N:1');
    const c = peer.start(scene, 'half', 'm');
    await until(() => c.lines.includes('half'), 'half of it is published');
    c.child.kill('SIGKILL');
    expect(await c.exit).toBe('SIGKILL');
    for (const sequence of upTo(5))
      expect(readNumberedBody((await consumer.receive()).data, 8).sequence).toBe(sequence);
    await until(() => consumer.peers.producers === 0, 'its seat is free', 3_000);
    expect(consumer.tryReceive()).toBeUndefined();
    // The next one continues the lane.
    const next = peer.start(scene, 'produce', 'm', 2, 100, 8, 1);
    for (const sequence of upTo(100))
      expect(readNumberedBody((await consumer.receive()).data, 8)).toEqual({ id: 2, sequence });
    expect(await next.exit).toBe(0);
    await consumer.close();
    closed();
  });

  test.each<Relation>(['N:1', 'N:N'])(
    'of C producers in the middle of it, all others go on over %s',
    TIMEOUT,
    async (relation) => {
      const consumer = await mailbox('consumer', relation);
      const tally = new Tally();
      const drained = (async () => {
        for await (const batch of consumer.batches({ max: 256 }))
          for (const { data, sender } of batch) tally.add(data, sender);
      })();
      const steady = peer.start(scene, 'produce', 'm', 0, 100_000, MORE, 10).exit;
      for (const id of upTo(10)) {
        const c = peer.start(scene, 'produce', 'm', id + 1, 10_000_000, MORE, 1 + id * 7);
        await until(() => (tally.next.get(id + 1) ?? 0) > 100 + id * 37, 'it sends');
        c.child.kill('SIGKILL');
        expect(await c.exit).toBe('SIGKILL');
      }
      expect(await steady).toBe(0);
      await until(() => consumer.peers.producers === 0, 'every seat is free', 3_000);
      await until(() => tally.next.get(0) === 100_000, 'the steady one’s messages have come');
      await consumer.end().catch(() => undefined);
      await consumer.close();
      await drained.catch(() => undefined);
      closed();
    },
  );

  test('of a C consumer what it had comes again to TypeScript, and is marked', TIMEOUT, async () => {
    const producer = await mailbox('producer', 'N:N');
    await sendNumbered(producer, 1, 10, 8);
    const c = peer.start(scene, 'hold', 'm', 4);
    await until(() => c.lines.includes('listed 0'), 'it has four');
    const consumer = await mailbox('consumer', 'N:N');
    const before = upTo(6).map(() => consumer.tryReceive());
    expect(before.map((message) => message?.deliveries)).toEqual(upTo(6).map(() => 1));
    c.child.kill('SIGKILL');
    const again = [];
    for (const sequence of upTo(4)) {
      const message = await consumer.receive({ timeoutMs: 5000 });
      again.push([readNumberedBody(message.data, 8).sequence, message.deliveries, message.redelivered]);
      expect(sequence).toBeLessThan(4);
    }
    expect(again).toEqual(upTo(4).map((sequence) => [sequence, 2, true]));
  });

  test('of an exclusive C consumer the next one gets what it had, marked', TIMEOUT, async () => {
    const producer = await mailbox('producer', 'N:1');
    await sendNumbered(producer, 1, 6, 8);
    const c = peer.start(scene, 'hold', 'm', 4);
    await until(() => c.lines.includes('listed 0'), 'it has four');
    c.child.kill('SIGKILL');
    await c.exit;
    const consumer = await mailbox('consumer', 'N:1');
    const got = [];
    for (let i = 0; i < 6; i += 1) got.push((await consumer.receive()).deliveries);
    expect(got).toEqual([2, 2, 2, 2, 1, 1]);
  });

  test.each<Relation>(['N:1', 'N:N'])(
    'of a TypeScript consumer C gets what it had, marked, over %s',
    TIMEOUT,
    async (relation) => {
      const producer = await mailbox('producer', relation);
      await producer.sendMany(upTo(20).map((sequence) => numbered(1, sequence).body));
      const holder = scene.start({ name: 'm', role: 'consumer', relation, hold: true });
      const heldBy = (): number => holder.lines.filter((line) => line.startsWith('got')).length;
      await until(() => heldBy() === 20, 'it has them all');
      // Only competing consumers can be there at the same time.
      let c = relation === 'N:N' ? peer.start(scene, 'list', 'm', 20) : undefined;
      if (c !== undefined) await until(() => c?.lines.length === 1 && isParked(c.child.pid), 'it sleeps');
      holder.child.kill('SIGKILL');
      await holder.exit;
      c ??= peer.start(scene, 'list', 'm', 20);
      expect(await c.exit).toBe(0);
      const got = c.lines.filter((line) => line.startsWith('got')).map((line) => line.split(' ').map(Number));
      expect(got.map(([, , sequence]) => sequence).sort((a = 0, b = 0) => a - b)).toEqual(upTo(20));
      expect(got.map(([, , , deliveries]) => deliveries)).toEqual(upTo(20).map(() => 2));
    },
  );

  test('of a TypeScript producer C goes on', TIMEOUT, async () => {
    const keeper = await mailbox('none', 'N:1');
    const c = peer.start(scene, 'list', 'm', 3000);
    const dying = scene.start({ name: 'm', role: 'producer', id: 7, count: 10_000_000 });
    await until(() => c.lines.length > 200, 'it receives');
    dying.child.kill('SIGKILL');
    await dying.exit;
    const next = scene.start({ name: 'm', role: 'producer', id: 8, count: 3000 });
    expect(await c.exit).toBe(0);
    const sequences = c.lines
      .filter((line) => line.startsWith('got 7'))
      .map((line) => Number(line.split(' ')[2]));
    expect(sequences).toEqual(upTo(sequences.length));
    next.child.kill('SIGKILL');
    await keeper.close();
  });
});

describe.skipIf(compiler === undefined)('what is in the way', () => {
  test('damaged headers, tables and records are errors in C, never a crash', TIMEOUT, async () => {
    const c = peer.start(scene, 'hostile', join(scene.folder, 'h'), 'h', 1, 3000);
    expect(await c.exit).toBe(0);
    expect(c.lines).toEqual(['survived, some were opened']);
    closed();
  });

  test('a truncated object ends a C program that sleeps with NARU_CORRUPT', TIMEOUT, async () => {
    const c = peer.start(scene, 'make', 'm', 2);
    await until(() => c.lines.includes('made'), 'it is there');
    const sleeper = peer.start(scene, 'list', 'm', 11);
    await until(() => sleeper.lines.length === 11 && isParked(sleeper.child.pid), 'it sleeps');
    truncateSync(join(scene.folder, 'm', 'ring'), 4096);
    expect(await sleeper.exit).toBe(3);
    expect(sleeper.lines.at(-1)).toMatch(/^failed NARU_CORRUPT .*truncated/);
    c.child.kill('SIGKILL');
  });

  test('what the header leaves out is refused with a reason', TIMEOUT, async () => {
    const urls = { topic: { deliver: 'all' }, urgent: { priorities: 3 } } as const;
    for (const [name, options] of Object.entries(urls)) {
      opened.push(await open(`shm://${name}`, { role: 'consumer', ...options }));
      const c = peer.start(scene, 'try', name);
      expect(await c.exit).toBe(0);
      expect(c.lines).toHaveLength(2);
      for (const line of c.lines) expect(line).toMatch(/^NARU_UNSUPPORTED .*(topic|priorities)/);
    }
    const c = peer.start(scene, 'try', 'nobody');
    expect(await c.exit).toBe(0);
    for (const line of c.lines) expect(line).toMatch(/^NARU_NOT_FOUND /);
    mkdirSync(join(scene.folder, 'open'), { mode: 0o755 });
    const other = peer.start(scene, 'try', 'open');
    await other.exit;
    for (const line of other.lines) expect(line).toMatch(/^NARU_DENIED /);
  });

  test('a seat that is taken is NARU_LIMIT, and a closed mailbox says so', TIMEOUT, async () => {
    const both = await mailbox('both', '1:1');
    await both.connect('producer');
    await both.connect('consumer');

    const c = peer.start(scene, 'try', 'm');
    await c.exit;
    for (const line of c.lines) expect(line).toMatch(/^NARU_LIMIT .*seat/);
    await both.close();
    const owner = await open('shm://owned', {
      role: 'producer',
      owner: 'process',
      relation: 'N:1',
      codec: 'bytes',
    });
    const sleeper = peer.start(scene, 'list', 'owned', 1);
    await until(() => sleeper.lines.length === 1 && isParked(sleeper.child.pid), 'it sleeps');
    await owner.close();
    expect(await sleeper.exit).toBe(3);
    expect(sleeper.lines.at(-1)).toMatch(/^failed NARU_CLOSED/);
    closed();
  });

  test(
    'a mailbox that C made is one that TypeScript opens, and the last one takes it away',
    TIMEOUT,
    async () => {
      for (const [number, relation] of (['1:1', 'N:1', '1:N', 'N:N'] as const).entries()) {
        const c = peer.start(scene, 'make', 'made', number + 1);
        await until(() => c.lines.includes('made'), 'it is there');
        const consumer = await open('shm://made', {
          role: 'consumer',
          create: 'never',
          relation,
          codec: 'bytes',
        });
        for (const sequence of upTo(10)) {
          const message = await consumer.receive();
          expect(readNumberedBody(message.data, 8)).toEqual({ id: 1, sequence });
        }
        c.child.kill('SIGKILL');
        await c.exit;
        await consumer.close();
        closed();
      }
    },
  );

  test('headers are read, a receipt is given, an expired message is dropped', TIMEOUT, async () => {
    const producer = await open('shm://m', {
      role: 'producer',
      codec: 'text',
      confirm: 'received',
      relation: 'N:1',
    });
    opened.push(producer);
    const expired = producer.send('old', { ttlMs: 1 }).catch((error: { code?: string }) => error.code);
    await until(() => performance.now() > 0, 'a moment passes');
    const receipt = producer.send('new', { type: 'greeting' });
    const end = Date.now() + 5;
    await until(() => Date.now() > end, 'the first has expired');
    const c = peer.start(scene, 'headers', 'm');
    // Held, not settled: the receipt says that it was received.
    await receipt;
    expect(await expired).toBe('NARU_TIMEOUT');
    await until(() => c.lines.length === 3, 'it has it');
    expect(c.lines[1]).toBe(`got new type greeting sequence 2 from ${producer.identity}`);
    expect(c.lines[2]).toBe('dropped 1');
  });
});
