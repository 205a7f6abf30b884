// The public entry `naru/kernel`: the kernel's own objects as classes, each usable alone.

// Message queues.
export type { QueueWaiting } from './linger.ts';
export type { PosixArrival, PosixNotification, PosixNotifySignal } from './posix-notify.ts';
export { PosixQueue } from './posix-queue.ts';
export type { PosixMessage, PosixQueueOptions, PosixQueueStatus } from './posix-types.ts';
export type { QueueSyncOptions, QueueWaitOptions } from './queue-wait.ts';
export type { SystemVQueueOptions } from './system-v-open.ts';
export { SystemVQueue } from './system-v-queue.ts';
export type {
  SystemVMessage,
  SystemVQueueStatus,
  SystemVReceiveOptions,
  SystemVReceiveSyncOptions,
  SystemVSelection,
} from './system-v-types.ts';

// Everything else that processes share.
export { FileLock, type FileLockMode, type FileLockOptions } from './file-lock.ts';
export type { SystemVKey } from './key.ts';
export {
  type PosixSemaphoreOptions,
  Semaphore,
  type SystemVSemaphoreOptions,
} from './semaphore.ts';
export type { SemaphoreEntry } from './semaphore-list.ts';
export { SharedMemory, type SharedMemoryOptions, type SharedMemoryStatus } from './shared-memory.ts';
export {
  lostSignals,
  onSignal,
  type ReceivedSignal,
  type SendSignalOptions,
  type SignalName,
  type SignalSubscription,
  sendSignal,
} from './signals.ts';
export { MappedFile, type MappedFileOptions } from './mapped-file.ts';
export {
  type ChildPipe,
  NamedPipe,
  type NamedPipeOptions,
  type PipeReaderOptions,
  type PipeWriterOptions,
  pipe,
} from './named-pipe.ts';
export type { PipeReader } from './pipe-reader.ts';
export { PIPE_BUF, type PipeWriteMode, type PipeWriter } from './pipe-writer.ts';
