// Python's multiprocessing beside naru/sync: the same steps with Lock, RLock, Semaphore, BoundedSemaphore and Event, and the same lines printed.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';

const PYTHON = `
from multiprocessing import Process, Lock, RLock, Semaphore, BoundedSemaphore, Event, Value

def add(lock, total, times):
    for _ in range(times):
        with lock:
            total.value += 1

def holder(lock, has, go):
    with lock:
        has.set()
        go.wait()

lock, total = Lock(), Value('i', 0, lock=False)
children = [Process(target=add, args=(lock, total, 1000)) for _ in range(3)]
for child in children: child.start()
for child in children: child.join()
print('counted', total.value)

has, go = Event(), Event()
child = Process(target=holder, args=(lock, has, go))
child.start()
has.wait()
print('try while held', lock.acquire(block=False))
print('wait while held', lock.acquire(timeout=0.05))
go.set()
print('wait for it', lock.acquire())
lock.release()
child.join()
try: lock.release(); print('released')
except ValueError: print('release without having it: refused')

again = RLock()
print('again', again.acquire(), again.acquire(), again.release(), again.release())
try: again.release(); print('released')
except AssertionError: print('once more: refused')

three = Semaphore(2)
print('permits', three.acquire(block=False), three.acquire(block=False), three.acquire(block=False))
three.release(); three.release(); three.release()
print('after three releases', three.get_value())

bound = BoundedSemaphore(1)
bound.acquire(); bound.release()
try: bound.release(); print('released')
except ValueError: print('one too many: refused')

event = Event()
print('event', event.is_set(), event.wait(0.05))
event.set()
print('event', event.is_set(), event.wait())
event.clear()
print('event', event.is_set())
`;

const NARU = `
import { fork } from 'node:child_process';
import { openSync, readSync, writeSync, writeFileSync } from 'node:fs';
import { openLock, openSemaphore, openEvent } from 'naru/sync';

const show = (value) => (value === undefined ? 'None' : value ? 'True' : 'False');
const print = (...values) => console.log(values.map((v) => (typeof v === 'boolean' ? show(v) : v)).join(' '));
const done = async (promise) => promise.then(() => true, () => false);
const tried = (act, refused) => { try { act(); print('released'); } catch { print(refused); } };

const lock = await openLock('shm://lock');
const { NARU_RUNTIME_DIR, ROLE } = process.env;
const file = NARU_RUNTIME_DIR + '/.total';
if (ROLE === 'add') {
  const fd = openSync(file, 'r+');
  const total = new Uint32Array(1);
  for (let i = 0; i < 1000; i += 1) {
    const guard = lock.acquireSync();
    readSync(fd, total, 0, 4, 0);
    total[0] += 1;
    writeSync(fd, total, 0, 4, 0);
    guard.release();
  }
  await lock.close();
} else if (ROLE === 'holder') {
  const [has, go] = [await openEvent('shm://has'), await openEvent('shm://go')];
  await lock.with(async () => { has.set(); await go.wait(); });
  for (const one of [lock, has, go]) await one.close();
} else {
  writeFileSync(file, new Uint8Array(4));
  const start = (ROLE) => {
    const child = fork(process.argv[1], { env: { ...process.env, ROLE } });
    return new Promise((resolve) => child.on('close', resolve));
  };
  await Promise.all(['add', 'add', 'add'].map(start));
  const total = new Uint32Array(1);
  readSync(openSync(file, 'r'), total, 0, 4, 0);
  print('counted', total[0]);

  const [has, go] = [await openEvent('shm://has'), await openEvent('shm://go')];
  const child = start('holder');
  await has.wait();
  print('try while held', lock.tryAcquire() !== undefined);
  print('wait while held', await done(lock.acquire({ timeoutMs: 50 })));
  go.set();
  print('wait for it', await done(lock.acquire()));
  lock.release();
  await child;
  tried(() => lock.release(), 'release without having it: refused');

  const again = await openLock('shm://again', { reentrant: true });
  const twice = [again.tryAcquire() !== undefined, again.tryAcquire() !== undefined];
  print('again', ...twice, show(again.release()), show(again.release()));
  tried(() => again.release(), 'once more: refused');

  const three = await openSemaphore('shm://three?count=2');
  print('permits', ...[1, 2, 3].map(() => three.tryAcquire() !== undefined));
  for (let i = 0; i < 3; i += 1) three.release();
  print('after three releases', three.value);

  const bound = await openSemaphore('shm://bound?count=1&bounded');
  bound.acquireSync();
  bound.release();
  tried(() => bound.release(), 'one too many: refused');

  const event = await openEvent('shm://event');
  print('event', event.isSet, await done(event.wait({ timeoutMs: 50 })));
  event.set();
  print('event', event.isSet, await done(event.wait()));
  event.clear();
  print('event', event.isSet);
  for (const one of [lock, has, go, again, three, bound, event]) await one.close();
}
`;

const root = new URL('../../', import.meta.url);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync('/dev/shm/naru-python-');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a program. @returns what it printed; undefined when there is no such interpreter */
function run(program: string, args: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, NARU_RUNTIME_DIR: folder };
    const child = spawn(program, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
    const watchdog = setTimeout(() => child.kill('SIGKILL'), 60_000);
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.on('error', () => resolve(undefined));
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${signal ?? code}`));
    });
  });
}

test('the same steps print the same lines', { timeout: 130_000 }, async (context) => {
  const python = await run('python3', ['-c', PYTHON]);
  context.skip(python === undefined, 'needs python3: apt-get install python3');
  const file = new URL(`build/python-sync-${process.pid}.mjs`, root);
  writeFileSync(file, NARU);
  try {
    const naru = await run(process.execPath, [file.pathname]);
    expect(naru?.split('\n')).toEqual(python?.split('\n'));
    expect(naru?.split('\n').length).toBe(14);
  } finally {
    rmSync(file);
  }
});
