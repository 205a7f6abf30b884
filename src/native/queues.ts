// What the addon offers for the kernel's message queues. Part of `NativeAddon`; a file of its own only for its length.

/** What became of a call that blocks its thread. */
export type BlockingResult = 'woken' | 'timeout' | 'interrupted';

/** A thread that waits for a System V queue; only the addon looks inside. */
export interface NativeQueueWaiter {
  readonly __naruQueueWaiter: never;
}

/** Receives the notifications of POSIX queues; only the addon looks inside. */
export interface NativeQueueNotifier {
  readonly __naruQueueNotifier: never;
}

/** What msgctl(2) tells; times in seconds since 1970, 0 = never. */
export interface NativeSystemVStatus {
  readonly key: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  readonly count: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly lastSenderPid: number;
  readonly lastReceiverPid: number;
  readonly sentAt: number;
  readonly receivedAt: number;
  readonly changedAt: number;
}

/** 0 when done, else the errno; then the body and the type of what was received. */
export type QueueWaitOutcome = readonly [
  errno: number,
  body: ArrayBuffer | undefined,
  type: number | undefined,
];

/** Message queues. Messages lie in the thread's record memory, one behind the other: native/records.c. */
export interface NativeQueues {
  /**
   * The memory that all later calls of this thread use; never to be detached. A record is: u32 length, u32 unused, i64 type (System
   * V) or priority (POSIX), then the bytes, padded to a multiple of 8.
   */
  recordMemory(buffer: ArrayBuffer): void;

  /** ftok(3); `project` from 1 to 255. */
  systemVKey(path: string, project: number): number;
  /** msgget(2) @returns the id */
  systemVGet(key: number, create: boolean, exclusive: boolean, mode: number): number;
  /** msgsnd(2) with IPC_NOWAIT for the first `count` records. @returns how many went in */
  systemVTrySend(id: number, count: number): number;
  /** msgrcv(2) with IPC_NOWAIT into records, at most `count`. @returns how many were filled */
  systemVTryReceive(
    id: number,
    selector: number,
    truncate: boolean,
    except: boolean,
    maxBytes: number,
    count: number,
  ): number;
  /** msgrcv(2) with MSG_COPY: records from that position on, which stay in the queue. @throws ENOSYS  the kernel cannot */
  systemVCopy(id: number, position: number, maxBytes: number, count: number): number;
  /** msgsnd(2) of the first record; blocks the thread. Negative `timeoutMs`: for ever. */
  systemVSendSync(id: number, timeoutMs: number): BlockingResult;
  /** msgrcv(2) into the first record; blocks the thread. */
  systemVReceiveSync(
    id: number,
    selector: number,
    truncate: boolean,
    except: boolean,
    maxBytes: number,
    timeoutMs: number,
  ): BlockingResult;
  systemVStatus(id: number): NativeSystemVStatus;
  /** msgctl(2) IPC_SET; -1 leaves a value as it is. */
  systemVChange(id: number, limitBytes: number, mode: number): void;
  /** msgctl(2) IPC_RMID */
  systemVRemove(id: number): void;

  /** A thread that waits for this queue; keeps the event loop alive while it waits, unless it is in the background. */
  systemVWaiter(
    id: number,
    done: (...outcome: QueueWaitOutcome) => void,
    isBackground: boolean,
  ): NativeQueueWaiter;
  systemVWaitReceive(
    waiter: NativeQueueWaiter,
    selector: number,
    truncate: boolean,
    except: boolean,
    maxBytes: number,
  ): void;
  /** Waits for room for the first record, which is copied. */
  systemVWaitSend(waiter: NativeQueueWaiter): void;
  /** Ends the wait. @returns what it had done by then, which `done` is not told; undefined when that is nothing */
  systemVWaitCancel(waiter: NativeQueueWaiter): QueueWaitOutcome | undefined;
  /** Ends the wait and the thread. */
  systemVWaitClose(waiter: NativeQueueWaiter): void;

  /**
   * mq_open(3), always without blocking; access 0 reads, 1 writes, 2 both. 0 messages: the kernel's defaults.
   * @returns the descriptor, for the functions here only
   */
  posixOpen(
    name: string,
    access: number,
    create: boolean,
    exclusive: boolean,
    mode: number,
    maxMessages: number,
    maxMessageBytes: number,
  ): number;
  posixClose(fd: number): void;
  posixUnlink(name: string): void;
  /** mq_getattr(3) */
  posixAttributes(fd: number): readonly [maxMessages: number, maxMessageBytes: number, count: number];
  /** mq_send(3) for the first `count` records. @returns how many went in */
  posixTrySend(fd: number, count: number): number;
  /** mq_receive(3) into records, at most `count`. @returns how many were filled */
  posixTryReceive(fd: number, maxBytes: number, count: number): number;
  /** mq_timedsend(3) of the first record; blocks the thread. Negative `timeoutMs`: for ever. */
  posixSendSync(fd: number, timeoutMs: number): BlockingResult;
  /** mq_timedreceive(3) into the first record; blocks the thread. */
  posixReceiveSync(fd: number, maxBytes: number, timeoutMs: number): BlockingResult;

  /** Keeps the event loop alive until it is closed. */
  posixNotifier(notified: () => void): NativeQueueNotifier;
  /** mq_notify(3), one shot. @throws EBUSY */
  posixNotifierArm(notifier: NativeQueueNotifier, fd: number): void;
  posixNotifierClose(notifier: NativeQueueNotifier): void;
  /** mq_notify(3) with SIGEV_SIGNAL, one shot. @throws EBUSY; EPERM: nothing in this process handles the signal */
  posixNotifySignal(fd: number, signal: number, value: number): void;
  /** Takes this process's registration back. */
  posixNotifyCancel(fd: number): void;
  /** Whether the process has a handler, of whatever kind. sigaction(2) */
  signalHasHandler(signal: number): boolean;
  /** SIGRTMIN and SIGRTMAX. signal(7) */
  realTimeSignals(): readonly [min: number, max: number];
}
