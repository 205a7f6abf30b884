// Locks, semaphores and events of shm:// through their public entry: who has what, waiting in all forms, closing, removing, wrong use, and files
// that are not what they must be.

import {
  closeSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { open } from '../../open.ts';
import { openEvent, openLock, openSemaphore } from '../../open-sync.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { SharedEvent } from '../../sync/event.ts';
import { SYNC_HEADER } from '../../ring/sync-layout.ts';
import { cleanLeftovers, listMailboxes, listSyncs, removeMailbox } from './leftovers.ts';
import { type PeerProcess, Scene, until } from './scene.fixture.ts';
import { openSync as openWith, type SyncOrders } from './sync-peer.fixture.ts';

const PEER = fileURLToPath(new URL('./sync-peer.fixture.js', import.meta.url));
const COUNTER = fileURLToPath(new URL('./sync-count.fixture.js', import.meta.url));
/** What four workers count to; 10000000 is the long form. */
const COUNT = Number(process.env['NARU_LOCK_COUNT'] ?? 30_000);

/** Locks that a traced process takes. */
const CALLS = 20_000;

let scene: Scene;
let opened: { close(): Promise<void> }[];

beforeEach(() => {
  scene = new Scene();
  opened = [];
});
afterEach(async () => {
  for (const one of opened) await one.close();
  await scene.end();
});

async function keep<T extends { close(): Promise<void> }>(one: Promise<T>): Promise<T> {
  const done = await one;
  opened.push(done);
  return done;
}

const lock = (options: Parameters<typeof openLock>[1] = {}): ReturnType<typeof openLock> =>
  keep(openLock('shm://l', options));
const semaphore = (query = '?count=2'): ReturnType<typeof openSemaphore> =>
  keep(openSemaphore(`shm://s${query}`));
const event = (): ReturnType<typeof openEvent> => keep(openEvent('shm://e'));

function start(orders: SyncOrders): PeerProcess {
  return scene.run([process.execPath, PEER, JSON.stringify(orders)]);
}

describe('a lock', () => {
  test('is had by one handle at a time, and let go of once', async () => {
    const [a, b] = [await lock(), await lock()];
    const guard = await a.acquire();
    expect([a.isHeld, b.isHeld, b.tryAcquire(), b.holder]).toEqual([true, false, undefined, a.identity]);
    guard.release();
    guard.release();
    const other = b.tryAcquire();
    // A guard of an earlier time lets go of nothing.
    guard.release();
    expect([other?.recovered, b.isHeld, a.tryAcquire()]).toEqual([false, true, undefined]);
    b.release();
    expect(() => b.release()).toThrow(expect.objectContaining({ code: 'NARU_NOT_HELD' }));
    expect(() => a.release()).toThrow(expect.objectContaining({ code: 'NARU_NOT_HELD' }));
    other?.release();
    expect(a.holder).toBe(undefined);
  });

  test('waits at most so long, and until a signal aborts it', async () => {
    const [a, b] = [await lock(), await lock()];
    a.tryAcquire();
    const code = expect.objectContaining({ code: 'NARU_TIMEOUT' });
    await expect(b.acquire({ timeoutMs: 0 })).rejects.toEqual(code);
    await expect(b.acquire({ timeoutMs: 20 })).rejects.toEqual(code);
    expect(() => b.acquireSync({ timeoutMs: 20 })).toThrow(code);
    const controller = new AbortController();
    const waiting = b.acquire({ signal: controller.signal });
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await expect(b.acquire({ timeoutMs: -1 })).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    a.release();
    expect(b.tryAcquire()).toBeDefined();
  });

  test('that is re-entrant is let go of as often as it was taken', async () => {
    const [a, b] = [await lock({ reentrant: true }), await lock()];
    const outer = await a.acquire();
    const inner = a.acquireSync();
    inner.release();
    expect(b.tryAcquire()).toBe(undefined);
    await expect(a.with(() => a.with(() => a.isHeld))).resolves.toBe(true);
    outer.release();
    expect(a.isHeld).toBe(false);
    expect(b.tryAcquire()).toBeDefined();
  });

  test('tells who waits for itself for ever, and lets whoever has a limit wait', async () => {
    const [a, b] = [await lock(), await lock()];
    a.tryAcquire();
    const deadlock = expect.objectContaining({ code: 'NARU_DEADLOCK' });
    await expect(a.acquire()).rejects.toEqual(deadlock);
    expect(() => a.acquireSync()).toThrow(deadlock);
    // Another handle, but the thread that would block is the one that has it.
    expect(() => b.acquireSync()).toThrow(deadlock);
    const late = a.acquire({ timeoutMs: 5_000 });
    a.release();
    await late;
    // Of several that waited for somebody else, one has it now: for the others it is their own.
    a.release();
    b.tryAcquire();
    const both = Promise.allSettled([a.acquire(), a.acquire()]);
    b.release();
    expect((await both).map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  });

  test('keeps tasks of one handle apart by with(), and finds one inside another', async () => {
    const a = await lock();
    const inside: string[] = [];
    const task = (name: string): Promise<void> =>
      a.with(async () => {
        inside.push(`${name} in`);
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        inside.push(`${name} out`);
      });
    await Promise.all([task('a'), task('b'), task('c')]);
    expect(inside).toEqual(['a in', 'a out', 'b in', 'b out', 'c in', 'c out']);
    await expect(a.with(() => a.with(() => 1))).rejects.toMatchObject({ code: 'NARU_DEADLOCK' });
    const slow = a.with(() => until(() => inside.length > 6, 'the other gave up'));
    const late = a.with(() => 1, { timeoutMs: 20 });
    await expect(late).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
    inside.push('over');
    await slow;
    expect(a.isHeld).toBe(false);
    await expect(a.with(() => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
    expect(a.isHeld).toBe(false);
  });

  test('that is closed while held goes to the next as usual, and ends waits of its own handle', async () => {
    const [a, b] = [await lock(), await lock()];
    a.tryAcquire();
    const waiting = b.acquire();
    const own = expect(a.acquire({ timeoutMs: 10_000 })).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await a.close();
    await own;
    expect((await waiting).recovered).toBe(false);
    expect(() => a.tryAcquire()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
    await a.close();
  });

  test('goes with its last user, stays with owner=system, and is closed for all by unlink()', async () => {
    const [a, b] = [await lock(), await lock()];
    await a.close();
    expect(scene.mailboxes).toEqual(['l']);
    await b.close();
    expect(scene.mailboxes).toEqual([]);
    const kept = await openLock('shm://l?owner=system');
    await kept.close();
    expect(scene.mailboxes).toEqual(['l']);
    const [c, d] = [await lock(), await lock()];
    c.tryAcquire();
    const waiting = expect(d.acquire()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    await c.unlink();
    await waiting;
    expect(scene.mailboxes).toEqual([]);
  });

  test('goes with its maker when that is its owner', async () => {
    const orders = { name: 'l', kind: 'lock', owner: 'process' } as const;
    const maker = start({ ...orders, stays: true });
    await until(() => maker.lines.includes('held'), 'it has the lock');
    const waiting = expect((await lock()).acquire()).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
    maker.child.kill('SIGKILL');
    await waiting;
  });

  test('whose holder is stopped is not taken from it', { timeout: 120_000 }, async () => {
    const a = await lock();
    const holder = start({ name: 'l', kind: 'lock', untilAwaited: true });
    await until(() => holder.lines.includes('held'), 'it has the lock');
    holder.child.kill('SIGSTOP');
    const waiting = a.acquire();
    let isOver = false;
    void waiting.finally(() => {
      isOver = true;
    });
    // Long enough that it was looked at twenty times.
    const end = performance.now() + 1_000;
    await until(() => performance.now() > end, 'time passes');
    expect(isOver).toBe(false);
    expect(() => a.acquireSync({ timeoutMs: 300 })).toThrow(
      expect.objectContaining({ code: 'NARU_TIMEOUT' }),
    );
    holder.child.kill('SIGCONT');
    expect((await waiting).recovered).toBe(false);
    a.release();
    expect(await holder.exit).toBe(0);
  });

  test('that a process ends with, by exit(), is told to the next', async () => {
    const a = await lock();
    const program = `import { openLock } from 'naru/sync'; (await openLock('shm://l')).acquireSync(); process.exit(0);`;
    const child = scene.run([process.execPath, '--input-type=module', '-e', program]);
    expect(await child.exit).toBe(0);
    expect(a.tryAcquire()?.recovered).toBe(true);
  });

  test('costs a process that waits no processor time, and an idle handle lets it end', {
    timeout: 120_000,
  }, async () => {
    const a = await lock();
    a.tryAcquire();
    const permit = (await semaphore('?count=1')).acquireSync();
    const waiting = (['lock', 'semaphore'] as const).flatMap((kind) =>
      [false, true].map((isAsync) => start({ name: kind === 'lock' ? 'l' : 's', kind, isAsync })),
    );
    const sleepers = (): number =>
      listSyncs().flatMap(({ handles }) => handles.filter((one) => one.isWaiting)).length;
    await until(() => sleepers() === 4, 'they wait', 60_000);
    const used = (): number[] => waiting.map(({ child }) => cpuMs(child.pid as number));
    const before = used();
    const end = performance.now() + 1_500;
    await until(() => performance.now() > end, 'time passes');
    const spent = used().map((ms, i) => ms - (before[i] ?? 0));
    // Thirty looks at the holder.
    for (const ms of spent) expect(ms).toBeLessThan(100);
    a.release();
    permit.release();
    expect(await Promise.all(waiting.map(({ exit }) => exit))).toEqual([0, 0, 0, 0]);
    const program = `import { openLock } from 'naru/sync'; await openLock('shm://l');`;
    expect(await scene.run([process.execPath, '--input-type=module', '-e', program]).exit).toBe(0);
  });
});

/** Processor time of a process, in milliseconds: proc_pid_stat(5), fields 14 and 15, in ticks of 10 ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

test('two processes with two workers each add to a number in a file, under a lock, and lose nothing', {
  timeout: 120_000 + COUNT / 25,
}, async () => {
  const file = join(scene.folder, '.number');
  writeFileSync(file, new Uint8Array(8));
  const orders = JSON.stringify({ url: 'shm://l', file, times: COUNT / 4 });
  const processes = [0, 1].map(() => scene.run([process.execPath, COUNTER, orders]));
  expect(await Promise.all(processes.map(({ exit }) => exit))).toEqual([0, 0]);
  expect(readFileSync(file).readBigUInt64LE()).toBe(BigInt(COUNT));
});

describe('a semaphore', () => {
  test('has so many permits, and gives who waits the next one that comes back', async () => {
    const [a, b] = [await semaphore(), await semaphore('')];
    const [one, two] = [await a.acquire(), a.acquireSync()];
    expect([a.value, a.held, b.held, b.tryAcquire(), b.bounded]).toEqual([0, 2, 0, undefined, false]);
    const waiting = [b.acquire(), b.acquire()];
    one.release();
    one.release();
    await waiting[0];
    expect([a.held, b.held]).toEqual([1, 1]);
    two.release();
    await waiting[1];
    await expect(a.acquire({ timeoutMs: 10 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
    expect(() => a.acquireSync({ timeoutMs: 10 })).toThrow(expect.objectContaining({ code: 'NARU_TIMEOUT' }));
    await b.close();
    expect(a.value).toBe(2);
    await expect(a.with((permit) => permit.recovered)).resolves.toBe(false);
    expect(a.value).toBe(2);
  });

  test('that is bounded takes back from nobody who has none', async () => {
    const [a, b] = [await semaphore('?count=1&bounded'), await semaphore('')];
    a.acquireSync();
    const notHeld = expect.objectContaining({ code: 'NARU_NOT_HELD' });
    expect(() => b.release()).toThrow(notHeld);
    a.release();
    expect(() => a.release()).toThrow(notHeld);
    expect([a.value, b.bounded]).toEqual([1, true]);
  });

  test('that is not bounded counts what anybody adds, and what is spent never comes back', async () => {
    const [a, b] = [await semaphore('?count=0'), await semaphore('')];
    const waiting = b.acquire();
    a.release();
    const permit = await waiting;
    a.release();
    permit.spend();
    permit.release();
    await b.close();
    expect([a.value, a.tryAcquire() === undefined, a.value]).toEqual([1, false, 0]);
  });

  test('whose holder is stopped keeps its permit', { timeout: 120_000 }, async () => {
    const a = await semaphore('?count=1');
    const holder = start({ name: 's', kind: 'semaphore', stays: true });
    await until(() => holder.lines.includes('held'), 'it has the permit');
    holder.child.kill('SIGSTOP');
    await expect(a.acquire({ timeoutMs: 700 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
    holder.child.kill('SIGKILL');
    expect((await a.acquire({ timeoutMs: 10_000 })).recovered).toBe(true);
  });
});

describe('an event', () => {
  test('lets everybody go on who waits, also when it is cleared at once', async () => {
    const [a, b, c] = [await event(), await event(), await event()];
    expect([a.isSet, a.tryWait()]).toEqual([false, false]);
    await expect(b.wait({ timeoutMs: 10 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
    expect(() => b.waitSync({ timeoutMs: 10 })).toThrow(expect.objectContaining({ code: 'NARU_TIMEOUT' }));
    const waiting = Promise.all([a.wait(), b.wait(), c.wait()]);
    a.set();
    a.clear();
    await waiting;
    expect(b.isSet).toBe(false);
    b.set();
    await a.wait();
    c.waitSync();
    expect(a.tryWait()).toBe(true);
  });

  test('wakes a thread that is blocked on it', async () => {
    const a = await event();
    const program = `import { openEvent } from 'naru/sync'; const e = await openEvent('shm://e'); e.waitSync(); await e.close();`;
    const child = scene.run([process.execPath, '--input-type=module', '-e', program]);
    await until(() => listSyncs()[0]?.handles.some((one) => one.isWaiting) === true, 'it waits');
    a.set();
    expect(await child.exit).toBe(0);
  });
});

describe('what is refused', () => {
  test('another type, or other options, than what is there', async () => {
    await lock();
    const exists = { code: 'NARU_EXISTS' };
    await expect(openSemaphore('shm://l')).rejects.toMatchObject({
      ...exists,
      message: expect.stringContaining('is a lock, not a semaphore'),
    });
    await expect(openEvent('shm://l')).rejects.toMatchObject(exists);
    await expect(openLock('shm://l?owner=system')).rejects.toMatchObject({
      message: expect.stringContaining('owner: asked system, is users'),
    });
    await expect(openLock('shm://l', { create: 'new' })).rejects.toMatchObject(exists);
    await expect(open('shm://l')).rejects.toMatchObject({
      ...exists,
      message: expect.stringContaining('is a lock, semaphore or event, not a mailbox'),
    });
    await semaphore('?count=3');
    await expect(openSemaphore('shm://s?count=4')).rejects.toMatchObject({
      message: expect.stringContaining('count: asked 4, is 3'),
    });
    const mailbox = await open('shm://m');
    await expect(openLock('shm://m')).rejects.toMatchObject(exists);
    await mailbox.close();
  });

  test('wrong URLs and options, before anything is made', async () => {
    const invalid = { code: 'NARU_INVALID_ARGUMENT' };
    await expect(openLock('shm://a/b')).rejects.toMatchObject(invalid);
    await expect(openLock('shm://..')).rejects.toMatchObject(invalid);
    await expect(openLock('shm://l?capacity=1MiB')).rejects.toMatchObject(invalid);
    await expect(openLock('shm://l?count=2')).rejects.toMatchObject(invalid);
    await expect(openSemaphore('shm://s?count=-1')).rejects.toMatchObject(invalid);
    await expect(openSemaphore('shm://s', { count: 2 ** 31 })).rejects.toMatchObject(invalid);
    await expect(openSemaphore('shm://s', { bounded: 1 as never })).rejects.toMatchObject(invalid);
    await expect(openLock('shm://l', { create: 'never' })).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
    await expect(openLock('tcp://127.0.0.1:1')).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
    expect(scene.mailboxes).toEqual([]);
  });

  test.each([
    ['a magic that is none', SYNC_HEADER.magic, 0x12345678, 'NARU_CORRUPT'],
    ['a type that is none', SYNC_HEADER.type, 9, 'NARU_CORRUPT'],
    ['a table elsewhere', SYNC_HEADER.participantsOffset, 8192, 'NARU_CORRUPT'],
    ['another size', SYNC_HEADER.fileBytes, 4096, 'NARU_CORRUPT'],
    ['a later version', SYNC_HEADER.versionMajor, 2, 'NARU_UNSUPPORTED'],
    ['a feature of later', SYNC_HEADER.requiredFeatures, 4, 'NARU_UNSUPPORTED'],
    ['the other byte order', SYNC_HEADER.byteOrder, 0x04030201, 'NARU_UNSUPPORTED'],
  ])('an object with %s', async (_what, offset, value, code) => {
    await (await openLock('shm://l?owner=system')).close();
    const fd = openSync(join(scene.folder, 'l', 'ring'), 'r+');
    writeSync(fd, new Int32Array([value]), 0, 4, offset);
    closeSync(fd);
    await expect(openLock('shm://l')).rejects.toMatchObject({ code });
    expect(cleanLeftovers(scene.folder)).toEqual([]);
    expect(await removeMailbox('l', scene.folder)).toBe(true);
    expect(scene.mailboxes).toEqual([]);
  });

  test('a truncated object, also one that is in use', async () => {
    await (await openLock('shm://l?owner=system')).close();
    const path = join(scene.folder, 'l', 'ring');
    truncateSync(path, 8192);
    await expect(openLock('shm://l')).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
    truncateSync(path, 100);
    await expect(openLock('shm://l')).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
    await removeMailbox('l', scene.folder);
    const [a, b] = [await lock(), await lock()];
    a.tryAcquire();
    const waiting = expect(b.acquire()).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
    // Until it sleeps: before, it may touch what is gone (SIGBUS), and nothing in user space could keep it from that.
    for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    const fd = openSync(path, 'r+');
    ftruncateSync(fd, 4096);
    closeSync(fd);
    await waiting;
    expect(() => b.tryAcquire()).toThrow(expect.objectContaining({ code: 'NARU_CORRUPT' }));
  });

  test('more handles than there are seats', async () => {
    for (let i = 0; i < 64; i += 1) await lock();
    await expect(openLock('shm://l')).rejects.toMatchObject({ code: 'NARU_LIMIT' });
  });
});

test('taking and giving back what nobody else wants calls neither the kernel nor the addon', async () => {
  let calls = 0;
  const { native } = defaultEdges('shm://');
  const counted = new Proxy(native, {
    get: (addon, name) => {
      calls += 1;
      return Reflect.get(addon, name) as unknown;
    },
  });
  const edges = { native: counted, failpoint: () => undefined };
  const models = await Promise.all(
    (['lock', 'semaphore'] as const).map((kind) => openWith({ kind, name: kind }, edges)),
  );
  opened.push(...models);
  const before = calls;
  for (const model of models) {
    if (model instanceof SharedEvent) throw new Error('no event was asked for');
    for (let i = 0; i < 1_000; i += 1) model.acquireSync().release();
    for (let i = 0; i < 1_000; i += 1) (await model.acquire()).release();
    for (let i = 0; i < 1_000; i += 1) model.tryAcquire()?.release();
  }
  expect(calls).toBe(before);
});

test('the kernel sees no call of a process that takes and gives back what nobody else wants', {
  timeout: 120_000,
}, async (context) => {
  const isTraced = spawnSync('strace', ['-V']).status === 0;
  context.skip(!isTraced, 'needs strace: apt-get install strace');
  const program = `
    import { writeSync } from 'node:fs';
    import { openLock, openSemaphore, openEvent } from 'naru/sync';
    const lock = await openLock('shm://l'), permits = await openSemaphore('shm://s'), event = await openEvent('shm://e');
    const round = () => {
      for (let i = 0; i < ${CALLS / 2}; i += 1) {
        lock.acquireSync().release();
        lock.tryAcquire().release();
        permits.acquireSync().release();
        event.set();
        event.tryWait();
        event.clear();
      }
    };
    for (let i = 0; i < 10; i += 1) round();
    writeSync(1, 'begin\\n');
    round();
    writeSync(1, 'end\\n');
    for (const one of [lock, permits, event]) await one.close();`;
  const log = join(scene.folder, '.strace');
  // Of the thread that does it alone: others compile and collect.
  const child = scene.run(['strace', '-o', log, process.execPath, '--input-type=module', '-e', program]);
  expect(await child.exit).toBe(0);
  const calls = readFileSync(log, 'utf8').split('\n');
  const at = (what: string): number => calls.findIndex((line) => line.startsWith(`write(1, "${what}`));
  const between = calls.slice(at('begin') + 1, at('end'));
  // Memory for the collector, and waking its threads, is not ours: a few calls, not one for each.
  const isNode = /^(m(un)?map|mprotect|madvise|getpid|futex\(.*FUTEX_(WAKE|WAIT)_PRIVATE|---)/;
  expect(between.filter((line) => !isNode.test(line))).toEqual([]);
  expect(between.length).toBeLessThan(CALLS / 100);
});

test('listings show who has and who waits, and removing tells them', async () => {
  const [a, b] = [await lock(), await lock()];
  await semaphore('?count=5&bounded');
  a.tryAcquire();
  const waiting = expect(b.acquire()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
  const found = Object.fromEntries(listSyncs(scene.folder).map((one) => [one.name, one]));
  expect(found).toMatchObject({
    l: { type: 'lock', state: 'live', owner: 'users', value: 0 },
    s: { type: 'semaphore', value: 5, bounded: true, handles: [{ held: 0, isAlive: true }] },
  });
  expect(found['l']?.handles).toMatchObject([
    { identity: a.identity, held: 1, isWaiting: false },
    { identity: b.identity, held: 0, isWaiting: true },
  ]);
  expect(listMailboxes(scene.folder)).toEqual([]);
  expect(await removeMailbox('l', scene.folder)).toBe(true);
  await waiting;
  expect(scene.mailboxes).toEqual(['s']);
});

test('handles that were closed leave no descriptor behind', { timeout: 120_000 }, async () => {
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  await (await openLock('shm://l')).close();
  const before = descriptors();
  for (let i = 0; i < Number(process.env['NARU_SYNC_CYCLES'] ?? 300); i += 1) {
    const one = await openLock('shm://l');
    (await one.acquire()).release();
    await one.close();
  }
  await until(() => descriptors() <= before, 'all are closed');
});
