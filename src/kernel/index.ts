// The public entry `naru/kernel`: the kernel's own objects as classes, each usable alone.

// Message queues.
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
