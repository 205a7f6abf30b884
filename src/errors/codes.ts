// The one table of error codes. The union type, the documentation page (docs/reference/errors.md, generated) and the
// tests all come from it; a code that is not here does not exist.

/** What a code means, whether trying again can help, and what the reader should do. */
export interface ErrorCodeInfo {
  readonly retryable: boolean;
  readonly meaning: string;
  readonly action: string;
}

export const ERROR_CODES = {
  NARU_CLOSED: {
    retryable: false,
    meaning: 'The mailbox was closed or ended, here or by its owner.',
    action: 'Open it again if the work goes on; after `end()` there is nothing more to receive.',
  },
  NARU_TIMEOUT: {
    retryable: true,
    meaning: 'The wait took longer than `timeoutMs`. Nothing was taken or sent.',
    action: 'Wait longer, or find out why the other side is slow.',
  },
  NARU_INTERRUPTED: {
    retryable: true,
    meaning: 'A blocking `…Sync` call returned early because a signal (SIGINT, SIGTERM) arrived.',
    action: 'Return to the event loop, so that the signal handler can run; then stop or call again.',
  },
  NARU_FULL: {
    retryable: true,
    meaning: 'The mailbox has no room and was told not to wait (`full: "fail"`).',
    action: 'Send later, use `full: "wait"`, or make the capacity larger.',
  },
  NARU_OVERLOADED: {
    retryable: true,
    meaning: 'More sends are waiting for room than `maxWaiting` allows.',
    action: 'Await each send, or send in batches with `sendMany`.',
  },
  NARU_TOO_LARGE: {
    retryable: false,
    meaning: 'The message is larger than the place or the mailbox can take.',
    action: 'Send less, or create the mailbox with a larger capacity or `maxMessageBytes`.',
  },
  NARU_NOT_FOUND: {
    retryable: true,
    meaning: 'There is no such mailbox, and `create` is "never" (or the object was removed).',
    action: 'Start the creator first, or open with `create: "if-missing"`.',
  },
  NARU_EXISTS: {
    retryable: false,
    meaning:
      'The mailbox exists already: `create` is "new", or an option differs from what it was created with.',
    action: 'Leave the option out to adopt what exists, choose another name, or remove it with `naru rm`.',
  },
  NARU_DENIED: {
    retryable: false,
    meaning: 'The operating system or the peer refused access, or the object belongs to another user.',
    action: 'Check owner and mode of the object named in the message.',
  },
  NARU_PEER_GONE: {
    retryable: true,
    meaning:
      'The process on the other side (host, owner or requester) is dead or its connection is lost for good.',
    action: 'Start it again; messages that were only in its memory are lost.',
  },
  NARU_DISCONNECTED: {
    retryable: true,
    meaning: 'The connection is down and could not be made within the time allowed.',
    action: 'Check that the listener runs and that the address is right.',
  },
  NARU_OUTCOME_UNKNOWN: {
    retryable: false,
    meaning:
      'The connection broke after the message was sent and before its receipt came: it may or may not have arrived.',
    action: 'Send it again with the same `id` if the receiver can tell duplicates apart.',
  },
  NARU_UNSUPPORTED: {
    retryable: false,
    meaning:
      'The place cannot do what was asked. The message names everything missing and the places that have it.',
    action: 'Use another place, leave the option out, or opt in to an emulation with `emulate`.',
  },
  NARU_INVALID_ARGUMENT: {
    retryable: false,
    meaning: 'An option, URL or argument is wrong.',
    action: 'Correct it as the message says.',
  },
  NARU_INVALID_MESSAGE: {
    retryable: false,
    meaning: 'A message could not be encoded, decoded or did not pass its schema.',
    action: 'Check that both sides use the same codec and schema.',
  },
  NARU_SETTLED: {
    retryable: false,
    meaning: 'The message was settled before, in another way; or the claim was committed or aborted before.',
    action: 'Settle each message once, a repeated identical call is allowed; commit each claim once.',
  },
  NARU_REMOTE: {
    retryable: false,
    meaning: 'The handler that served the request failed; its error is the cause.',
    action: 'Look at `cause`, and at the log of the serving process.',
  },
  NARU_NOT_HELD: {
    retryable: false,
    meaning: 'A lock, or a permit of a bounded semaphore, was let go of by a handle that does not have it.',
    action: 'Let go once for each time it was taken, through the same handle; a guard does that by itself.',
  },
  NARU_DEADLOCK: {
    retryable: false,
    meaning: 'Whoever wants to wait has what it wants to wait for: the wait would never end.',
    action: 'Let go first, open the lock re-entrant, or give the wait a `timeoutMs`.',
  },
  NARU_LIMIT: {
    retryable: false,
    meaning:
      'A limit of the system or of the mailbox was reached: memory, descriptors, producers, consumers.',
    action: 'Raise the limit that the message names.',
  },
  NARU_CORRUPT: {
    retryable: false,
    meaning: 'Shared or stored data is not what it must be: wrong magic, version, size or record.',
    action: 'Do not use it any more; remove it with `naru rm` and find out who wrote into it.',
  },
  NARU_STORAGE: {
    retryable: false,
    meaning:
      'The disk refused a write or a sync, and what is stored there has stopped. What was not confirmed may be lost.',
    action: 'Check the disk and its room, then start again: a sync that failed cannot be repeated.',
  },
  NARU_NO_CONSUMER: {
    retryable: true,
    meaning:
      'Nobody is there to receive, and the mailbox was told not to keep the message (`nobody: "fail"`).',
    action: 'Start a consumer; `ready({ consumers: 1 })` waits for one.',
  },
  NARU_NATIVE_MISSING: {
    retryable: false,
    meaning: 'The place needs the native addon, which could not be loaded on this platform.',
    action: 'Build it with `npm run build` (needs a C compiler), or use a place that needs no addon.',
  },
  NARU_PACKAGE_MISSING: {
    retryable: false,
    meaning: 'The place needs an optional package that is not installed.',
    action: 'Install it with the npm command in the message.',
  },
} as const;

/** Every code a `NaruError` can carry. */
export type NaruErrorCode = keyof typeof ERROR_CODES;
