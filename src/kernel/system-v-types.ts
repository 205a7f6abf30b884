// What a System V queue gives and takes: messages, selections, status; and how a selection is told to msgrcv(2).

import { checkWhole, queueError } from './queue-errors.ts';
import type { QueueSyncOptions, QueueWaitOptions } from './queue-wait.ts';

/** A message of a System V queue. */
export interface SystemVMessage {
  /** From 1. A type beyond 2^53 − 1, which only a program in another language can send, is rounded. */
  readonly type: number;
  /** The bytes after the type, exactly as they were sent. Yours for ever; its `buffer` may hold other messages too. */
  readonly body: Uint8Array;
}

/** Which message to take; at most one of `type`, `atMost` and `except`. None: the first of any type. msgrcv(2) */
export interface SystemVSelection {
  /** The first of exactly this type. */
  readonly type?: number | undefined;
  /** The first of the lowest type that is this or less. */
  readonly atMost?: number | undefined;
  /** The first of any type but this (MSG_EXCEPT, Linux only). */
  readonly except?: number | undefined;
  /** Longest body in bytes; a longer one is NARU_TOO_LARGE and stays in the queue. Default: whatever there is. */
  readonly maxBytes?: number | undefined;
  /** Cut a longer body off at `maxBytes` (MSG_NOERROR). The rest is lost, and nothing tells that there was one. Default: false. */
  readonly truncate?: boolean | undefined;
}

export interface SystemVReceiveOptions extends SystemVSelection, QueueWaitOptions {}
export interface SystemVReceiveSyncOptions extends SystemVSelection, QueueSyncOptions {}

/** What msgctl(2) tells of a queue. */
export interface SystemVQueueStatus {
  /** 0 for a private one. */
  readonly key: number;
  readonly id: number;
  /** Permission bits, such as 0o600. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly creatorUid: number;
  readonly creatorGid: number;
  /** Messages in the queue. */
  readonly count: number;
  /** Bytes of their bodies. */
  readonly bytes: number;
  /** Most bytes of bodies, and most messages. undefined: in a list, where the queue may not be read. */
  readonly limitBytes: number | undefined;
  /** 0: nobody yet. */
  readonly lastSenderPid: number;
  readonly lastReceiverPid: number;
  /** To the second; undefined: never. */
  readonly sentAt: Date | undefined;
  readonly receivedAt: Date | undefined;
  /** When it was made or last changed. */
  readonly changedAt: Date | undefined;
}

/** The same in msgrcv's terms. */
export interface ReceiveRequest {
  readonly selector: number;
  readonly except: boolean;
  readonly truncate: boolean;
  /** undefined: whatever there is. */
  readonly maxBytes: number | undefined;
}

/** The first of any type. */
export const FIRST: ReceiveRequest = { selector: 0, except: false, truncate: false, maxBytes: undefined };

/** @throws NARU_INVALID_ARGUMENT */
export function requestOf(queue: string, selection: SystemVSelection | undefined): ReceiveRequest {
  if (selection === undefined) return FIRST;
  const { type, atMost, except, maxBytes, truncate = false } = selection;
  const asked = [type, atMost, except].filter((value) => value !== undefined).length;
  if (asked > 1) {
    throw queueError('NARU_INVALID_ARGUMENT', queue, 'give only one of type, atMost and except');
  }
  if (type !== undefined) checkType(queue, 'type', type);
  if (atMost !== undefined) checkType(queue, 'atMost', atMost);
  if (except !== undefined) checkType(queue, 'except', except);
  if (maxBytes !== undefined) checkWhole(queue, 'maxBytes', maxBytes, 0, 2 ** 31 - 1);
  if (truncate && maxBytes === undefined) {
    throw queueError('NARU_INVALID_ARGUMENT', queue, 'truncate needs maxBytes: where should it be cut?');
  }
  const selector = type ?? except ?? (atMost === undefined ? 0 : -atMost);
  return { selector, except: except !== undefined, truncate, maxBytes };
}

/** @throws NARU_INVALID_ARGUMENT */
export function checkType(queue: string, name: string, type: unknown): void {
  checkWhole(queue, name, type, 1, Number.MAX_SAFE_INTEGER);
}

/** Whether msgrcv would give this message for that request, were it the only one in the queue. */
export function isWanted(message: SystemVMessage, request: ReceiveRequest): boolean {
  const { selector, except, truncate, maxBytes } = request;
  if (maxBytes !== undefined && message.body.length > maxBytes && !truncate) return false;
  if (selector === 0) return true;
  if (except) return message.type !== selector;
  return selector > 0 ? message.type === selector : message.type <= -selector;
}

/** Requests with the same key may share one waiting thread. */
export function keyOf({ selector, except, truncate, maxBytes }: ReceiveRequest): string {
  return `${except ? '!' : ''}${selector}${truncate ? '<' : ' '}${maxBytes ?? ''}`;
}

/** The message, cut to what the request allows. */
export function fit(message: SystemVMessage, { truncate, maxBytes }: ReceiveRequest): SystemVMessage {
  if (!truncate || maxBytes === undefined || message.body.length <= maxBytes) return message;
  return { type: message.type, body: message.body.subarray(0, maxBytes) };
}
