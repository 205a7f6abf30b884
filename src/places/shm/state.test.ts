// Values, arrays and maps of shm:// with real processes: types and ranges, what others see, agreement on attaching, damage, who owns
// what. Deaths are state-crash.test.ts's. The traps of Python's originals are marked.

import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { openArray, openMap, openValue } from 'naru/state';
import { STATE_HEADER } from '../../mapped-state/layout.ts';
import { type StateScene, stateSceneForEach } from './state-scene.fixture.ts';

let scene: StateScene;
stateSceneForEach((made) => {
  scene = made;
});

const INTEGERS = [
  ['i8', -128, 127],
  ['u8', 0, 255],
  ['i16', -32768, 32767],
  ['u16', 0, 65535],
  ['i32', -2147483648, 2147483647],
  ['u32', 0, 4294967295],
  ['i64', -(2n ** 63n), 2n ** 63n - 1n],
  ['u64', 0n, 2n ** 64n - 1n],
] as const;

describe('a value', () => {
  test.each(INTEGERS)(
    'of %s takes its whole range and nothing else (Python: Value("b", 300) is 44)',
    async (type, min, max) => {
      await using value = await openValue('shm://v', type as 'i32');
      const one = (typeof min === 'bigint' ? 1n : 1) as number;
      const [low, high] = [min as number, max as number];
      expect(value.get()).toBe(typeof min === 'bigint' ? 0n : 0);
      for (const good of [low, high, one]) {
        value.set(good);
        expect(value.get()).toBe(good);
      }
      const wrong = [
        low - one,
        high + one,
        1.5,
        '1',
        undefined,
        null,
        NaN,
        true,
        typeof min === 'bigint' ? 1 : 1n,
      ];
      for (const bad of wrong)
        for (const act of [
          () => value.set(bad as number),
          () => value.exchange(bad as never),
          () => value.add(bad as never),
        ])
          expect(act, String(bad)).toThrow(expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }));
      expect(value.get()).toBe(one);
      value.set(high);
      expect(() => value.add(one)).toThrow(/nothing was changed/);
      expect(value.sub(one)).toBe(high);
      value.set(low);
      expect(() => value.sub(one)).toThrow(/nothing was changed/);
      expect([value.add(one), value.get()]).toEqual([low, low + one]);
      value.set(one);
      expect([
        value.exchange(high),
        value.compareExchange(one, low),
        value.compareExchange(high, one),
      ]).toEqual([one, high, high]);
      expect([value.or(one + one), value.and(one + one), value.xor(one + one), value.get()]).toEqual([
        one,
        one + one + one,
        one + one,
        one - one,
      ]);
    },
  );

  test('of f32, f64 and bool refuses other types, and what a float cannot come near', async () => {
    await using f64 = await openValue('shm://f64', 'f64');
    await using f32 = await openValue('shm://f32', 'f32');
    await using bool = await openValue('shm://bool', 'bool');
    f64.set(0.1);
    f32.set(0.5);
    bool.set(true);
    expect([f64.get(), f32.get(), bool.get()]).toEqual([0.1, 0.5, true]);
    for (const special of [NaN, Infinity, -0]) {
      f64.set(special);
      f32.set(special);
      expect([f64.get(), f32.get()]).toEqual([special, special]);
    }
    for (const act of [
      () => f64.set('1' as never),
      () => f64.set(1n as never),
      () => f32.set(1e39),
      () => bool.set(1 as never),
      () => bool.set('true' as never),
    ])
      expect(act).toThrow(expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }));
    expect(() => f64.add(1 as never)).toThrow(expect.objectContaining({ code: 'NARU_UNSUPPORTED' }));
    expect(() => bool.view).toThrow(/no view/);
  });

  test('of text and bytes keeps NULs and every length up to its own (Python: Array("c").value ends at a NUL)', async () => {
    await using text = await openValue('shm://text', 'text:8');
    await using bytes = await openValue('shm://bytes', 'bytes:8');
    for (const one of ['', 'a\0b\0', 'ä€', '12345678']) {
      text.set(one);
      expect(text.get()).toBe(one);
      bytes.set(Buffer.from(one));
      expect(Buffer.from(bytes.get()).toString()).toBe(one);
    }
    expect(() => text.set('€€€')).toThrow(expect.objectContaining({ code: 'NARU_TOO_LARGE' }));
    expect(() => text.set('\ud800')).toThrow(expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }));
    expect(() => bytes.set('text' as never)).toThrow(
      expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }),
    );
    const mine = bytes.get();
    mine[0] = 99;
    expect(bytes.get()[0]).not.toBe(99);
  });

  test('is counted by processes without a lock (Python: value.value += 1 loses)', {
    timeout: 120_000,
  }, async () => {
    const each = Number(process.env['NARU_STATE_COUNT'] ?? 200_000);
    await using value = await openValue('shm://count', 'i64');
    const peers = [1, 2].map(() => scene.start({ act: 'add', url: 'shm://count', count: each }));
    for (let n = 0; n < each; n += 1) value.add(1n);
    expect(await Promise.all(peers.map((peer) => peer.exit))).toEqual([0, 0]);
    expect(value.get()).toBe(BigInt(each) * 3n);
    // There is no property to assign to: the trap cannot be written down.
    expect('value' in value).toBe(false);
  });

  test('has a lock that waits, ends with its limits, and reports the task that waits for itself', async () => {
    await using mine = await openValue('shm://lock', 'i32');
    await using theirs = await openValue('shm://lock', 'i32');
    const order: string[] = [];
    const first = mine.withLock(async () => {
      order.push('first');
      await expect(theirs.withLock(() => 1, { timeoutMs: 30 })).rejects.toMatchObject({
        code: 'NARU_TIMEOUT',
      });
      await expect(mine.withLock(() => 1)).rejects.toMatchObject({ code: 'NARU_DEADLOCK' });
      expect(theirs.lock.tryAcquire()).toBeUndefined();
    });
    const second = theirs.withLock(() => order.push('second'));
    await Promise.all([first, second]);
    expect(order).toEqual(['first', 'second']);
    await expect(mine.withLock(() => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
    expect(theirs.lock.acquireSync({ timeoutMs: 0 }).release()).toBeUndefined();
  });
});

describe('an array', () => {
  test('is one memory for all, with views that copy nothing', async () => {
    await using mine = await openArray('shm://a', Float64Array, 4);
    await using theirs = await openArray('shm://a', 'f64');
    mine.set(0, 1.5);
    theirs.view[3] = 4;
    expect([...theirs]).toEqual([1.5, 0, 0, 4]);
    const copy = mine.slice(0, 2);
    copy[0] = 9;
    expect(mine.get(0)).toBe(1.5);
    const values: Float64Array = mine.view;
    expect(values.length).toBe(4);
    mine.fill(2, 1, 3);
    expect([...mine]).toEqual([1.5, 2, 2, 4]);
  });

  test('refuses what typed arrays coerce or drop, all or nothing (Python: Array("i")[0] = 2**31 is -2147483648)', async () => {
    await using array = await openArray('shm://a', Int32Array, 3);
    array.setAll([1, 2, 3]);
    for (const act of [
      () => array.set(0, 2 ** 31),
      () => array.set(0, 1.5),
      () => array.set(3, 1),
      () => array.set(-1, 1),
      () => array.get(1.5),
      () => array.setAll([4, 5, 2 ** 31]),
      () => array.setAll([4, 5], 2),
      () => array.fill(0, 0, 4),
      () => array.add(0, 2147483647),
    ])
      expect(act).toThrow(expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }));
    expect([...array]).toEqual([1, 2, 3]);
    expect([array.add(0, 5), array.get(0)]).toEqual([1, 6]);
    // The view is the memory: it does what typed arrays do.
    array.view[0] = 2 ** 31;
    expect(array.get(0)).toBe(-(2 ** 31));
  });
});

describe('attaching', () => {
  test('to something else is refused in words', async () => {
    await using value = await openValue('shm://x', 'i32');
    await using array = await openArray('shm://y', Int32Array, 5);
    await using map = await openMap('shm://z?capacity=1MiB&maxEntries=100');
    expect([value.created, array.created, map.created]).toEqual([true, true, true]);
    const refused = async (call: Promise<unknown>, text: RegExp): Promise<void> => {
      const error = await call.catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'NARU_EXISTS', message: expect.stringMatching(text) });
    };
    await refused(openValue('shm://x', 'u32'), /type: asked u32, is i32/);
    await refused(openValue('shm://x', 'i32', { owner: 'system' }), /owner: asked system, is users/);
    await refused(openValue('shm://x', 'i32', { create: 'new' }), /create is "new"/);
    await refused(openArray('shm://x', Int32Array, 1), /is a value of i32, not an array/);
    await refused(openArray('shm://y', Int32Array, 6), /length: asked 6, is 5/);
    await refused(openArray('shm://y', Float32Array, 5), /type: asked f32, is i32/);
    await refused(openMap('shm://y'), /is an array of i32, not a map/);
    await refused(openMap('shm://z?capacity=2MiB'), /capacityBytes: asked 2097152, is 1048576/);
    await refused(openMap('shm://z?maxEntries=7'), /maxEntries: asked 7, is 100/);
    await using same = await openMap('shm://z');
    expect([same.created, same.limits.maxValueBytes]).toEqual([false, 131072]);
  });

  test('to what is not there, and with what makes no sense', async () => {
    await expect(openValue('shm://x', 'i32', { create: 'never' })).rejects.toMatchObject({
      code: 'NARU_NOT_FOUND',
    });
    await expect(openArray('shm://x', Int32Array)).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    for (const call of [
      openValue('shm://x', 'i33' as never),
      openValue('shm://x', 'text:0'),
      openValue('shm://x', 'text:99999999999'),
      openValue('shm://x?deliver=all', 'i32'),
      openValue('shm://x?colour=red', 'i32'),
      openValue('shm://x/y', 'i32'),
      openValue('memory://x', 'i32'),
      openArray('shm://x', Int32Array, 0),
      openArray('shm://x', Int32Array, 1.5),
      openArray('shm://x', Uint8ClampedArray as never, 5),
      openMap('shm://x?capacity=1KiB'),
      openMap('shm://x?capacity=64KiB&maxValueBytes=1MiB'),
      openMap('shm://x?capacity=64KiB&maxEntries=1000'),
    ])
      await expect(call).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await expect(openMap('shm://x', { survives: 'restart' })).rejects.toMatchObject({
      code: 'NARU_UNSUPPORTED',
    });
    expect(scene.objects).toEqual([]);
  });

  test('to what was damaged: truncated, another version, another file, numbers that contradict', async () => {
    const map = await openMap('shm://m?capacity=64KiB', { owner: 'system' });
    await map.set('a', 1);
    await map.close();
    const file = `${scene.path('m')}/object`;
    const good = readFileSync(file);
    const damage = async (change: (bytes: Buffer) => void, code: string, text: RegExp): Promise<void> => {
      const bytes = Buffer.from(good);
      change(bytes);
      writeFileSync(file, bytes);
      await expect(openMap('shm://m')).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
    };
    await damage(
      (bytes) => bytes.writeInt32LE(9, STATE_HEADER.versionMajor),
      'NARU_UNSUPPORTED',
      /layout version 9\.0, this naru reads 1\.x/,
    );
    await damage((bytes) => bytes.write('RING', 4), 'NARU_CORRUPT', /does not start with/);
    await damage(
      (bytes) => bytes.writeInt32LE(1, STATE_HEADER.requiredFeatures),
      'NARU_UNSUPPORTED',
      /needs features/,
    );
    await damage((bytes) => bytes.writeInt32LE(7, STATE_HEADER.type), 'NARU_CORRUPT', /type 7/);
    await damage((bytes) => bytes.writeInt32LE(99, 2048 + 8), 'NARU_CORRUPT', /should be/);
    await damage((bytes) => bytes.writeInt32LE(0, STATE_HEADER.ready), 'NARU_CORRUPT', /did not finish/);
    writeFileSync(file, good);
    for (const size of [good.length - 4096, 10_000, 100, 0]) {
      truncateSync(file, size);
      await expect(openMap('shm://m')).rejects.toMatchObject({
        code: 'NARU_CORRUPT',
        message: expect.stringMatching(/truncated/),
      });
    }
    writeFileSync(file, good);
    await using again = await openMap('shm://m');
    expect(await again.get('a')).toBe(1);
    truncateSync(file, 4096);
    await new Promise(setImmediate);
    await expect(again.get('a')).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
    expect(() => again.setSync('a', 1)).toThrow(/truncated/);
  });
});

describe('a life', () => {
  test('ends with the last handle, with the creator, or with unlink(), as the owner says', async () => {
    const users = await openValue('shm://users', 'i32');
    const other = await openValue('shm://users', 'i32');
    users.set(5);
    await users.close();
    expect(other.get()).toBe(5);
    await other.close();
    await other.close();
    expect(() => other.get()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
    expect(scene.objects).toEqual([]);

    const owner = await openValue('shm://mine', 'i32', { owner: 'process' });
    const guest = await openValue('shm://mine', 'i32');
    await owner.close();
    await new Promise(setImmediate);
    expect(() => guest.get()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
    await guest.close();

    const lasting = await openValue('shm://lasting', 'i32', { owner: 'system' });
    lasting.set(7);
    await lasting.close();
    expect(scene.objects).toEqual(['lasting']);
    const again = await openValue('shm://lasting', 'i32');
    expect(again.get()).toBe(7);
    const watcher = await openMap('shm://watched');
    const watch = watcher.watch('k').next();
    await watcher.unlink();
    await expect(watch).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await watcher.close();
    await again.unlink();
    await new Promise(setImmediate);
    expect(() => again.add(1)).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
    await again.close();
    expect(scene.objects).toEqual([]);
  });

  test('a mailbox and a value may have one name', async () => {
    const { open } = await import('naru');
    await using mailbox = await open('shm://both');
    await using value = await openValue('shm://both', 'i32');
    value.set(1);
    await mailbox.send('x');
    expect((await mailbox.receive()).data).toBe('x');
  });

  test('64 handles, and not one more; none is left open', async () => {
    const handles = await Promise.all(Array.from({ length: 64 }, () => openValue('shm://many', 'i32')));
    await expect(openValue('shm://many', 'i32')).rejects.toMatchObject({ code: 'NARU_LIMIT' });
    await Promise.all(handles.map((one) => one.close()));
    const before = readdirSync('/proc/self/fd').length;
    for (let n = 0; n < 300; n += 1) await (await openValue('shm://one', 'i32')).close();
    expect(readdirSync('/proc/self/fd').length).toBeLessThan(before + 5);
  });
});

test('waiting for the lock of a value and for a change of a map takes no processor time', {
  timeout: 120_000,
}, async () => {
  await using value = await openValue('shm://w-value', 'i32');
  await using other = await openValue('shm://w-value', 'i32');
  await using map = await openMap('shm://w-map');
  const guard = value.lock.acquireSync();
  const [locked, watch] = [other.withLock(() => 'had it'), map.watch('k')];
  await watch.ready;
  const changed = watch.next();
  // Its first looks are quick ones.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const { user, system } = process.cpuUsage(before);
  // Thirty looks at the holder.
  expect((user + system) / 1_000).toBeLessThan(150);
  guard.release();
  await map.set('k', 1);
  expect([await locked, (await changed).value?.key]).toEqual(['had it', 'k']);
  await watch.return?.();
});

test('many that come and go at once, each the last one again and again, all find a folder', async () => {
  await Promise.all(
    Array.from({ length: 8 }, async (_, n) => {
      for (let round = 0; round < 30; round += 1) await (await openValue(`shm://come-${n}`, 'i32')).close();
    }),
  );
  expect(readdirSync(scene.folder)).toEqual([]);
});

describe('a map', () => {
  test('wakes who watches it in another handle, by set, delete, clear', async () => {
    await using mine = await openMap('shm://m');
    await using theirs = await openMap('shm://m');
    const watch = theirs.watch('k');
    for (const act of [
      () => mine.set('k', 1),
      () => mine.delete('k'),
      () => mine.set('k', 2),
      () => mine.clear(),
    ]) {
      const next = watch.next();
      await new Promise((resolve) => setTimeout(resolve, 20));
      const started = performance.now();
      await act();
      const { value } = await next;
      expect(value.key).toBe('k');
      expect(performance.now() - started).toBeLessThan(400);
    }
    await watch.return?.();
  });

  test('full, too large, expired: what fits is a matter of what is there', async () => {
    await using map = await openMap('shm://m?capacity=64KiB&maxEntries=50&maxValueBytes=1KiB');
    await expect(map.set('k', 'x'.repeat(1023))).rejects.toMatchObject({
      code: 'NARU_TOO_LARGE',
      message: expect.stringMatching(/1025 bytes, the limit of this map is 1024/),
    });
    for (let n = 0; n < 50; n += 1) await map.set(`k${n}`, n, n < 5 ? { ttlMs: 1_500 } : {});
    await expect(map.set('more', 1)).rejects.toMatchObject({
      code: 'NARU_FULL',
      message: expect.stringMatching(/50 entries of 50/),
    });
    await new Promise((resolve) => setTimeout(resolve, 1_510));
    expect(await map.size()).toBe(45);
    for (let n = 0; n < 5; n += 1) await map.set(`more${n}`, 1);
    await expect(map.set('last', 1)).rejects.toMatchObject({ code: 'NARU_FULL' });
    await map.set('k10', 'replaced');
    expect(await map.get('k10')).toBe('replaced');
  });
});
