// What the addon offers for semaphores, System V shared memory, signals and pipes. Part of `NativeAddon`; a file of its own only
// for its length.

import type { BlockingResult } from './queues.ts';

/** A blocking call in a thread of its own. It keeps the event loop alive until its promise settles. */
export interface NativeTask {
  readonly id: number;
  readonly promise: Promise<BlockingResult | 'cancelled'>;
}

/** A semaphore of either kind; only the addon looks inside. */
export interface NativeSemaphore {
  readonly __naruSemaphore: never;
}

export interface NativeObjects {
  /** Ends the wait within 50 ms; the promise then gives 'cancelled', or what came first. Does nothing for one that ended. */
  cancelTask(id: number): void;

  /** sem_open(3), with O_CREAT | O_EXCL when `create`; the umask takes from `mode`. */
  semOpen(name: string, create: boolean, mode: number, value: number): NativeSemaphore;
  /** sem_unlink(3) */
  semUnlink(name: string): void;
  /** One semaphore of a System V set; makes nothing in the kernel. */
  systemVSemOpen(id: number, index: number, undo: boolean): NativeSemaphore;
  /** sem_close(3); with the last thread that waits. */
  semClose(semaphore: NativeSemaphore): void;
  /** sem_trywait(3), or semop(2) with IPC_NOWAIT. */
  semTryAcquire(semaphore: NativeSemaphore): boolean;
  /** sem_timedwait(3) or semtimedop(2); blocks the thread. Negative `timeoutMs`: for ever. */
  semAcquire(semaphore: NativeSemaphore, timeoutMs: number): BlockingResult;
  semAcquireAsync(semaphore: NativeSemaphore, timeoutMs: number): NativeTask;
  /** sem_post(3) or semop(2). */
  semRelease(semaphore: NativeSemaphore): void;
  semValue(semaphore: NativeSemaphore): number;
  /** semget(2), with IPC_CREAT | IPC_EXCL when `create`. @returns the set's id */
  systemVSemGet(key: number, count: number, create: boolean, mode: number): number;
  /** Adds `value` to the first `count` semaphores of a set at once, without undo. semop(2) */
  systemVSemAdd(id: number, count: number, value: number): void;
  /** semctl(2) IPC_RMID */
  systemVSemRemove(id: number): void;
  systemVSemStat(id: number): readonly [key: number, count: number, mode: number, uid: number, gid: number];

  /** shmget(2), with IPC_CREAT | IPC_EXCL when `create`. @returns the segment's id */
  systemVShmGet(key: number, size: number, create: boolean, mode: number): number;
  /** shmat(2); unmap() detaches. */
  systemVShmAttach(id: number, readOnly: boolean): ArrayBuffer | SharedArrayBuffer;
  systemVShmStat(
    id: number,
  ): readonly [
    key: number,
    sizeBytes: number,
    mode: number,
    uid: number,
    gid: number,
    creatorPid: number,
    lastPid: number,
    attached: number,
    isRemoved: number,
  ];
  /** shmctl(2) IPC_RMID */
  systemVShmRemove(id: number): void;
  /** msync(2) MS_SYNC of a mapping's range. */
  flushAsync(buffer: ArrayBuffer | SharedArrayBuffer, offset: number, length: number): NativeTask;

  /** pipe2(2) with O_CLOEXEC. @returns the ends' descriptors */
  makePipe(nonBlockingReader: boolean, nonBlockingWriter: boolean): readonly [reader: number, writer: number];
  /** poll(2) until it is readable, or writable, or broken; blocks the thread. Negative `timeoutMs`: for ever. */
  waitReady(fd: number, forWrite: boolean, timeoutMs: number): BlockingResult;
  waitReadyAsync(fd: number, forWrite: boolean, timeoutMs: number): NativeTask;

  /** flock(2), tried again and again; blocks the thread. Negative `timeoutMs`: for ever. */
  waitLock(fd: number, exclusive: boolean, timeoutMs: number): BlockingResult;
  waitLockAsync(fd: number, exclusive: boolean, timeoutMs: number): NativeTask;

  /** SIGRTMIN and SIGRTMAX as the C library has them. signal(7) */
  readonly signalRealTimeFirst: number;
  readonly signalRealTimeLast: number;
  /** The descriptor that becomes readable when a handler ran; the same at each call, never to be closed. */
  signalBell(): number;
  /** sigaction(2): the signal goes into the ring from now on. Main thread only. */
  signalInstall(signal: number): void;
  /** Puts the handler back that was there before. */
  signalUninstall(signal: number): void;
  /** Takes up to `most` signals out of the ring: signal, value, pid, uid and si_code of each, one behind the other. */
  signalDrain(most: number): readonly number[];
  /** Signals that found the ring full, since the process began. */
  signalLost(): number;
  /** sigqueue(3) */
  signalSend(pid: number, signal: number, value: number): void;
}
