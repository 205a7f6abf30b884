// SystemVQueue by itself: making, selecting, limits, waits, aborts, removal. With C programs: system-v-interop.test.ts.

import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { Worker } from 'node:worker_threads';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { threadsOf, until } from '../native/stage.fixture.ts';
import { undisturbedMs } from '../native/undisturbed.fixture.ts';
import { SystemVQueue, type SystemVQueueOptions } from './index.ts';
import { sysctl } from './queue-errors.ts';
import { codeOf, errorOf, KernelStage, sleepersIn } from './stage.fixture.ts';

const a = Buffer.from('a');
const b = Buffer.from('bb');

describe.skipIf(tryNative() === undefined)(`SystemVQueue (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let queue: SystemVQueue;

  function open(options: SystemVQueueOptions = { key: 'private' }): SystemVQueue {
    const made = SystemVQueue.open(options);
    stage.cleanup(() => execFileSync('ipcrm', ['-q', String(made.id)], { stdio: 'ignore' }));
    stage.cleanup(() => made.close());
    stage.cleanup(() => made.remove());
    return made;
  }

  function fill(): number {
    let count = 0;
    while (queue.trySend(Buffer.alloc(1000))) count += 1;
    return count;
  }

  beforeEach(() => {
    stage = new KernelStage();
    queue = open();
  });
  afterEach(() => stage.close());

  const texts = (list: readonly { readonly type: number; readonly body: Uint8Array }[]): string[] =>
    list.map(({ type, body }) => `${type}:${Buffer.from(body).toString()}`);

  describe('opening', () => {
    test('one key is one queue, whichever way it is named', () => {
      const key = SystemVQueue.key(stage.folder, 'x');
      const first = open({ path: stage.folder, project: 'x' });
      const second = open({ key, create: 'never' });
      const third = open({ id: first.id });
      first.trySend(a, 9);
      expect([second.id, third.id]).toEqual([first.id, first.id]);
      expect(third.tryReceive()?.type).toBe(9);
      expect(first.stat()).toMatchObject({ key, mode: 0o600, count: 0, lastSenderPid: process.pid });
    });

    test('"new" refuses what exists, "never" what does not, and a mode is exact', async () => {
      const key = SystemVQueue.key(stage.folder, 7);
      expect(await codeOf(() => SystemVQueue.open({ key, create: 'never' }))).toBe('NARU_NOT_FOUND');
      expect(open({ key, create: 'new', mode: 0o640 }).stat().mode).toBe(0o640);
      expect(await codeOf(() => SystemVQueue.open({ key, create: 'new' }))).toBe('NARU_EXISTS');
    });

    test.each([
      [{ path: '/no/such/file' }, 'NARU_NOT_FOUND'],
      [{ path: '/', project: 0 }, 'NARU_INVALID_ARGUMENT'],
      [{ path: '/', project: 'ab' }, 'NARU_INVALID_ARGUMENT'],
      [{ key: 0 }, 'NARU_INVALID_ARGUMENT'],
      [{ key: 1.5 }, 'NARU_INVALID_ARGUMENT'],
      [{ key: 2 ** 32 }, 'NARU_INVALID_ARGUMENT'],
      [{}, 'NARU_INVALID_ARGUMENT'],
      [{ key: 'private', mode: 0o1777 }, 'NARU_INVALID_ARGUMENT'],
      [{ id: 2 ** 31 - 1 }, 'NARU_NOT_FOUND'],
    ] as const)('%j is %s', async (options, code) => {
      expect(await codeOf(() => SystemVQueue.open(options))).toBe(code);
    });

    test('the list tells of it, and reading it changes nothing', () => {
      queue.trySend(b);
      const before = queue.stat();
      expect(SystemVQueue.list().find(({ id }) => id === queue.id)).toEqual(before);
      expect(queue.stat()).toEqual(before);
      expect(before).toMatchObject({ count: 1, bytes: 2, lastReceiverPid: 0, receivedAt: undefined });
    });
  });

  describe('selecting', () => {
    beforeEach(() => {
      for (const type of [5, 3, 8, 3]) queue.trySend(Buffer.from(String(queue.stat().count)), type);
    });

    test.each([
      [undefined, ['5:0', '3:1', '8:2', '3:3']],
      [{ type: 3 }, ['3:1', '3:3']],
      [{ atMost: 5 }, ['3:1', '3:3', '5:0']],
      [{ except: 3 }, ['5:0', '8:2']],
      [{ type: 4 }, []],
    ] as const)('%j takes %j, one by one and many at once', (selection, expected) => {
      const one: { type: number; body: Uint8Array }[] = [];
      for (let it = queue.tryReceive(selection); it !== undefined; it = queue.tryReceive(selection))
        one.push(it);
      expect(texts(one)).toEqual(expected);
      for (const { type, body } of one) queue.trySend(body, type);
      expect(texts(queue.tryReceiveMany(10, selection)).sort()).toEqual([...expected].sort());
    });

    test.each([
      { type: 0 },
      { type: -3 },
      { atMost: -1 },
      { except: 0 },
      { type: 1, atMost: 2 },
      { truncate: true },
    ])('%j is refused', async (selection) => {
      expect(await codeOf(() => queue.tryReceive(selection))).toBe('NARU_INVALID_ARGUMENT');
    });

    test.each([0, -1, 1.5, Number.NaN, 2 ** 53])('the type %d cannot be sent', async (type) => {
      expect(await codeOf(() => queue.trySend(a, type))).toBe('NARU_INVALID_ARGUMENT');
      expect(await codeOf(() => queue.send(a, type))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('the largest exact type comes back as it was', () => {
      queue.trySend(a, Number.MAX_SAFE_INTEGER);
      expect(queue.tryReceive({ type: Number.MAX_SAFE_INTEGER })?.type).toBe(Number.MAX_SAFE_INTEGER);
    });
  });

  describe('sizes', () => {
    test('a longer message stays, unless it is to be truncated', async () => {
      queue.trySend(Buffer.from('0123456789'), 2);
      const error = await errorOf(() => queue.tryReceive({ maxBytes: 4 }));
      expect(error).toMatchObject({
        code: 'NARU_TOO_LARGE',
        message: expect.stringContaining('maxBytes (4)'),
      });
      expect(await codeOf(() => queue.receive({ maxBytes: 4 }))).toBe('NARU_TOO_LARGE');
      expect(await codeOf(() => queue.receiveSync({ maxBytes: 4 }))).toBe('NARU_TOO_LARGE');
      expect(queue.stat().count).toBe(1);
      expect(texts([await queue.receive({ maxBytes: 4, truncate: true })])).toEqual(['2:0123']);
      expect(queue.stat().count).toBe(0);
    });

    test('a longer message that comes while a receive waits rejects it and stays', async () => {
      const wait = errorOf(() => queue.receive({ maxBytes: 1 }));
      await until('it sleeps', () => sleepersIn('msgrcv') === 1);
      queue.trySend(b);
      expect((await wait).code).toBe('NARU_TOO_LARGE');
      expect(queue.stat().count).toBe(1);
    });

    test('an empty and a largest message come back as they were', () => {
      const largest = Buffer.alloc(Math.min(sysctl('kernel.msgmax') ?? 8192, 16_384), 7);
      expect(queue.trySend(Buffer.alloc(0), 1) && queue.trySend(largest, 2)).toBe(true);
      expect(queue.tryReceiveMany(10).map(({ body }) => body.length)).toEqual([0, largest.length]);
    });

    test('more than kernel.msgmax is refused with the limit’s value and what was asked', async () => {
      const limit = sysctl('kernel.msgmax') as number;
      for (const act of [
        () => queue.trySend(Buffer.alloc(limit + 1)),
        () => queue.send(Buffer.alloc(limit + 1)),
        () => queue.sendSync(Buffer.alloc(limit + 1)),
        () => queue.trySendMany([{ type: 1, body: Buffer.alloc(limit + 1) }]),
      ]) {
        const { code, message } = await errorOf(act);
        expect(code).toBe('NARU_TOO_LARGE');
        expect(message).toContain(`kernel.msgmax is ${limit}`);
        expect(message).toContain(`${limit + 1} bytes`);
      }
    });

    test('a message that the queue’s limit can never hold is refused instead of waiting for ever', async () => {
      queue.setLimit(100);
      expect(queue.trySend(Buffer.alloc(101))).toBe(false);
      const error = await errorOf(() => queue.send(Buffer.alloc(101)));
      expect(error).toMatchObject({
        code: 'NARU_TOO_LARGE',
        message: expect.stringContaining('limit is 100'),
      });
      expect(await codeOf(() => queue.sendSync(Buffer.alloc(101)))).toBe('NARU_TOO_LARGE');
    });

    test('limit and mode are set, and wrong ones refused', async () => {
      queue.setLimit(5000);
      queue.setMode(0o620);
      expect(queue.stat()).toMatchObject({ limitBytes: 5000, mode: 0o620 });
      expect(await codeOf(() => queue.setMode(0o1000))).toBe('NARU_INVALID_ARGUMENT');
      expect(await codeOf(() => queue.setLimit(-1))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('a batch goes in as far as there is room, and comes out in order', () => {
      const list = Array.from({ length: 5000 }, (_, i) => ({
        type: i + 1,
        body: Buffer.from([i % 256, 1, 2, 3, 4]),
      }));
      const sent = queue.trySendMany(list);
      expect(sent).toBe(Math.floor(queue.stat().bytes / 5));
      expect(sent).toBeLessThan(list.length);
      expect(queue.tryReceiveMany(10_000).map(({ type, body }) => [type, body[0]])).toEqual(
        list.slice(0, sent).map(({ type, body }) => [type, body[0]]),
      );
    });
  });

  describe('waiting', () => {
    test('receives with different selections do not hold each other up', async () => {
      const [one, any] = [queue.receive({ type: 1 }), queue.receive({ except: 1 })];
      await until('both sleep', () => sleepersIn('msgrcv') === 2);
      queue.trySend(b, 2);
      expect(texts([await any])).toEqual(['2:bb']);
      queue.trySend(a, 1);
      expect(texts([await one])).toEqual(['1:a']);
    });

    test('a hundred receives are served in their order by one thread, and leave the thread pool free', async () => {
      const waits = Array.from({ length: 100 }, () => queue.receive());
      await until('one sleeps', () => sleepersIn('msgrcv') === 1);
      for (let i = 0; i < 10; i++) await readFile(fileURLToPath(import.meta.url));
      for (let i = 1; i <= 100; i++) await queue.send(a, i);
      expect((await Promise.all(waits)).map(({ type }) => type)).toEqual(waits.map((_, i) => i + 1));
    });

    test('waiting sends keep their order, and nothing overtakes them', async () => {
      const full = fill();
      const sends = [1, 2, 3].map((n) => queue.send(Buffer.alloc(1000), n + 100));
      expect(queue.trySend(a)).toBe(false);
      expect(queue.trySendMany([{ type: 1, body: a }])).toBe(0);
      expect(await codeOf(() => queue.sendSync(a))).toBe('NARU_FULL');
      for (let i = 0; i < full; i++) await queue.receive();
      await Promise.all(sends);
      expect(queue.tryReceiveMany(10).map(({ type }) => type)).toEqual([101, 102, 103]);
    });

    test('more sends than maxWaiting are refused', async () => {
      const other = open({ id: queue.id, maxWaiting: 1 });
      fill();
      const first = errorOf(() => other.send(Buffer.alloc(1000)));
      await until('it sleeps', () => sleepersIn('msgsnd') === 1);
      expect(await codeOf(() => other.send(Buffer.alloc(1000)))).toBe('NARU_OVERLOADED');
      await other.close();
      expect((await first).code).toBe('NARU_CLOSED');
    });

    test('a wait ends with its time, with its signal, or at once', async () => {
      expect(await codeOf(() => queue.receive({ timeoutMs: 5 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => queue.receive({ timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => queue.receiveSync({ timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
      const reason = new Error('enough');
      expect(await errorOf(() => queue.receive({ signal: AbortSignal.abort(reason) }))).toBe(reason);
      const controller = new AbortController();
      const wait = errorOf(() => queue.receive({ signal: controller.signal }));
      await until('it sleeps', () => sleepersIn('msgrcv') === 1);
      controller.abort(reason);
      expect(await wait).toBe(reason);
      expect(sleepersIn('msgrcv')).toBe(0);
      fill();
      expect(await codeOf(() => queue.send(Buffer.alloc(1000), 1, { timeoutMs: 5 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => queue.sendSync(Buffer.alloc(1000), 1, { timeoutMs: 5 }))).toBe(
        'NARU_TIMEOUT',
      );
      expect(await codeOf(() => queue.receive({ timeoutMs: -1 }))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('a blocking wait keeps to its time, below a millisecond and over many slices', async () => {
      for (const timeoutMs of [0.3, 12, 180]) {
        const [start, undisturbed] = [performance.now(), undisturbedMs()];
        expect(await codeOf(() => queue.receiveSync({ timeoutMs }))).toBe('NARU_TIMEOUT');
        expect(performance.now() - start).toBeGreaterThanOrEqual(timeoutMs);
        expect(undisturbedMs() - undisturbed).toBeLessThan(timeoutMs + 1000);
      }
    });

    test('an abort in the moment a message comes loses none', async () => {
      const other = open({ id: queue.id });
      let received = 0;
      const rounds = 300;
      for (let round = 0; round < rounds; round++) {
        const controller = new AbortController();
        const wait = other.receive({ signal: controller.signal }).then(
          () => 1,
          () => 0,
        );
        if (round % 3 === 0) await until('it sleeps', () => sleepersIn('msgrcv') === 1);
        queue.trySend(a, round + 1);
        for (let spin = 0; spin < (round % 50) * 200; spin++) Math.sqrt(spin);
        controller.abort();
        received += await wait;
        if (other.tryReceive() !== undefined) received += 1;
      }
      expect(received).toBe(rounds);
      expect(queue.stat().count).toBe(0);
    });

    test('close puts back what an aborted receive had taken', async () => {
      let found = 0;
      for (let round = 0; round < 60; round++) {
        const other = open({ id: queue.id });
        const wait = codeOf(() => other.receive());
        await until('it sleeps', () => sleepersIn('msgrcv') === 1);
        queue.trySend(a, 4);
        expect(await other.close()).toBe(0);
        await wait.catch(() => 'received');
        found += queue.tryReceive() === undefined ? 0 : 1;
        expect(await wait).toBe('NARU_CLOSED');
      }
      expect(found).toBe(60);
    });
  });

  describe('ends', () => {
    test('removal wakes all who wait, and everything says NARU_CLOSED afterwards', async () => {
      const waits = [queue.receive(), queue.receive({ type: 3 }), queue.receiveMany(5, { atMost: 2 })];
      const codes = waits.map((wait) => codeOf(() => wait));
      await until('they sleep', () => sleepersIn('msgrcv') === 3);
      queue.remove();
      expect(await Promise.all(codes)).toEqual(['NARU_CLOSED', 'NARU_CLOSED', 'NARU_CLOSED']);
      for (const act of [
        () => queue.remove(),
        () => queue.stat(),
        () => queue.trySend(a),
        () => queue.tryReceive(),
        () => queue.receive(),
        () => queue.receiveSync(),
        () => queue.setLimit(10),
      ]) {
        expect(await codeOf(act)).toBe('NARU_CLOSED');
      }
    });

    test('removal wakes waiting sends', async () => {
      fill();
      const codes = [1, 2].map(() => codeOf(() => queue.send(Buffer.alloc(1000))));
      await until('one sleeps', () => sleepersIn('msgsnd') === 1);
      queue.remove();
      expect(await Promise.all(codes)).toEqual(['NARU_CLOSED', 'NARU_CLOSED']);
    });

    test('close ends the waits and the threads, and leaves the queue', async () => {
      const threads = threadsOf().length;
      {
        await using other = open({ id: queue.id });
        const wait = codeOf(() => other.receive());
        await until('it sleeps', () => sleepersIn('msgrcv') === 1);
        await other.close();
        expect(await wait).toBe('NARU_CLOSED');
        expect(await codeOf(() => other.trySend(a))).toBe('NARU_CLOSED');
      }
      await until('the thread is gone', () => threadsOf().length <= threads);
      expect(queue.trySend(a)).toBe(true);
    });

    test.skipIf(process.getuid?.() === 0)('a mode of 0 denies all but root (skipped for root)', async () => {
      queue.setMode(0);
      expect(await codeOf(() => queue.tryReceive())).toBe('NARU_DENIED');
      expect(await codeOf(() => queue.trySend(a))).toBe('NARU_DENIED');
    });

    test.skipIf(process.getuid?.() !== 0)(
      'another user is denied, and told so (skipped without root)',
      () => {
        const program = `
        const { SystemVQueue } = await import(process.argv[1]);
        const codes = [];
        const queue = SystemVQueue.open({ key: 'private' });
        for (const act of [
          () => SystemVQueue.open({ id: Number(process.argv[2]) }),
          () => queue.setLimit(2 ** 30),
        ]) {
          try { act(); codes.push('none'); } catch (error) { codes.push(error.code, error.message); }
        }
        queue.remove();
        console.log(codes.join('|'));`;
        const output = execFileSync(
          process.execPath,
          [
            '--input-type=module',
            '-e',
            program,
            new URL('./index.js', import.meta.url).href,
            String(queue.id),
          ],
          { encoding: 'utf8', uid: 65_534, gid: 65_534 },
        );
        expect(output).toContain('NARU_DENIED|');
        expect(output).toContain(`NARU_LIMIT|`);
        expect(output).toContain(`kernel.msgmnb is ${sysctl('kernel.msgmnb')}`);
      },
    );

    test('a worker that ends with waits of both kinds gives back what it had not received', async () => {
      for (const act of ['receive', 'receiveSync']) {
        const worker = new Worker(new URL('./system-v-worker.fixture.js', import.meta.url), {
          workerData: { id: queue.id, act },
        });
        await until('it sleeps', () => sleepersIn('msgrcv') >= 1);
        const start = performance.now();
        await worker.terminate();
        expect(performance.now() - start).toBeLessThan(1000);
        expect(sleepersIn('msgrcv')).toBe(0);
      }
      queue.trySend(a);
      expect(queue.stat().count).toBe(1);
    });
  });
});
