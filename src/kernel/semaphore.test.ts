// Semaphores of both kinds: counting, waiting, limits, and what the death of a holder leaves; C programs on the other side.

import { once } from 'node:events';
import { existsSync, statSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { until } from '../native/stage.fixture.ts';
import { Semaphore } from './semaphore.ts';
import {
  codeOf,
  errorOf,
  hasCompiler,
  KernelStage,
  sleepersIn,
  sleepersInSemTimedWait,
  uniqueKey,
  uniqueName,
} from './stage.fixture.ts';

type Kind = 'posix' | 'system-v';

describe.skipIf(tryNative() === undefined)(`Semaphore (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let name: string;
  let key: number;
  beforeEach(() => {
    stage = new KernelStage();
    name = uniqueName();
    key = uniqueKey();
    stage.cleanup(() => Semaphore.unlink(name));
    stage.cleanup(() => Semaphore.systemV(key, { create: 'never' }).remove());
  });
  afterEach(() => stage.close());

  const make = (kind: Kind, value = 1): Semaphore =>
    kind === 'posix'
      ? Semaphore.posix(name, { value, create: 'new' })
      : Semaphore.systemV(key, { value, create: 'new' });
  const again = (kind: Kind): Semaphore =>
    kind === 'posix' ? Semaphore.posix(name) : Semaphore.systemV(key);
  /** Threads of ours that wait in the kernel: sem_timedwait is a shared futex, semtimedop a call of its own. */
  const waiting = (): number => sleepersInSemTimedWait() + sleepersIn('semtimedop');

  describe.each<Kind>(['posix', 'system-v'])('of kind %s', (kind) => {
    test('counts what is acquired and released, also through another handle', async () => {
      await using semaphore = make(kind, 2);
      await using other = again(kind);
      expect([semaphore.kind, semaphore.value]).toEqual([kind, 2]);
      expect([semaphore.tryAcquire(), other.tryAcquire(), other.tryAcquire()]).toEqual([true, true, false]);
      expect(other.value).toBe(0);
      semaphore.release();
      semaphore.acquireSync();
      other.release();
      other.release();
      expect(semaphore.value).toBe(2);
      expect(await semaphore.with(() => other.value)).toBe(1);
      expect(semaphore.value).toBe(2);
    });

    test('a waiting acquire sleeps in a thread of its own until somebody releases', async () => {
      await using semaphore = make(kind, 0);
      const order: string[] = [];
      const waits = Array.from({ length: 6 }, () => semaphore.acquire().then(() => order.push('acquired')));
      await until('all wait in the kernel', () => waiting() >= 6);
      expect(order).toEqual([]);
      for (let i = 0; i < 6; i++) semaphore.release();
      await Promise.all(waits);
      expect([order.length, semaphore.value]).toEqual([6, 0]);
    });

    test('a wait ends with its time, its signal, and the close of its handle; nothing is taken', async () => {
      const semaphore = make(kind, 0);
      expect(await codeOf(() => semaphore.acquire({ timeoutMs: 0 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => semaphore.acquire({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => semaphore.acquireSync({ timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
      expect(await codeOf(() => semaphore.acquire({ timeoutMs: -1 }))).toBe('NARU_INVALID_ARGUMENT');
      const abort = new AbortController();
      const aborted = semaphore.acquire({ signal: abort.signal });
      abort.abort(new Error('enough'));
      await expect(aborted).rejects.toThrow('enough');
      await expect(semaphore.acquire({ signal: abort.signal })).rejects.toThrow('enough');
      const closed = codeOf(() => semaphore.acquire());
      await semaphore.close();
      expect(await closed).toBe('NARU_CLOSED');
      expect(await codeOf(() => semaphore.tryAcquire())).toBe('NARU_CLOSED');
      expect(await codeOf(() => semaphore.acquire())).toBe('NARU_CLOSED');
      await using other = again(kind);
      other.release();
      expect(other.value).toBe(1);
    });

    test('an abort in the moment of the release loses nothing: 200 rounds', async () => {
      await using semaphore = make(kind, 0);
      let acquired = 0;
      for (let round = 0; round < 200; round++) {
        const abort = new AbortController();
        const wait = semaphore.acquire({ signal: abort.signal }).then(
          () => (acquired += 1),
          () => 0,
        );
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        if (round % 2 === 0) abort.abort();
        semaphore.release();
        abort.abort();
        await wait;
      }
      await until('each release was acquired or is there', () => semaphore.value + acquired === 200);
    });

    test.each(['acquire', 'acquireSync'] as const)(
      'a worker that is terminated while it waits in %s ends at once and takes nothing',
      async (act) => {
        await using semaphore = make(kind, 0);
        const file = new URL('./semaphore-worker.fixture.js', import.meta.url);
        const worker = new Worker(file, { workerData: { kind, name, key, act } });
        await once(worker, 'message');
        await until('the worker waits', () => waiting() > 0);
        await worker.terminate();
        await until('nobody waits', () => waiting() === 0);
        semaphore.release();
        expect(semaphore.value).toBe(1);
        expect(semaphore.tryAcquire()).toBe(true);
      },
    );

    test('what exists already, does not exist, or is wrong', async () => {
      expect(
        await codeOf(() =>
          kind === 'posix'
            ? Semaphore.posix(name, { create: 'never' })
            : Semaphore.systemV(key, { create: 'never' }),
        ),
      ).toBe('NARU_NOT_FOUND');
      await using semaphore = make(kind);
      expect(await codeOf(() => make(kind))).toBe('NARU_EXISTS');
      const listed = Semaphore.list().filter((entry) => entry.name === `/${name}` || entry.key === key);
      expect(listed).toHaveLength(1);
      semaphore.remove();
      expect(['NARU_NOT_FOUND', 'NARU_CLOSED']).toContain(await codeOf(() => semaphore.remove()));
    });
  });

  test('a POSIX semaphore has exactly the mode asked for and lives on for who has it open', async () => {
    const old = process.umask(0o077);
    try {
      await using semaphore = Semaphore.posix(`/${name}`, { mode: 0o666 });
      expect(statSync(`/dev/shm/sem.${name}`).mode & 0o777).toBe(0o666);
      Semaphore.unlink(name);
      expect(existsSync(`/dev/shm/sem.${name}`)).toBe(false);
      expect(semaphore.tryAcquire()).toBe(true);
    } finally {
      process.umask(old);
    }
    for (const bad of ['', '/', 'a/b', 'x'.repeat(252), 'a\0']) {
      expect(await codeOf(() => Semaphore.posix(bad)), bad).toBe('NARU_INVALID_ARGUMENT');
    }
  });

  test('whoever waits for a set that is removed is told so', async () => {
    await using semaphore = make('system-v', 0);
    const wait = codeOf(() => semaphore.acquire());
    await until('it waits', () => waiting() > 0);
    semaphore.remove();
    expect(await wait).toBe('NARU_CLOSED');
    expect(await codeOf(() => semaphore.release())).toBe('NARU_CLOSED');
  });

  test('a set has several semaphores, and its limits are named', async () => {
    await using second = Semaphore.systemV(key, { count: 3, index: 1, value: 32_767 });
    await using third = Semaphore.systemV(key, { index: 2 });
    expect(second.tryAcquire()).toBe(true);
    expect([second.value, third.value]).toEqual([32_766, 32_767]);
    expect(await codeOf(() => third.release())).toBe('NARU_LIMIT');
    expect(await codeOf(() => Semaphore.systemV(key, { index: 3 }))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => Semaphore.systemV({ path: '/nowhere/at/all' }))).toBe('NARU_NOT_FOUND');
    expect(await codeOf(() => Semaphore.systemV(0))).toBe('NARU_INVALID_ARGUMENT');
    const alone = Semaphore.systemV('private');
    stage.cleanup(() => alone.remove());
    expect(alone.value).toBe(1);
    await alone.close();
  });

  describe.skipIf(!hasCompiler())('with a C program', () => {
    /** The program goes on when it gets SIGUSR2. */
    const BLOCK = `sigset_t set; int got; sigemptyset(&set); sigaddset(&set, SIGUSR2);
      sigprocmask(SIG_BLOCK, &set, NULL);`;

    test.each<Kind>(['posix', 'system-v'])('each wakes the other, %s', async (kind) => {
      await using semaphore = make(kind, 0);
      const child =
        kind === 'posix'
          ? stage.c(
              'posix',
              `sem_t *s = sem_open(argv[1], 0); if (s == SEM_FAILED) fail("sem_open");
               ${BLOCK} say("ready"); while (sem_wait(s) != 0) continue; say("woken"); sigwait(&set, &got); sem_post(s);`,
              `/${name}`,
            )
          : stage.c(
              'system-v',
              `int id = semget(atoi(argv[1]), 0, 0); if (id < 0) fail("semget");
               struct sembuf down = {0, -1, 0}, up = {0, 1, 0};
               ${BLOCK} say("ready"); if (semop(id, &down, 1) != 0) fail("semop");
               say("woken"); sigwait(&set, &got); semop(id, &up, 1);`,
              key,
            );
      expect(await child.line()).toBe('ready');
      semaphore.release();
      expect(await child.line()).toBe('woken');
      const wait = semaphore.acquire();
      await until('it waits', () => waiting() > 0);
      child.process.kill('SIGUSR2');
      await wait;
      expect(await child.end()).toMatchObject({ code: 0 });
    });

    const HOLD = `int id = semget(atoi(argv[1]), 0, 0);
      struct sembuf down = {0, -1, (short)(atoi(argv[2]) ? SEM_UNDO : 0)};
      if (semop(id, &down, 1) != 0) fail("semop"); say("holds"); for (;;) pause();`;

    test('the holder of a System V semaphore is killed: with undo it is free again', async () => {
      await using semaphore = make('system-v');
      const child = stage.c('undo', HOLD, key, 1);
      expect(await child.line()).toBe('holds');
      const wait = semaphore.acquire();
      await until('it waits', () => waiting() > 0);
      child.process.kill('SIGKILL');
      await wait;
      expect(semaphore.value).toBe(0);
    });

    test('without undo it stays taken', async () => {
      await using semaphore = make('system-v');
      const child = stage.c('no-undo', HOLD, key, 0);
      expect(await child.line()).toBe('holds');
      child.process.kill('SIGKILL');
      await child.end();
      expect(semaphore.value).toBe(0);
    });
  });

  test('a Node process that is killed gives its System V semaphore back, its POSIX one not', async () => {
    await using posix = make('posix');
    await using systemV = make('system-v');
    const file = new URL('./semaphore.js', import.meta.url).href;
    const program = `const { Semaphore } = await import(process.argv[1]);
      const posix = Semaphore.posix(process.argv[2]), systemV = Semaphore.systemV(Number(process.argv[3]));
      await posix.acquire(); await systemV.acquire(); console.log('holds'); setInterval(() => {}, 1000);`;
    const child = stage.start(process.execPath, [
      '--input-type=module',
      '-e',
      program,
      file,
      name,
      String(key),
    ]);
    expect(await child.line()).toBe('holds');
    expect([posix.value, systemV.value]).toEqual([0, 0]);
    child.process.kill('SIGKILL');
    await systemV.acquire({ timeoutMs: 20_000 });
    await child.end();
    expect(posix.value).toBe(0);
  });

  test('an error names the object, the call and the errno', async () => {
    const error = await errorOf(() => Semaphore.posix(name, { create: 'never' }));
    expect(error.message).toBe(`semaphore /${name}: there is no such object (sem_open: ENOENT)`);
  });
});
