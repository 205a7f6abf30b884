// The addon's typed loader: finds the binary, says what it offers, and says clearly when it is missing. No logic here.

import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { NaruError } from '../errors/index.ts';
import type { NativeObjects } from './objects.ts';
import type { NativePipes } from './pipes.ts';
import type { NativeQueues } from './queues.ts';

export type { NativeObjects, NativeSemaphore, NativeTask } from './objects.ts';
export type { NativePipeView, NativePipes, NativeWatch } from './pipes.ts';
export type {
  BlockingResult,
  NativeQueues,
  NativeQueueNotifier,
  NativeQueueWaiter,
  NativeSystemVStatus,
  QueueWaitOutcome,
} from './queues.ts';

/** What the C addon exports. Offsets and sizes in bytes; errno failures throw an Error with `code` and `errno`. */
export interface NativeAddon extends NativeQueues, NativeObjects, NativePipes {
  /** Version of this interface; the loader refuses another. */
  readonly interfaceVersion: number;
  /** True when map() gives SharedArrayBuffer (Node 22.23+, 24.16+, 26.1+); else it gives ArrayBuffer. */
  readonly hasSharedArrayBuffer: boolean;

  /**
   * Maps `size` bytes of `fd` from its start, shared and writable unless `readOnly`. mmap(2).
   * Writing to a `readOnly` buffer kills the process (SIGSEGV), and so does another process that truncates the file (SIGBUS).
   * @throws ERANGE  the file is shorter than `size`
   */
  map(fd: number, size: number, readOnly: boolean): ArrayBuffer | SharedArrayBuffer;
  /** Unmaps now where the buffer can be detached (ArrayBuffer); returns false where only the collector can (SharedArrayBuffer). */
  unmap(buffer: ArrayBuffer | SharedArrayBuffer): boolean;
  /**
   * From now on a page that another process cuts off the file reads as zeros here, and what is written to it is lost; without this,
   * touching it is SIGBUS, the death of the process. @returns false when too many mappings are guarded (1,024)
   */
  guard(buffer: ArrayBufferLike): boolean;
  /** Whether such a page was touched: then the memory and the file are not the same any more, for good. */
  isTorn(buffer: ArrayBufferLike): boolean;
  /** Really allocates a range, so that a full file system is ENOSPC here and never SIGBUS later. fallocate(2). */
  allocate(fd: number, offset: number, length: number): void;
  /** Size of an open file in bytes: fstat(2). For looking whether a mapping is still whole, which node:fs makes slow. */
  fileSize(fd: number): number;
  /** linkat(2): gives a file that was opened with O_TMPFILE its name. @throws EEXIST */
  linkFile(fd: number, path: string): void;

  /**
   * Sleeps in the calling thread while the 32-bit word equals `expected`. futex(2) FUTEX_WAIT, not private.
   * Interrupted: SIGINT, SIGTERM or SIGHUP came and has a handler (main thread only); the handler runs once the event loop turns.
   * Waits are cut in slices of 50 ms so that worker.terminate() ends them.
   * @param timeoutMs  longest wait; negative = for ever
   */
  futexWait(
    buffer: ArrayBufferLike,
    byteOffset: number,
    expected: number,
    timeoutMs: number,
  ): 'woken' | 'changed' | 'timeout' | 'interrupted';
  /** The same in a thread of its own. The promise holds no event loop unless `keepAlive`. */
  futexWaitAsync(
    buffer: ArrayBufferLike,
    byteOffset: number,
    expected: number,
    timeoutMs: number,
    keepAlive: boolean,
  ): Promise<'woken' | 'changed' | 'timeout'>;
  /** Wakes up to `count` sleepers of any process. @returns how many */
  futexWake(buffer: ArrayBufferLike, byteOffset: number, count: number): number;
  /** sched_yield(2) */
  yieldThread(): void;

  /** flock(2) without waiting. @returns false when another holds it */
  tryLock(fd: number, mode: 'exclusive' | 'shared'): boolean;
  /** flock(2) LOCK_UN */
  unlock(fd: number): void;
  /**
   * Another descriptor of the same open file, sharing its lock: fcntl(2) F_DUPFD_CLOEXEC. Give this one to whoever closes
   * descriptors behind node:fs's back (a net.Socket): in a worker node:fs counts what it opened and closes it at the end.
   */
  duplicate(fd: number): number;
  /** mkfifo(3) with exactly this mode, whatever the umask. @throws EEXIST */
  makeFifo(path: string, mode: number): void;
  /** Writes one byte; the descriptor should not block. @returns false when there was no room (EAGAIN). @throws EPIPE and others */
  writeByte(fd: number): boolean;
  /** This process is killed (SIGKILL) when the thread of `pid` that started it ends. @returns false when it has ended. prctl(2) */
  dieWithParent(pid: number): boolean;
  /** SO_PEERCRED of a connected Unix socket. @see unix(7) */
  peerCredentials(fd: number): { readonly pid: number; readonly uid: number; readonly gid: number };
}

/** The version of `NativeAddon` this file was written for. */
const INTERFACE_VERSION = 8;

let loaded: NativeAddon | undefined;
let failure: string | undefined;

/**
 * The addon, or undefined where it is missing; `nativeProblem()` then says why. Loaded at the first call.
 * `NARU_NO_NATIVE=1` in the environment keeps it from loading (for tests and for diagnosis).
 */
export function tryNative(): NativeAddon | undefined {
  if (loaded !== undefined || failure !== undefined) return loaded;
  if (process.env['NARU_NO_NATIVE'] === '1') {
    failure = 'switched off by NARU_NO_NATIVE=1';
    return undefined;
  }
  const file = fileURLToPath(
    new URL(`../../prebuilds/${process.platform}-${process.arch}/naru.node`, import.meta.url),
  );
  try {
    const addon = createRequire(import.meta.url)(file) as NativeAddon;
    if (addon.interfaceVersion === INTERFACE_VERSION) loaded = addon;
    else
      failure = `${file} has interface ${addon.interfaceVersion}, this package needs ${INTERFACE_VERSION}: run npm run build`;
  } catch (error) {
    failure = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
  }
  return loaded;
}

/** Why `tryNative()` gave nothing; undefined when the addon is there. */
export function nativeProblem(): string | undefined {
  tryNative();
  return failure;
}

/**
 * The addon.
 * @throws NARU_NATIVE_MISSING  it could not be loaded
 */
export function native(what: string): NativeAddon {
  const addon = tryNative();
  if (addon !== undefined) return addon;
  throw new NaruError(
    'NARU_NATIVE_MISSING',
    `${what} needs Naru's native addon, which is not loaded (${failure}). Build it with "npm run build" (needs a C compiler).`,
  );
}
