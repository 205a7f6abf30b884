// Types of naru/state and naru/sync at compile time. Nothing here runs: each function is compiled, and every @ts-expect-error must be an error.
// That the lines compile is the test; `npm run build` fails when one of them changes its mind.

import { expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import {
  type Frozen,
  type MapEntry,
  openArray,
  openMap,
  openValue,
  type SharedArray,
  type SharedValue,
} from 'naru/state';
import { type Lock, type LockGuard, openEvent, openLock, openSemaphore, type Permit } from 'naru/sync';

const compiled: ((...args: never[]) => unknown)[] = [];
const compiles = (program: (...args: never[]) => unknown): void => {
  compiled.push(program);
};

compiles(async () => {
  const count = await openValue('shm://n', 'i32');
  expectTypeOf(count).toEqualTypeOf<SharedValue<'i32'>>();
  expectTypeOf(count.get()).toEqualTypeOf<number>();
  expectTypeOf(count.add(1)).toEqualTypeOf<number>();
  expectTypeOf(count.lock).toEqualTypeOf<Lock>();
  // @ts-expect-error an i32 is no text
  count.set('x');
  // @ts-expect-error nor a bigint
  count.add(1n);
  // @ts-expect-error there is nothing to assign to: "value.value += 1" is Python's trap
  count.value = 1;
});

compiles(async () => {
  const big = await openValue('mmap:///tmp/n', 'u64');
  expectTypeOf(big.get()).toEqualTypeOf<bigint>();
  expectTypeOf(big.compareExchange(1n, 2n)).toEqualTypeOf<bigint>();
  // @ts-expect-error 64 bits are a bigint
  big.set(1);
  const flag = await openValue('shm://f', 'bool');
  expectTypeOf(flag.get()).toEqualTypeOf<boolean>();
  // @ts-expect-error 2 is no boolean
  flag.set(2);
  const text = await openValue('shm://t', 'text:64');
  expectTypeOf(text.get()).toEqualTypeOf<string>();
  const bytes = await openValue('shm://b', 'bytes:64');
  expectTypeOf(bytes.get()).toEqualTypeOf<Uint8Array>();
  // @ts-expect-error there is no such type
  await openValue('shm://x', 'i128');
});

compiles(async () => {
  const floats = await openArray('shm://a', Float64Array, 4);
  expectTypeOf(floats).toEqualTypeOf<SharedArray<'f64'>>();
  expectTypeOf(floats.get(0)).toEqualTypeOf<number>();
  expectTypeOf([...floats]).toEqualTypeOf<number[]>();
  expectTypeOf(floats.view).toExtend<Float64Array>();
  // @ts-expect-error a number goes into it
  floats.set(0, 'x');
  const bigs = await openArray('shm://a', 'i64', 4);
  expectTypeOf(bigs.get(0)).toEqualTypeOf<bigint>();
});

compiles(async () => {
  const map = await openMap('shm://m', { codec: 'text' });
  expectTypeOf(map.getSync('a')).toEqualTypeOf<string | undefined>();
  expectTypeOf(await map.set('a', 'x', { ttlMs: 5, ifAbsent: true })).toEqualTypeOf<boolean>();
  expectTypeOf(await map.size()).toEqualTypeOf<number>();
  // @ts-expect-error the codec takes text
  await map.set('a', 1);
  for await (const entry of map.entries()) expectTypeOf(entry).toEqualTypeOf<MapEntry<string>>();
  const users = await openMap('shm://u', { schema: z.object({ age: z.number() }) });
  const user = await users.get('kim');
  expectTypeOf(user).toEqualTypeOf<Frozen<{ age: number }> | undefined>();
  // @ts-expect-error what comes out is frozen
  if (user !== undefined) user.age = 1;
  // @ts-expect-error the schema wants a number
  await users.set('kim', { age: 'x' });
  await users.update('kim', (before) => ({ age: (before?.age ?? 0) + 1 }));
});

compiles(async () => {
  const redis = await openMap('redis://h/0?map=m');
  await redis.size();
  redis.watch('a');
  // @ts-expect-error the answer comes from a server
  redis.getSync('a');
  const secure = await openMap('rediss://h/0?map=m');
  await secure.size();
  // @ts-expect-error the same over TLS
  secure.setSync('a', 1);
  const cache = await openMap('memcached://h');
  await cache.update('a', () => 1);
  // @ts-expect-error a cache does not know what it has
  await cache.size();
  // @ts-expect-error and tells nobody of changes
  cache.watch('a');
  const url = 'shm://m' as string;
  const some = await openMap(url);
  // @ts-expect-error of a URL known at run time nothing is known
  some.getSync('a');
  (await openMap(url, { needs: ['sync'] })).getSync('a');
});

compiles(async () => {
  const lock = await openLock('shm://l', { reentrant: true });
  expectTypeOf(await lock.acquire({ timeoutMs: 5 })).toEqualTypeOf<LockGuard>();
  expectTypeOf(lock.tryAcquire()).toEqualTypeOf<LockGuard | undefined>();
  expectTypeOf(await lock.with((guard) => guard.recovered)).toEqualTypeOf<boolean>();
  // @ts-expect-error a thread that is blocked hears no signal
  lock.acquireSync({ signal: new AbortController().signal });
  // @ts-expect-error a lock has no permits
  await openLock('shm://l', { count: 3 });
  const semaphore = await openSemaphore('shm://s', { count: 3, bounded: true });
  expectTypeOf(await semaphore.acquire()).toEqualTypeOf<Permit>();
  // @ts-expect-error an event has no permits either
  await openEvent('shm://e', { count: 3 });
  const event = await openEvent('shm://e');
  expectTypeOf(await event.wait({ timeoutMs: 5 })).toEqualTypeOf<void>();
  {
    using guard = lock.acquireSync();
    await using permit = await semaphore.acquire();
    expectTypeOf([guard.recovered, permit.recovered]).toEqualTypeOf<boolean[]>();
  }
});

test('the programs above compile', () => {
  expect(compiled).toHaveLength(6);
});
