// PosixQueue by itself: making, priorities, limits, waits, notification. With C programs: posix-interop.test.ts.

import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { threadsOf, until } from '../native/stage.fixture.ts';
import { PosixQueue, type PosixQueueOptions } from './index.ts';
import { sysctl } from './queue-errors.ts';
import { codeOf, errorOf, KernelStage, sleepersIn } from './stage.fixture.ts';

const a = Buffer.from('a');
const b = Buffer.from('bb');
let serial = 0;

describe.skipIf(tryNative() === undefined)(`PosixQueue (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let name: string;
  let queue: PosixQueue;

  function open(options: Partial<PosixQueueOptions> = {}): PosixQueue {
    const made = PosixQueue.open({ name, ...options });
    stage.cleanup(() => made.close());
    return made;
  }

  function fill(): number {
    let count = 0;
    while (queue.trySend(a)) count += 1;
    return count;
  }

  beforeEach(() => {
    stage = new KernelStage();
    serial += 1;
    name = `/naru-test-${process.pid}-${serial}`;
    stage.cleanup(() => PosixQueue.unlink(name));
    queue = open();
  });
  afterEach(() => stage.close());

  describe('opening', () => {
    test('a queue has the kernel’s default sizes, or those asked for, and an exact mode', () => {
      expect(queue.stat()).toMatchObject({
        name,
        mode: 0o600,
        maxMessages: sysctl('fs.mqueue.msg_default'),
        maxMessageBytes: sysctl('fs.mqueue.msgsize_default'),
        count: 0,
        bytes: 0,
        notifiedPid: undefined,
      });
      queue.unlink();
      const made = open({ create: 'new', maxMessages: 3, maxMessageBytes: 17, mode: 0o666 });
      expect(made.stat()).toMatchObject({ mode: 0o666, maxMessages: 3, maxMessageBytes: 17 });
      expect(open({ maxMessages: 3 }).maxMessageBytes).toBe(17);
    });

    test('"new" refuses what exists, "never" what does not, and other sizes are refused', async () => {
      expect(await codeOf(() => open({ create: 'new' }))).toBe('NARU_EXISTS');
      expect(await codeOf(() => open({ maxMessages: 2 }))).toBe('NARU_EXISTS');
      queue.unlink();
      expect(await codeOf(() => open({ create: 'never' }))).toBe('NARU_NOT_FOUND');
      expect(await codeOf(() => queue.unlink())).toBe('NARU_NOT_FOUND');
      // Without its name it goes on for those who have it open.
      expect(queue.trySend(a)).toBe(true);
    });

    test.each(['jobs', '/', '/a/b', '/a\0b', '/.', '/..', `/${'x'.repeat(256)}`, ''])(
      'the name %j is refused',
      async (bad) => {
        expect(await codeOf(() => PosixQueue.open({ name: bad }))).toBe('NARU_INVALID_ARGUMENT');
        expect(await codeOf(() => PosixQueue.unlink(bad))).toBe('NARU_INVALID_ARGUMENT');
      },
    );

    test.each([
      { maxMessages: 0 },
      { maxMessageBytes: 1.5 },
      { mode: -1 },
      { access: 'rw' },
      { create: 'yes' },
    ])('%j is refused', async (bad) => {
      expect(await codeOf(() => open(bad as Partial<PosixQueueOptions>))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('more than the kernel allows names the limits, their values and what was asked', async () => {
      queue.unlink();
      const { code, message } = await errorOf(() => open({ maxMessages: 100_000, maxMessageBytes: 64 }));
      expect(code).toBe('NARU_LIMIT');
      expect(message).toContain(`fs.mqueue.msg_max is ${sysctl('fs.mqueue.msg_max')}`);
      expect(message).toContain(`fs.mqueue.msgsize_max is ${sysctl('fs.mqueue.msgsize_max')}`);
      expect(message).toContain('100000 messages of 64 bytes');
    });

    test('more bytes than RLIMIT_MSGQUEUE names it with its value and what was asked', () => {
      const program = `
        const { PosixQueue } = await import(process.argv[1]);
        try { PosixQueue.open({ name: process.argv[2], create: 'new', maxMessages: 10, maxMessageBytes: 8000 }); }
        catch (error) { console.log(error.code, error.message); }`;
      const command = `ulimit -q 20000 && exec "$0" --input-type=module -e "$1" "$2" "$3"`;
      const index = new URL('./index.js', import.meta.url).href;
      const output = execFileSync('bash', ['-c', command, process.execPath, program, index, `${name}-b`], {
        encoding: 'utf8',
      });
      expect(output).toContain('NARU_LIMIT');
      expect(output).toContain('RLIMIT_MSGQUEUE (ulimit -q) is 20000');
      expect(output).toContain('10 messages of 8000 bytes');
    });

    test('what was opened for one direction refuses the other', async () => {
      const [reader, writer] = [open({ access: 'read' }), open({ access: 'write' })];
      expect(await codeOf(() => reader.trySend(a))).toBe('NARU_DENIED');
      expect(await codeOf(() => writer.tryReceive())).toBe('NARU_DENIED');
      await writer.send(a);
      expect((await reader.receive()).body).toEqual(new Uint8Array(a));
    });

    test.skipIf(process.getuid?.() !== 0)('another user is denied (skipped without root)', () => {
      const program = `
        const { PosixQueue } = await import(process.argv[1]);
        try { PosixQueue.open({ name: process.argv[2] }); } catch (error) { console.log(error.code); }`;
      const index = new URL('./index.js', import.meta.url).href;
      const output = execFileSync(process.execPath, ['--input-type=module', '-e', program, index, name], {
        encoding: 'utf8',
        uid: 65_534,
        gid: 65_534,
      });
      expect(output).toBe('NARU_DENIED\n');
    });
  });

  describe('messages', () => {
    test('the highest priority comes first, equal ones in their order, one by one and many at once', () => {
      const sent = [3, 0, 32_767, 3, 9].map((priority, i) => ({ priority, body: Buffer.from([i]) }));
      const expected = ['32767:2', '9:4', '3:0', '3:3', '0:1'];
      for (const receive of [
        () => Array.from({ length: 5 }, () => queue.tryReceive()),
        () => queue.tryReceiveMany(10),
      ]) {
        expect(queue.trySendMany(sent)).toBe(5);
        expect(queue.depth()).toBe(5);
        expect(receive().map((it) => `${it?.priority}:${it?.body[0]}`)).toEqual(expected);
      }
      expect(queue.tryReceive()).toBe(undefined);
      expect(queue.tryReceiveMany(3)).toEqual([]);
    });

    test.each([-1, 32_768, 0.5, Number.NaN])('the priority %d is refused', async (priority) => {
      expect(await codeOf(() => queue.trySend(a, priority))).toBe('NARU_INVALID_ARGUMENT');
      expect(await codeOf(() => queue.send(a, priority))).toBe('NARU_INVALID_ARGUMENT');
      expect(await codeOf(() => queue.trySendMany([{ priority, body: a }]))).toBe('NARU_INVALID_ARGUMENT');
    });

    test('an empty and a largest body come back; a larger one is refused with the limit and its size', async () => {
      const largest = Buffer.alloc(queue.maxMessageBytes, 7);
      queue.trySendMany([
        { priority: 1, body: Buffer.alloc(0) },
        { priority: 0, body: largest },
      ]);
      expect(queue.tryReceiveMany(2).map(({ body }) => body.length)).toEqual([0, largest.length]);
      const over = Buffer.alloc(queue.maxMessageBytes + 1);
      for (const act of [
        () => queue.trySend(over),
        () => queue.send(over),
        () => queue.sendSync(over),
        () => queue.trySendMany([{ priority: 0, body: over }]),
      ]) {
        const { code, message } = await errorOf(act);
        expect(code).toBe('NARU_TOO_LARGE');
        expect(message).toContain(`${over.length} bytes`);
        expect(message).toContain(`maxMessageBytes is ${queue.maxMessageBytes}`);
      }
      expect(queue.depth()).toBe(0);
    });
  });

  describe('waiting', () => {
    test('receives are served in their order, in the event loop alone', async () => {
      const threads = threadsOf().length;
      const waits = Array.from({ length: 50 }, () => queue.receive());
      for (let i = 0; i < 10; i++) await readFile(fileURLToPath(import.meta.url));
      expect(threadsOf().length).toBeLessThanOrEqual(threads + 4);
      for (let i = 0; i < 50; i++) await queue.send(a, i);
      const priorities = (await Promise.all(waits)).map(({ priority }) => priority);
      expect(priorities.toSorted((x, y) => x - y)).toEqual(waits.map((_, i) => i));
      expect(queue.depth()).toBe(0);
    });

    test('waiting sends keep their order, and nothing overtakes them', async () => {
      const full = fill();
      const sends = [1, 2, 3].map((n) => queue.send(Buffer.from([n])));
      expect(queue.trySend(b)).toBe(false);
      expect(queue.trySendMany([{ priority: 9, body: b }])).toBe(0);
      expect(await codeOf(() => queue.sendSync(b))).toBe('NARU_FULL');
      for (let i = 0; i < full; i++) await queue.receive();
      await Promise.all(sends);
      expect(queue.tryReceiveMany(10).map(({ body }) => body[0])).toEqual([1, 2, 3]);
    });

    test('a wait ends with its time, with its signal, or at once, and takes nothing', async () => {
      expect(await codeOf(() => queue.receive({ timeoutMs: 5 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => queue.receive({ timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => queue.receiveSync({ timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
      for (const timeoutMs of [0.3, 12, 130]) {
        const start = performance.now();
        expect(await codeOf(() => queue.receiveSync({ timeoutMs }))).toBe('NARU_TIMEOUT');
        expect(performance.now() - start).toBeGreaterThanOrEqual(timeoutMs - 0.1);
      }
      const reason = new Error('enough');
      const controller = new AbortController();
      const wait = errorOf(() => queue.receive({ signal: controller.signal }));
      queue.trySend(a);
      controller.abort(reason);
      expect(await wait).toBe(reason);
      expect(queue.depth()).toBe(1);
      fill();
      expect(await codeOf(() => queue.send(a, 0, { timeoutMs: 5 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => queue.sendSync(a, 0, { timeoutMs: 5 }))).toBe('NARU_TIMEOUT');
      expect(queue.depth()).toBe(queue.maxMessages);
      // A blocking call leaves the descriptor as it was.
      expect(queue.trySend(a)).toBe(false);
    });

    test('more sends than maxWaiting are refused; close ends the others', async () => {
      fill();
      const other = open({ maxWaiting: 1 });
      const first = codeOf(() => other.send(a));
      expect(await codeOf(() => other.send(a))).toBe('NARU_OVERLOADED');
      await other.close();
      expect(await first).toBe('NARU_CLOSED');
      expect(await codeOf(() => other.depth())).toBe('NARU_CLOSED');
    });

    test('receiveMany takes with one wake-up what is there', async () => {
      const wait = queue.receiveMany(10);
      queue.trySendMany([1, 2, 3].map((priority) => ({ priority, body: a })));
      expect((await wait).map(({ priority }) => priority)).toEqual([3, 2, 1]);
      queue.trySendMany([1, 2, 3].map((priority) => ({ priority, body: a })));
      expect((await queue.receiveMany(2)).map(({ priority }) => priority)).toEqual([3, 2]);
    });

    test('a worker that ends while it waits ends', async () => {
      for (const act of ['receive', 'receiveSync']) {
        const worker = new Worker(new URL('./posix-worker.fixture.js', import.meta.url), {
          workerData: { name, act },
        });
        await new Promise((resolve) => worker.once('message', resolve));
        if (act === 'receiveSync') await until('it sleeps', () => sleepersIn('mqTimedReceive') === 1);
        const start = performance.now();
        await worker.terminate();
        expect(performance.now() - start).toBeLessThan(1000);
      }
      queue.trySend(a);
      expect(queue.depth()).toBe(1);
    });
  });

  describe('notification', () => {
    test('a callback is called for each arrival in the empty queue, and not for others', async () => {
      let calls = 0;
      const seen: number[] = [];
      const notification = queue.notify(() => {
        calls += 1;
        for (let it = queue.tryReceive(); it !== undefined; it = queue.tryReceive()) seen.push(it.priority);
      });
      expect(queue.stat().notifiedPid).toBe(process.pid);
      for (let round = 1; round <= 5; round++) {
        queue.trySendMany([1, 2].map((priority) => ({ priority, body: a })));
        await until('it is called', () => calls === round);
      }
      expect(seen).toEqual([2, 1, 2, 1, 2, 1, 2, 1, 2, 1]);
      notification.close();
      expect(queue.stat().notifiedPid).toBe(undefined);
      queue.trySend(a);
      expect(calls).toBe(5);
    });

    test('what is in the queue already is told at once', async () => {
      queue.trySend(a);
      let calls = 0;
      using notification = queue.notify(() => {
        calls += 1;
      });
      await until('it is called', () => calls === 1);
      expect(notification.isArmed).toBe(true);
    });

    test('there is one registrant', async () => {
      const first = queue.notify(() => 0);
      expect(await codeOf(() => open().notify(() => 0))).toBe('NARU_EXISTS');
      first.close();
      open()
        .notify(() => 0)
        .close();
    });

    test('the iterator drains a stream of messages, and ends with close', async () => {
      const sender = open();
      const seen: number[] = [];
      const loop = (async () => {
        for await (const _ of queue.arrivals()) {
          for (const { priority } of queue.tryReceiveMany(100)) seen.push(priority);
        }
      })();
      for (let i = 0; i < 200; i++) await sender.send(a, i);
      await until('all have come', () => seen.length === 200);
      await queue.close();
      await loop;
    });

    test('the iterator ends with its signal', async () => {
      const controller = new AbortController();
      const reason = new Error('enough');
      const loop = errorOf(async () => {
        for await (const _ of queue.arrivals({ signal: controller.signal })) queue.tryReceive();
      });
      controller.abort(reason);
      expect(await loop).toBe(reason);
      expect(queue.stat().notifiedPid).toBe(undefined);
    });

    test.each(['SIGUSR1', 'SIGUSR2', 'SIGINT', 'SIGRTMIN+1', 'SIGKILL', 'SIGRTMIN+99', 'SIGNO', 0, 32, 1.5])(
      'the signal %s, which nothing handles, is refused',
      async (signal) => {
        expect(await codeOf(() => queue.notify({ signal }))).toBe('NARU_INVALID_ARGUMENT');
        expect(queue.stat().notifiedPid).toBe(undefined);
      },
    );

    test('a child process is told by a signal that it handles, once for each registration', async () => {
      const program = `
        const { PosixQueue } = await import(process.argv[1]);
        const queue = PosixQueue.open({ name: process.argv[2] });
        let notification;
        process.on('SIGUSR2', () => {
          notification.rearm();
          console.log(queue.tryReceiveMany(100).length);
        });
        notification = queue.notify({ signal: 'SIGUSR2' });
        setInterval(() => 0, 60_000);
        console.log('ready');`;
      const index = new URL('./index.js', import.meta.url).href;
      const child = stage.start(process.execPath, ['--input-type=module', '-e', program, index, name]);
      expect(await child.line()).toBe('ready');
      for (let round = 0; round < 3; round++) {
        queue.trySend(a);
        expect(await child.line()).toBe('1');
      }
    });

    test('the list tells all and takes no registration away (skipped without root)', (context) => {
      if (process.getuid?.() !== 0) context.skip('mounting needs root');
      const folder = stage.path('mqueue');
      mkdirSync(folder);
      execFileSync('mount', ['-t', 'mqueue', 'none', folder]);
      stage.cleanup(() => execFileSync('umount', [folder]));
      queue.trySend(b);
      const other = open({ name: `${name}-c` });
      stage.cleanup(() => other.unlink());
      using notification = other.notify(() => 0);
      const list = PosixQueue.list();
      expect(list?.find((it) => it.name === name)).toEqual(queue.stat());
      expect(list?.find((it) => it.name === `${name}-c`)?.notifiedPid).toBe(process.pid);
      expect(other.stat().notifiedPid).toBe(process.pid);
      expect(notification.isArmed).toBe(true);
    });
  });
});
