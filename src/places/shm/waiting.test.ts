// Waiting costs nothing and misses nothing: 100,000 sleeps and wakings between event loops and blocked threads, in processes
// and in workers, without one that only the safety timer noticed; and idle handles keep no process.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { open } from '../../open.ts';
import { type EchoOrders, jitterOf } from './echo.fixture.ts';
import { Scene, until, upTo } from './scene.fixture.ts';

const ECHO = new URL('./echo.fixture.js', import.meta.url);

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

type Where = 'process' | 'worker';

/** Starts an echo. @returns the safety wake-ups it reports when it has finished */
function startEcho(where: Where, orders: EchoOrders): Promise<number> {
  return new Promise((resolve, reject) => {
    if (where === 'worker') {
      const worker = new Worker(ECHO, { workerData: orders });
      worker.on('message', resolve);
      worker.on('error', reject);
      return;
    }
    const child = spawn(process.execPath, [fileURLToPath(ECHO), JSON.stringify(orders)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString();
    });
    child.on('close', (code) =>
      code === 0 ? resolve(Number(out)) : reject(new Error(`echo ended with ${code}`)),
    );
  });
}

describe('a hundred thousand wakings, none by the safety timer', () => {
  test.each<[Where, 'loop' | 'thread', number, number]>([
    ['process', 'loop', 0, 15_000],
    ['process', 'loop', 1, 10_000],
    ['process', 'thread', 0, 15_000],
    ['worker', 'loop', 0, 5_000],
    ['worker', 'thread', 0, 5_000],
  ])('%s, %s, parking after %i turns', { timeout: 60_000 }, async (where, mode, yields, count) => {
    const wait = { yields };
    await using ping = await open('shm://ping', { codec: 'bytes', wait });
    await using pong = await open('shm://pong', { codec: 'bytes', role: 'consumer', wait });
    const done = startEcho(where, { from: 'shm://ping', to: 'shm://pong', count, mode, yields });
    const body = Buffer.alloc(8);
    for (let i = 0; i < count; i += 1) {
      body.writeUInt32LE(i);
      await ping.send(body);
      expect(Buffer.from((await pong.receive()).data).readUInt32LE()).toBe(i);
    }
    expect(await done).toBe(0);
    const { extra } = (await pong.stats()).place;
    expect(extra['safetyWakeups']).toBe(0);
    expect(extra['parks']).toBeGreaterThan(100);
  });
});

/** A million in the long form; with those above more than 50,000 in CI. Both sides yield at random between all steps. */
const CYCLES = Number(process.env['NARU_WAKE_CYCLES'] ?? 20_000);

describe('wakings with random yields on both sides, none by the safety timer', () => {
  test.each<[Where, 'loop' | 'thread', 'N:1' | 'N:N', number]>([
    ['process', 'loop', 'N:1', 0.3],
    ['process', 'thread', 'N:1', 0.3],
    ['process', 'loop', 'N:N', 0.2],
    ['worker', 'thread', 'N:N', 0.2],
  ])('%s, %s, %s', { timeout: 60_000 + CYCLES }, async (where, mode, relation, share) => {
    const count = Math.round(CYCLES * share);
    const wait = { yields: 0, spinMicros: 0 };
    await using ping = await open('shm://ping', { codec: 'bytes', relation, wait });
    await using pong = await open('shm://pong', { codec: 'bytes', relation, role: 'consumer', wait });
    const done = startEcho(where, {
      from: 'shm://ping',
      to: 'shm://pong',
      count,
      mode,
      yields: 0,
      jitter: 1,
    });
    const pause = jitterOf(2);
    const body = Buffer.alloc(8);
    for (let i = 0; i < count; i += 1) {
      await pause('loop');
      body.writeUInt32LE(i);
      await ping.send(body);
      const message = await pong.receive();
      expect(Buffer.from(message.data).readUInt32LE()).toBe(i);
      await message.ack();
    }
    expect(await done).toBe(0);
    const { extra } = (await pong.stats()).place;
    expect(extra['safetyWakeups']).toBe(0);
    expect(extra['parks']).toBeGreaterThan(count / 10);
  });
});

describe('blocking', () => {
  test('a receive that finds nothing times out, and one that finds something returns at once', async () => {
    await using mailbox = await open('shm://m');
    await mailbox.connect('producer');
    await mailbox.connect('consumer');
    const since = performance.now();
    expect(() => mailbox.receiveSync({ timeoutMs: 60 })).toThrow(
      expect.objectContaining({ code: 'NARU_TIMEOUT' }),
    );
    expect(performance.now() - since).toBeGreaterThan(50);
    mailbox.trySend('x');
    expect(mailbox.receiveSync().data).toBe('x');
  });

  test('a producer blocks while its lane is full and goes on when a worker has made room', async () => {
    await using mailbox = await open('shm://m?capacity=4096', { codec: 'bytes', role: 'producer' });
    await using back = await open('shm://back', { codec: 'bytes', role: 'consumer' });
    while (mailbox.trySend(Buffer.alloc(100)));
    const before = (await mailbox.stats()).sent;
    expect(() => mailbox.sendSync(Buffer.alloc(100), { timeoutMs: 30 })).toThrow(
      expect.objectContaining({ code: 'NARU_TIMEOUT' }),
    );
    const done = startEcho('worker', {
      from: 'shm://m',
      to: 'shm://back',
      count: before + 200,
      mode: 'thread',
      yields: 0,
    });
    for (const _ of upTo(200)) mailbox.sendSync(Buffer.alloc(100), { timeoutMs: 10_000 });
    for (const _ of upTo(before + 200)) await back.receive({ timeoutMs: 10_000 });
    expect(await done).toBe(0);
    expect((await mailbox.stats()).place.extra['safetyWakeups']).toBe(0);
  });
});

describe('many waits of all kinds', () => {
  test('four producers, full lanes, a slow consumer: everybody goes on without the safety timer', async () => {
    const consumer = await scene.peer({ name: 'm', laneBytes: 4096 });
    const children = upTo(4).map((id) =>
      scene.start({ name: 'm', role: 'producer', id, count: 20_000, batch: 7 }),
    );
    await consumer.consume();
    for (const child of children) expect(await child.exit).toBe(0);
    await until(() => consumer.got.length === 80_000, 'everything comes');
    for (const id of upTo(4)) expect(consumer.sequences(id)).toEqual(upTo(20_000));
    expect((await consumer.driver.stats()).extra['safetyWakeups']).toBe(0);
  });
});

test('idle handles keep no process; a pending receive does', async () => {
  const program = (body: string): Promise<number | string> => {
    const index = new URL('../../index.js', import.meta.url).href;
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { open } from '${index}'; const m = await open('shm://idle'); ${body}`,
      ],
      { stdio: 'inherit', timeout: 3_000, killSignal: 'SIGKILL' },
    );
    return new Promise((resolve) => {
      child.on('close', (code, signal) => resolve(signal ?? code ?? -1));
    });
  };
  expect(await program("await m.connect('producer'); await m.connect('consumer'); await m.send(1)")).toBe(0);
  expect(scene.mailboxes).toEqual([]);
  expect(await program('await m.request(1, { timeoutMs: 100 }).catch(() => undefined)')).toBe(0);
  expect(await program('m.receive().then(() => undefined)')).toBe('SIGKILL');
});

test('two workers of one process are two participants, and one that is terminated is cleaned up', async () => {
  const peer = await scene.peer({ name: 'm' });
  await peer.consume();
  const program = (id: number): string => `
    import { open } from '${new URL('../../index.js', import.meta.url).href}';
    const m = await open('shm://m', { codec: 'bytes', role: 'producer' });
    const { numbered } = await import('${new URL('./peer.fixture.js', import.meta.url).href}');
    for (let i = 0; i < 500; i += 1) await m.send(numbered(${id}, i).body);
    setInterval(() => undefined, 1000);
  `;
  const workers = [1, 2].map(
    (id) => new Worker(new URL(`data:text/javascript,${encodeURIComponent(program(id))}`)),
  );
  const warnings: string[] = [];
  const onWarning = (warning: Error): number => warnings.push(warning.message);
  process.on('warning', onWarning);
  await until(() => peer.got.length === 1000, 'both send');
  for (const id of [1, 2]) expect(peer.sequences(id)).toEqual(upTo(500));
  expect(new Set(peer.got.map(({ sender }) => sender)).size).toBe(2);
  expect(peer.driver.peers).toEqual({ producers: 2, consumers: 1 });
  await workers[0]?.terminate();
  await until(() => peer.driver.peers.producers === 1, 'the seat of the terminated one is free', 2_000);
  await workers[1]?.terminate();
  await until(() => peer.driver.peers.producers === 0, 'the other one too', 2_000);
  // Whoever finds the dead one first cleans up and tells: of the first that may be the other worker, of the last it is us.
  expect(['orphan', 'orphan orphan']).toContain(peer.events.filter((event) => event === 'orphan').join(' '));
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
