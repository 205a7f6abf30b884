// naru bridge: what travels, what happens when a side or the bridge itself goes, and how it ends.

import { existsSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Message } from '../mailbox/message.ts';
import { open } from '../open.ts';
import { Sandbox, until, type Ran } from './command.fixture.ts';
import { QUEUE_PLACES, SHARED_PLACES } from './places.fixture.ts';

const hasShm = SHARED_PLACES.includes('shm');
const LISTEN = 'tcp://127.0.0.1:0?listen';

const numbers = (count: number, from = 1): string =>
  Array.from({ length: count }, (_, index) => `${from + index}\n`).join('');

const summaryOf = ({ stdout }: Ran): Record<string, number> => JSON.parse(stdout.toString()) as never;

/** What must arrive as it was sent. */
const carried = (message: Message<Uint8Array>): object => {
  const { id, type, priority, headers, correlationId, contentType } = message;
  const body = Buffer.from(message.body).toString('hex');
  return { id, type, priority, headers, correlationId, contentType, body };
};

describe.skipIf(!hasShm)('naru bridge', () => {
  test('carries bodies, headers, type, priority and ids from shm to tcp and back', async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using source = await open('shm://out', { codec: 'bytes', owner: 'system', priorities: 3 });
    await using host = await open(LISTEN, { codec: 'bytes' });
    await using back = await open('shm://back', { codec: 'bytes', owner: 'system', priorities: 3 });
    const count = 300;
    for (let index = 0; index < count; index += 1) {
      await source.send(randomBytes(index % 7 === 0 ? 0 : index * 11), {
        id: `id-${index}`,
        priority: index % 3,
        headers: { index: String(index), 'naïve "key"': 'ü\n\u0000' },
        type: `t${index % 5}`,
        correlationId: `c-${index}`,
        contentType: 'application/x-test',
      });
    }
    const sent = (await source.peek(count)).map(carried);
    const there = await sandbox.run(['bridge', 'shm://out', host.address, '--idle', '300', '--json']);
    expect(there.code).toBe(0);
    expect(summaryOf(there)).toMatchObject({ moved: count, dropped: 0, lost: 0, lowered: 0 });
    const home = await sandbox.run(['bridge', host.address, 'shm://back', '--idle', '300', '--json']);
    expect(home.code).toBe(0);
    expect((await source.stats()).place.depth).toBe(0);
    const received = (await back.receiveMany(count)).map(carried);
    expect(received).toEqual(sent);
  });

  test('--count takes exactly so many, and leaves the rest untouched', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', 'shm://a'], { stdin: numbers(1000) });
    const ran = await sandbox.run(['bridge', 'shm://a', 'shm://b', '--count', '600', '--json']);
    expect(ran.code).toBe(0);
    expect(summaryOf(ran)).toMatchObject({ moved: 600 });
    const moved = await sandbox.run(['receive', 'shm://b', '--count', '600']);
    expect(moved.stdout.toString()).toBe(numbers(600));
    const { stdout } = await sandbox.run(['receive', 'shm://a', '--count', '1', '--json']);
    expect(JSON.parse(stdout.toString())).toMatchObject({ body: '601', deliveries: 1 });
    const { mailboxes } = JSON.parse((await sandbox.run(['doctor', '--json'])).stdout.toString()) as {
      mailboxes: { name: string; depth: number }[];
    };
    expect(mailboxes).toMatchObject([
      { name: 'a', depth: 399 },
      { name: 'b', depth: 0 },
    ]);
  });

  test('--map changes bodies and drops, and one that fails leaves its message in the source', async () => {
    await using sandbox = new Sandbox();
    const module = sandbox.path('map.mjs');
    writeFileSync(
      module,
      `export default async ({ body, headers }) => {
        const text = Buffer.from(body).toString();
        if (text === 'bad') throw new Error('no good');
        return Number(text) % 2 === 0 ? undefined : text + headers.unit;
      };`,
    );
    await sandbox.run(['send', 'shm://a', '--header', 'unit=mm', '1', '2', '3', '4', '5', 'bad', '7']);
    const bridge = ['bridge', 'shm://a', 'shm://b', '--map', module, '--concurrency', '5', '--json'];
    const ran = await sandbox.run([...bridge, '--idle', '200']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/naru: no good\n/);
    expect(summaryOf(ran)).toMatchObject({ moved: 3, dropped: 2 });
    const { stdout } = await sandbox.run(['receive', 'shm://b', '--count', '3']);
    expect(stdout.toString()).toBe('1mm\n3mm\n5mm\n');
    const left = await sandbox.run(['receive', 'shm://a', '--count', '2']);
    expect(left.stdout.toString()).toBe('bad\n7\n');
  });

  test('a full target holds it up; SIGINT gives back what had no room, and nothing is lost or doubled', async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using source = await open('shm://a', { codec: 'bytes', owner: 'system' });
    await using target = await open('shm://b?capacity=16KiB', { codec: 'bytes', owner: 'system' });
    const count = 1000;
    await sandbox.run(['send', 'shm://a'], { stdin: numbers(count) });
    const bridge = sandbox.start(['bridge', 'shm://a', 'shm://b', '--json']);
    await until(async () => {
      const { depth } = (await target.stats()).place;
      return depth > 0 && (await source.stats()).place.unsettled === 256 && depth % 256 !== 0;
    });
    const startedAt = performance.now();
    bridge.child.kill('SIGINT');
    const ran = await bridge.done;
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    expect(ran.code).toBe(130);
    const there = (await target.stats()).place.depth;
    expect(summaryOf(ran)).toMatchObject({ moved: there, lost: 0 });
    const moved = (await target.receiveMany(there)).map(({ body }) => Buffer.from(body).toString());
    const rest = sandbox.start(['bridge', 'shm://a', 'shm://b', '--idle', '300']);
    const deadline = AbortSignal.timeout(15_000);
    while (moved.length < count)
      moved.push(Buffer.from((await target.receive({ signal: deadline })).body).toString());
    expect((await rest.done).code).toBe(0);
    expect(moved).toEqual(numbers(count).trim().split('\n'));
    expect((await source.stats()).place).toMatchObject({ depth: 0, unsettled: 0 });
  });

  test('SIGTERM finishes what is in transfer and ends with 0', async () => {
    await using sandbox = new Sandbox();
    await using host = await open(LISTEN, { codec: 'bytes' });
    await sandbox.run(['send', 'shm://a'], { stdin: numbers(5000) });
    const bridge = sandbox.start(['bridge', 'shm://a', host.address, '--concurrency', '16', '--json']);
    const first = await host.receive({ timeoutMs: 10_000 });
    bridge.child.kill('SIGTERM');
    const ran = await bridge.done;
    expect(ran).toMatchObject({ code: 0, signal: null });
    const { moved } = summaryOf(ran);
    const rest = moved === 1 ? [] : await host.receiveMany(moved as number);
    const bodies = [first, ...rest].map(({ body }) => `${Buffer.from(body).toString()}\n`);
    expect(bodies.join('')).toBe(numbers(moved as number));
    const left = await sandbox.run(['inspect', 'shm://a', '--json']);
    expect(JSON.parse(left.stdout.toString())).toMatchObject({
      stats: { depth: 5000 - (moved as number), unsettled: 0, consumers: 0 },
    });
  });

  test('a message too large for the target stops it with exit code 1 and stays in the source', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', 'shm://a', 'small', 'x'.repeat(5000), 'last']);
    await sandbox.run(['send', 'shm://b?size=100', 'first']);
    const ran = await sandbox.run(['bridge', 'shm://a', 'shm://b', '--idle', '200']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/the target takes up to 100 B a message/);
    expect(ran.stderr).toMatch(/naru: NARU_TOO_LARGE: .* 5000 bytes, the limit is 100/);
    const moved = await sandbox.run(['receive', 'shm://b', '--count', '2']);
    expect(moved.stdout.toString()).toBe('first\nsmall\n');
    const left = await sandbox.run(['receive', 'shm://a', '--count', '2']);
    expect(left.stdout.toString()).toBe(`${'x'.repeat(5000)}\nlast\n`);
  });

  test('it says at the start what the target cannot carry, and that reading deletes', async () => {
    await using sandbox = new Sandbox();
    const raw = `${sandbox.socketUrl}?format=raw&frame=lines`;
    const receiver = sandbox.start(['receive', raw, '--count', '2']);
    await until(() => existsSync(sandbox.path('mailbox.sock')));
    await sandbox.run(['send', 'shm://a?priorities=2', '--priority', '1', '--header', 'x=y', 'one', 'two']);
    const out = await sandbox.run(['bridge', 'shm://a', raw, '--count', '2']);
    expect(out.code).toBe(0);
    expect(out.stderr).toMatch(
      /the target does not carry headers, type, priority, ttl, correlation, id: left out/,
    );
    expect((await receiver.done).stdout.toString()).toBe('one\ntwo\n');

    const bridge = sandbox.start(['bridge', raw, 'shm://b', '--count', '3', '--json']);
    await bridge.said(/reading from the source deletes: one message at a time/);
    await sandbox.run(['send', raw, 'three', 'four', 'five']);
    const ran = await bridge.done;
    expect(ran.code).toBe(0);
    expect(summaryOf(ran)).toMatchObject({ moved: 3, lost: 0 });
    expect((await sandbox.run(['receive', 'shm://b', '--count', '3'])).stdout.toString()).toBe(
      'three\nfour\nfive\n',
    );
  });

  test('a target that restarts is reached again, and nothing is lost', async () => {
    await using sandbox = new Sandbox();
    const count = 20_000;
    await sandbox.run(['send', 'shm://a?capacity=4MiB'], { stdin: numbers(count) });
    const seen = new Map<string, string>();
    let doubled = 0;
    let host = await open(sandbox.socketUrl, { codec: 'bytes', role: 'consumer' });
    const bridge = sandbox.start(['bridge', 'shm://a', sandbox.socketUrl, '--confirm', 'received', '--json']);
    for (let life = 1; seen.size < count; life += 1) {
      const wanted = life <= 4 ? life * 3_000 : count;
      for await (const { body, id } of host.messages({ timeoutMs: 10_000 })) {
        const text = Buffer.from(body).toString();
        if (seen.has(text)) {
          doubled += 1;
          expect(seen.get(text)).toBe(id);
        }
        seen.set(text, id);
        if (seen.size >= wanted) break;
      }
      if (seen.size === count) break;
      await host.close({ flushMs: 0 });
      host = await open(sandbox.socketUrl, { codec: 'bytes', role: 'consumer' });
    }
    await until(async () => {
      const { stdout } = await sandbox.run(['inspect', 'shm://a', '--json']);
      return (JSON.parse(stdout.toString()) as { stats: { depth: number } }).stats.depth === 0;
    });
    bridge.child.kill('SIGTERM');
    const ran = await bridge.done;
    await host.close({ flushMs: 0 });
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(ran.stderr).toMatch(/the target is lost/);
    expect(ran.stderr).toMatch(/the target is back/);
    expect(summaryOf(ran)).toMatchObject({ lost: 0, dropped: 0 });
    expect(doubled).toBeLessThanOrEqual(summaryOf(ran)['resent'] as number);
    expect(seen.size).toBe(count);
  });

  test('sides that are removed are made again', async () => {
    await using sandbox = new Sandbox();
    await sandbox.run(['send', 'shm://a', '1']);
    const bridge = sandbox.start(['bridge', 'shm://a', 'shm://b', '--json']);
    const moves = async (body: string): Promise<void> => {
      const { code, stdout, stderr } = await sandbox.run([
        'receive',
        'shm://b',
        '--count',
        '1',
        '--timeout',
        '10000',
      ]);
      expect({ code, stdout: stdout.toString() }, stderr).toEqual({ code: 0, stdout: `${body}\n` });
    };
    await moves('1');
    await sandbox.run(['rm', 'shm://b']);
    await sandbox.run(['send', 'shm://a', '2']);
    await moves('2');
    await sandbox.run(['rm', 'shm://a']);
    await bridge.said(/the source is back/);
    await sandbox.run(['send', 'shm://a', '3']);
    await moves('3');
    bridge.child.kill('SIGINT');
    const ran = await bridge.done;
    expect(ran.code, ran.stderr).toBe(130);
    expect(summaryOf(ran)).toMatchObject({ moved: 3, lost: 0, reopened: 2 });
  });

  test('--idle is no excuse for a source that cannot be reached: exit code 1', async () => {
    await using sandbox = new Sandbox();
    const host = await open(sandbox.socketUrl, { codec: 'bytes' });
    const bridge = sandbox.start(['bridge', sandbox.socketUrl, 'shm://b', '--idle', '1500']);
    await host.send(Buffer.from('moved'));
    await until(async () => {
      const { depth, unsettled } = (await host.stats()).place;
      return depth === 0 && unsettled === 0;
    });
    await host.close({ flushMs: 0 });
    const ran = await bridge.done;
    expect(ran.code).toBe(1);
    expect(ran.stderr).toMatch(/naru: NARU_DISCONNECTED: .* 1500 ms, and cannot be reached/);
  });

  test('a source that restarts is reached again', async () => {
    await using sandbox = new Sandbox();
    let host = await open(sandbox.socketUrl, { codec: 'bytes' });
    const bridge = sandbox.start(['bridge', sandbox.socketUrl, 'shm://b', '--json', '--count', '3']);
    await host.send(Buffer.from('before'));
    await until(
      async () => (await host.stats()).place.depth === 0 && (await host.stats()).place.unsettled === 0,
    );
    await host.close();
    await bridge.said(/the source is lost/);
    host = await open(sandbox.socketUrl, { codec: 'bytes' });
    await host.sendMany([Buffer.from('after'), Buffer.from('last')]);
    const ran = await bridge.done;
    await host.close({ flushMs: 0 });
    expect(ran.code).toBe(0);
    expect(ran.stderr).toMatch(/the source is back/);
    const { stdout } = await sandbox.run(['receive', 'shm://b', '--count', '3']);
    expect(stdout.toString()).toBe('before\nafter\nlast\n');
  });
});

/** Bridges killed one after the other; more in a long run. */
const KILLS = Number(process.env['NARU_BRIDGE_KILLS'] ?? 10);

test.skipIf(!hasShm)(
  'a bridge killed by SIGKILL at any moment loses nothing, and what comes twice has the same id',
  async () => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using source = await open('shm://a', { codec: 'bytes', owner: 'system' });
    await using host = await open(LISTEN, { codec: 'bytes' });
    const seen = new Map<string, string>();
    const stop = new AbortController();
    let [sent, doubled] = [0, 0];
    const producing = (async () => {
      while (!stop.signal.aborted) {
        await source.send(Buffer.from(String(sent)));
        sent += 1;
      }
    })();
    const take = async (limits: { timeoutMs?: number }): Promise<void> => {
      for (const { body, id } of await host.receiveMany(1000, limits)) {
        const text = Buffer.from(body).toString();
        if (!seen.has(text)) seen.set(text, id);
        else {
          doubled += 1;
          expect(seen.get(text)).toBe(id);
        }
      }
    };
    for (let round = 0; round < KILLS; round += 1) {
      const bridge = sandbox.start(['bridge', 'shm://a', host.address]);
      const killAt = seen.size + 1 + Math.floor(Math.random() * 3_000);
      while (seen.size < killAt) await take({ timeoutMs: 15_000 });
      bridge.child.kill('SIGKILL');
      expect((await bridge.done).signal).toBe('SIGKILL');
    }
    stop.abort();
    const last = sandbox.start(['bridge', 'shm://a', host.address, '--idle', '500', '--json']);
    await producing;
    while (seen.size < sent) await take({ timeoutMs: 15_000 });
    const ran = await last.done;
    expect(ran.code).toBe(0);
    while ((await host.stats()).place.depth > 0) await take({});
    expect(seen.size).toBe(sent);
    // No more than what was in transfer at each death.
    expect(doubled).toBeLessThanOrEqual(KILLS * 256);
    expect((await source.stats()).place).toMatchObject({ depth: 0, unsettled: 0, consumers: 0 });
  },
  60_000 + KILLS * 5_000,
);

test.each(QUEUE_PLACES)(
  'a bridge killed by SIGKILL at any moment loses one message of %s at most, and doubles none',
  async (place) => {
    await using sandbox = new Sandbox();
    sandbox.share();
    await using source = await open(`${place}://naru-bridge-${process.pid}`, { codec: 'bytes' });
    await using target = await open('shm://b', { codec: 'bytes', owner: 'system' });
    const seen = new Set<number>();
    let [sent, doubled] = [0, 0];
    const stop = new AbortController();
    const producing = (async () => {
      while (!stop.signal.aborted) {
        await source.send(Buffer.from(String(sent)));
        sent += 1;
      }
    })();
    const take = async (limits: { timeoutMs?: number }): Promise<void> => {
      for (const { body } of await target.receiveMany(1000, limits)) {
        const number = Number(Buffer.from(body).toString());
        if (seen.has(number)) doubled += 1;
        seen.add(number);
      }
    };
    try {
      for (let round = 0; round < KILLS; round += 1) {
        const bridge = sandbox.start(['bridge', source.address, 'shm://b']);
        const killAt = seen.size + 1 + Math.floor(Math.random() * 3_000);
        while (seen.size < killAt) await take({ timeoutMs: 15_000 });
        bridge.child.kill('SIGKILL');
        expect((await bridge.done).signal).toBe('SIGKILL');
      }
      stop.abort();
      const last = sandbox.start(['bridge', source.address, 'shm://b', '--idle', '500']);
      await producing;
      expect(await last.done).toMatchObject({ code: 0 });
      while ((await target.stats()).place.depth > 0) await take({});
    } finally {
      await source.unlink();
    }
    expect(doubled).toBe(0);
    expect(sent - seen.size).toBeLessThanOrEqual(KILLS);
  },
  60_000 + KILLS * 5_000,
);
