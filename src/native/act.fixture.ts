// The programs that the tests of this folder run in processes and workers of their own: `node act.fixture.js <name> <args…>`.

import { once } from 'node:events';
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { connect } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { native } from './index.ts';

const own = new URL(import.meta.url);

function post(value: unknown): void {
  // The linter takes a port for a window, which wants to be told its target; a port has an empty transfer list instead.
  parentPort?.postMessage(value, []);
}

function say(text: string): void {
  if (isMainThread) writeSync(1, `${text}\n`);
  else post(text);
}

function mapFile(path: string, size = 4096): ArrayBuffer | SharedArrayBuffer {
  const fd = openSync(path, 'r+');
  const buffer = native('a test').map(fd, size, false);
  closeSync(fd);
  return buffer;
}

/** Lets the collector run until `done`; finalizers may take some turns of the event loop. */
async function collectUntil(done: () => boolean): Promise<void> {
  for (let i = 0; i < 200 && !done(); i++) {
    globalThis.gc?.();
    await turn();
  }
}

function mappingsOf(path: string): number {
  return readFileSync('/proc/self/maps', 'latin1')
    .split('\n')
    .filter((line) => line.includes(path)).length;
}

/** The value of every kind that no function here asks for. */
function oddValues(): readonly unknown[] {
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  const hostile = new Proxy(
    {},
    {
      get() {
        throw new Error('trap');
      },
    },
  );
  const primitives = [undefined, null, true, '', 'text', '\0', 'x'.repeat(10_000), Symbol('s'), 1n];
  const numbers = [
    Number.NaN,
    Number.POSITIVE_INFINITY,
    -1,
    1.5,
    3,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    -(2 ** 53),
    1e300,
  ];
  const objects = [
    {},
    [],
    { length: 8 },
    () => 0,
    hostile,
    new Uint8Array(8),
    new DataView(new ArrayBuffer(8)),
  ];
  const buffers = [detached, new ArrayBuffer(0), new ArrayBuffer(7), new SharedArrayBuffer(0)];
  const impostors = [ArrayBuffer.prototype, SharedArrayBuffer.prototype].map(
    (type) => Object.create(type) as unknown,
  );
  return [...primitives, ...numbers, ...objects, ...buffers, ...impostors];
}

/** Functions that make an object of the kernel which nobody would remove, that keep the event loop alive, or kill. */
const MAKERS: ReadonlySet<string> = new Set([
  'systemVGet',
  'posixOpen',
  'posixNotifier',
  'semOpen',
  'systemVSemGet',
  'systemVShmGet',
  'makePipe',
  'waitReady',
  'waitReadyAsync',
  'waitLock',
  'waitLockAsync',
  'signalInstall',
  'signalSend',
]);

/** Calls everything with everything that is wrong in at least the first argument that is not right. */
function fuzz(): void {
  const addon = native('a test');
  const odd = oddValues();
  const methods = Object.entries(addon).filter(
    ([method, value]) => typeof value === 'function' && !MAKERS.has(method),
  );
  let calls = 0;
  let refused = 0;
  // A small generator of our own, so that a crash can be repeated.
  let seed = 12_345;
  const pick = (): unknown => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return odd[seed % odd.length];
  };
  for (const [name, method] of methods) {
    for (let i = 0; i < 3000; i++) {
      calls += 1;
      const args = Array.from({ length: i % 7 }, pick);
      // A number that names an object of the whole system must not be somebody's.
      if (name.startsWith('systemV') && typeof args[0] === 'number') args[0] = 2 ** 31 - 1;
      try {
        const result: unknown = (method as (...args: unknown[]) => unknown)(...args);
        if (result instanceof Promise) result.catch(() => 0);
      } catch (error) {
        if (!(error instanceof Error)) throw error;
        refused += 1;
      }
    }
  }
  say(`${calls} ${refused}`);
}

/** Holds the process until SIGKILL. */
function stay(): void {
  setInterval(() => 0, 60_000);
}

const acts: Record<string, (args: readonly string[]) => unknown> = {
  /** Adds 1 to a word, n times, and sleeps until it is told to begin. */
  count([path = '', times = '']) {
    const words = new Int32Array(mapFile(path));
    say('ready');
    native('a test').futexWait(words.buffer, 0, 0, -1);
    for (let i = 0; i < Number(times); i++) Atomics.add(words, 1, 1);
  },
  /** Sleeps on the word at 0 and says why it woke; with a signal's name, handles it, and says that too. */
  async sleep([path = '', expected = '0', timeout = '-1', ...handled]) {
    for (const name of handled) process.on(name as NodeJS.Signals, () => say(`handled ${name}`));
    const buffer = mapFile(path);
    say('ready');
    say(native('a test').futexWait(buffer, 0, Number(expected), Number(timeout)));
    await turn();
    await turn();
  },
  /** Sleeps in short waits while signals keep coming, until its handler ran a hundred times and one of them ended a sleep: on a
   * busy machine most come while it is awake. */
  async storm([path = '']) {
    const seen = { handled: 0, interrupted: 0 };
    process.on('SIGINT', () => {
      seen.handled += 1;
    });
    const buffer = mapFile(path);
    say('ready');
    while (seen.handled < 100 || seen.interrupted === 0) {
      if (native('a test').futexWait(buffer, 0, 0, 2) === 'interrupted') seen.interrupted += 1;
      await turn();
    }
    say('handled, interrupted');
    process.exit(0);
  },
  /** Waits in a thread of its own, and lets the process end or not. */
  linger([path = '', keep = '', how = '']) {
    const buffer = mapFile(path);
    const waits = Array.from({ length: 8 }, () =>
      native('a test').futexWaitAsync(buffer, 0, 0, -1, keep === 'keep'),
    );
    say('ready');
    if (how === 'exit') setImmediate(() => process.exit(7));
    void Promise.all(waits).then((all) => say(all.join(' ')));
  },
  /** allocate() on a file system that is too small. */
  allocate([path = '', size = '']) {
    const fd = openSync(path, 'a+');
    ftruncateSync(fd, Number(size));
    try {
      native('a test').allocate(fd, 0, Number(size));
      say('allocated');
    } catch (error) {
      const { code, errno, syscall } = error as NodeJS.ErrnoException;
      say(`${code} ${errno} ${syscall}`);
    }
  },
  /** Takes a lock and keeps it. */
  hold([path = '', mode = 'exclusive']) {
    const fd = openSync(path, 'r+');
    say(String(native('a test').tryLock(fd, mode as 'exclusive' | 'shared')));
    stay();
  },
  connect([path = '']) {
    connect(path);
    stay();
  },
  fuzz,
  /** Maps a file over and over without unmapping: the collector has to do it. */
  async collect([path = '', times = '']) {
    const fd = openSync(path, 'r+');
    for (let i = 0; i < Number(times); i++) {
      native('a test').map(fd, 4096, false);
      if (i % 1000 === 0) await turn();
    }
    await collectUntil(() => mappingsOf(path) === 0);
    say(String(mappingsOf(path)));
  },
  /** A worker maps, hands its SharedArrayBuffer over and ends; its memory and the finalizer's code must outlive it. */
  async inherit([path = '']) {
    const worker = new Worker(own, { workerData: { name: 'give', args: [path] } });
    // Both before any wait: the end may come in the same turn as the message.
    const ended = once(worker, 'exit');
    let [buffer] = (await once(worker, 'message')) as [SharedArrayBuffer | undefined];
    await ended;
    Atomics.store(new Int32Array(buffer as SharedArrayBuffer), 0, 42);
    buffer = undefined;
    await collectUntil(() => mappingsOf(path) === 0);
    say(String(mappingsOf(path)));
  },
  give([path = '']) {
    post(mapFile(path));
  },
  /** Many waits in threads of their own, for a worker that is terminated. */
  crowd([path = '', many = '']) {
    const buffer = mapFile(path);
    for (let i = 0; i < Number(many); i++) void native('a test').futexWaitAsync(buffer, 0, 0, -1, true);
    say('ready');
  },
  /** The same in a worker that ends itself. */
  leave(args) {
    acts['crowd']?.(args);
    process.exit(3);
  },
};

const given = workerData as { readonly name: string; readonly args: readonly string[] } | null;
const name = isMainThread ? process.argv[2] : given?.name;
await acts[name ?? '']?.(isMainThread ? process.argv.slice(3) : (given?.args ?? []));
