// Shared memory of both kinds: sizes, limits, removal, and raw structs exchanged with C and Python under a semaphore.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync, truncateSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NaruError } from '../errors/index.ts';
import { nativeProblem, tryNative } from '../native/index.ts';
import { nextTurn } from './queue-wait.ts';
import { Semaphore } from './semaphore.ts';
import { SharedMemory } from './shared-memory.ts';
import { codeOf, errorOf, hasCompiler, KernelStage, uniqueKey, uniqueName } from './stage.fixture.ts';

type Kind = 'posix' | 'system-v';

describe.skipIf(tryNative() === undefined)(`SharedMemory (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let name: string;
  let key: number;
  beforeEach(() => {
    stage = new KernelStage();
    name = uniqueName();
    key = uniqueKey();
    stage.cleanup(() => SharedMemory.unlink(name));
    stage.cleanup(() => SharedMemory.systemV(key, { create: 'never' }).remove());
  });
  afterEach(() => stage.close());

  const open = (kind: Kind, options: Parameters<typeof SharedMemory.posix>[1]): SharedMemory =>
    kind === 'posix' ? SharedMemory.posix(name, options) : SharedMemory.systemV(key, options);

  describe.each<Kind>(['posix', 'system-v'])('of kind %s', (kind) => {
    test('what one handle writes, another reads; it is zeros at first', async () => {
      await using one = open(kind, { sizeBytes: 10_000, create: 'new' });
      await using two = open(kind, { create: 'never' });
      expect([one.made, two.made, two.sizeBytes]).toEqual([true, false, 10_000]);
      expect(two.bytes.every((byte) => byte === 0)).toBe(true);
      one.bytes.set([1, 2, 3], 9_997);
      expect([...two.bytes.subarray(9_997)]).toEqual([1, 2, 3]);
      expect(Atomics.add(new Int32Array(one.buffer, 0, 1), 0, 5)).toBe(0);
      expect(new Int32Array(two.buffer, 0, 1)[0]).toBe(5);
      one.check();
    });

    test('what exists, does not exist, is too small or too large is said clearly', async () => {
      expect(await codeOf(() => open(kind, { create: 'never' }))).toBe('NARU_NOT_FOUND');
      expect(await codeOf(() => open(kind, {}))).toBe('NARU_INVALID_ARGUMENT');
      await using memory = open(kind, { sizeBytes: 4096 });
      expect(await codeOf(() => open(kind, { sizeBytes: 4096, create: 'new' }))).toBe('NARU_EXISTS');
      const small = await errorOf(() => open(kind, { sizeBytes: 4097 }));
      expect(small.message).toMatch(/it has 4096 bytes, at least 4097 were expected/);
      expect(small.code).toBe('NARU_CORRUPT');
      expect(await codeOf(() => open(kind, { create: 'never', mode: 0o1000 }))).toBe('NARU_INVALID_ARGUMENT');
      memory.remove();
      // A segment's memory is taken when it is first touched: its size alone may be anything.
      const tooMuch = (): SharedMemory => SharedMemory.posix(name, { sizeBytes: 2 ** 51 });
      expect(await codeOf(tooMuch)).toBe('NARU_LIMIT');
      expect(await codeOf(() => open(kind, { create: 'never' }))).toBe('NARU_NOT_FOUND');
    });

    test('the list shows it with its size and mode, until it is removed', async () => {
      await using memory = open(kind, { sizeBytes: 5000, mode: 0o640 });
      const find = (): unknown =>
        SharedMemory.list().find((entry) => entry.name === `/${name}` || entry.key === key);
      expect(find()).toMatchObject({ kind, sizeBytes: 5000, mode: 0o640, uid: process.getuid?.() });
      expect(memory.status()).toMatchObject({ kind, sizeBytes: 5000, mode: 0o640 });
      memory.remove();
      expect(find()).toBeUndefined();
      memory.bytes[0] = 7;
    });

    test('a closed handle says so', async () => {
      const memory = open(kind, { sizeBytes: 100 });
      memory.close();
      memory.close();
      for (const use of [
        () => memory.bytes,
        () => memory.status(),
        () => memory.check(),
        () => memory.buffer,
      ]) {
        expect(await codeOf(use)).toBe('NARU_CLOSED');
      }
    });
  });

  test('a POSIX object that another process made smaller is found by check() and at the next open', async () => {
    await using memory = SharedMemory.posix(name, { sizeBytes: 8192 });
    truncateSync(`/dev/shm/${name}`, 4096);
    expect(await codeOf(() => memory.check())).toBe('NARU_CORRUPT');
    expect(await codeOf(() => SharedMemory.posix(name, { sizeBytes: 8192 }))).toBe('NARU_CORRUPT');
    truncateSync(`/dev/shm/${name}`, 0);
    expect(await codeOf(() => SharedMemory.posix(name))).toBe('NARU_CORRUPT');
  });

  test('a POSIX object has its name only when it is complete', async () => {
    const program = `import { SharedMemory } from '${new URL('./shared-memory.js', import.meta.url).href}';
      for (let n = 0; n < 500; n += 1) {
        const memory = SharedMemory.posix('${name}', { create: 'new', sizeBytes: 1_000_000 });
        memory.remove();
        memory.close();
      }`;
    const maker = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' });
    stage.cleanup(() => maker.kill('SIGKILL'));
    const ended = once(maker, 'exit');
    const seen = new Set<string | number>();
    while (maker.exitCode === null && maker.signalCode === null) {
      for (let n = 0; n < 200; n += 1) {
        try {
          using memory = SharedMemory.posix(name, { create: 'never', readOnly: true });
          seen.add(memory.sizeBytes);
        } catch (error) {
          seen.add((error as NaruError).code);
        }
      }
      await nextTurn();
    }
    expect(await ended).toEqual([0, null]);
    seen.delete('NARU_NOT_FOUND');
    seen.delete(1_000_000);
    expect([...seen]).toEqual([]);
  });

  test('its memory is really allocated when it is made, with exactly the mode asked for', async () => {
    const old = process.umask(0o077);
    try {
      await using memory = SharedMemory.posix(name, { sizeBytes: 1 << 20, mode: 0o666 });
      const { blocks, mode } = statSync(`/dev/shm/${name}`);
      expect([blocks * 512, mode & 0o777, memory.sizeBytes]).toEqual([1 << 20, 0o666, 1 << 20]);
    } finally {
      process.umask(old);
    }
    for (const bad of ['', '..', 'a/b', 'x'.repeat(256)]) {
      expect(await codeOf(() => SharedMemory.posix(bad, { sizeBytes: 1 })), bad).toBe(
        'NARU_INVALID_ARGUMENT',
      );
    }
  });

  test('a segment counts who has it attached, and is gone when the last one that was removed lets go', async () => {
    const memory = SharedMemory.systemV('private', { sizeBytes: 100 });
    stage.cleanup(() => memory.remove());
    expect(memory.status()).toMatchObject({ key: 0, attached: 1, creatorPid: process.pid, isRemoved: false });
    memory.remove();
    expect(memory.status()).toMatchObject({ attached: 1, isRemoved: true });
    memory.bytes[99] = 1;
    memory.close();
  });

  describe.skipIf(!hasCompiler())('with a C program', () => {
    // { u32 count; u32 pad; f64 total; char text[16] }: 100 rounds of Node, then C, each under the same semaphores.
    const WORK = `
      struct shared { unsigned count; double total; char text[16]; } *it = memory;
      for (int i = 0; i < 100; i++) {
        while (sem_wait(ours) != 0) continue;
        it->count += 1; it->total *= 2; snprintf(it->text, sizeof it->text, "c %d", i);
        sem_post(theirs);
      }`;
    const SEMAPHORES = `sem_t *ours = sem_open(argv[2], 0), *theirs = sem_open(argv[3], 0);
      if (ours == SEM_FAILED || theirs == SEM_FAILED) fail("sem_open");`;

    test.each<Kind>(['posix', 'system-v'])(
      'a struct passes 100 times each way under semaphores, %s',
      async (kind) => {
        await using memory = open(kind, { sizeBytes: 32 });
        const names = [`/${uniqueName()}`, `/${uniqueName()}`] as const;
        for (const each of names) stage.cleanup(() => Semaphore.unlink(each));
        await using theirs = Semaphore.posix(names[0], { value: 0 });
        await using ours = Semaphore.posix(names[1], { value: 0 });
        const attach =
          kind === 'posix'
            ? `int fd = shm_open(argv[1], O_RDWR, 0); void *memory = mmap(0, 32, 3, MAP_SHARED, fd, 0);`
            : `void *memory = shmat(shmget(atoi(argv[1]), 0, 0), 0, 0);`;
        const where = kind === 'posix' ? `/${name}` : key;
        const child = stage.c(
          kind,
          `${attach} if (memory == (void *)-1) fail("attach"); ${SEMAPHORES} ${WORK}`,
          where,
          ...names,
        );
        const view = new DataView(memory.buffer);
        for (let i = 0; i < 100; i++) {
          view.setUint32(0, 1000 + i, true);
          view.setFloat64(8, i + 0.25, true);
          theirs.release();
          if (i % 2 === 0) await ours.acquire();
          else ours.acquireSync();
          expect([view.getUint32(0, true), view.getFloat64(8, true)]).toEqual([1001 + i, 2 * (i + 0.25)]);
          expect(Buffer.from(memory.bytes.slice(16, 32)).toString().split('\0')[0]).toBe(`c ${i}`);
        }
        expect(await child.end()).toMatchObject({ code: 0 });
      },
    );

    test.each<Kind>(['posix', 'system-v'])('what a C program made is opened as it is, %s', async (kind) => {
      const made =
        kind === 'posix'
          ? `int fd = shm_open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600); if (fd < 0) fail("shm_open");
             if (ftruncate(fd, 100) != 0) fail("ftruncate");
             char *memory = mmap(0, 100, 3, MAP_SHARED, fd, 0);`
          : `const int id = shmget(atoi(argv[1]), 100, IPC_CREAT | IPC_EXCL | 0600); if (id < 0) fail("shmget");
             char *memory = shmat(id, 0, 0); if (memory == (void *)-1) fail("shmat");`;
      const where = kind === 'posix' ? `/${name}` : key;
      const child = stage.c(`maker-${kind}`, `${made} strcpy(memory + 10, "from C"); say("made");`, where);
      expect(await child.line()).toBe('made');
      await using memory = open(kind, { create: 'never' });
      expect(memory.sizeBytes).toBe(100);
      expect(Buffer.from(memory.bytes.slice(10, 16)).toString()).toBe('from C');
    });
  });

  test("Python's multiprocessing.shared_memory reads and writes the same bytes", async () => {
    await using memory = SharedMemory.posix(name, { sizeBytes: 64 });
    memory.bytes.set(Buffer.from('to python'));
    const program = `
import sys
from multiprocessing import shared_memory, resource_tracker
m = shared_memory.SharedMemory(name=sys.argv[1])
resource_tracker.unregister(m._name, 'shared_memory')
print(bytes(m.buf[0:9]).decode(), flush=True)
m.buf[16:27] = b'from python'
m.close()
`;
    const child = stage.start('python3', ['-c', program, name]);
    expect(await child.line()).toBe('to python');
    expect(await child.end()).toMatchObject({ code: 0 });
    expect(Buffer.from(memory.bytes.slice(16, 27)).toString()).toBe('from python');
  });
});
