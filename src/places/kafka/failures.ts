// What clients of Kafka throw, as errors that say what to do. Both packages wrap the broker's own names of errors in causes and lists.

import { isNaruError, NaruError, type NaruErrorCode } from '../../errors/index.ts';

/** Names that brokers and packages give to errors, and what they mean here; the first that is found counts. */
const KNOWN: readonly (readonly [RegExp, NaruErrorCode, string])[] = [
  [
    /^(SASL_AUTHENTICATION_FAILED|ILLEGAL_SASL_STATE|UNSUPPORTED_SASL_MECHANISM|PLT_KFK_AUTHENTICATION|KafkaJSSASLAuthenticationError)$/,
    'NARU_DENIED',
    'the broker refuses user or password (or the mechanism: see sasl=)',
  ],
  [
    /^(TOPIC|GROUP|CLUSTER|TRANSACTIONAL_ID)_AUTHORIZATION_FAILED$/,
    'NARU_DENIED',
    'this user may not do that on the broker',
  ],
  [
    /^(MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_RECORD)$/,
    'NARU_TOO_LARGE',
    'it is larger than max.message.bytes of the topic',
  ],
  [/^UNKNOWN_TOPIC_(OR_PARTITION|ID)$/, 'NARU_NOT_FOUND', 'the broker has no such topic'],
  [
    /^(UNSUPPORTED_VERSION|UNSUPPORTED_FOR_MESSAGE_FORMAT|PLT_KFK_UNSUPPORTED_API|KafkaJSServerDoesNotSupportApiKey)$/,
    'NARU_UNSUPPORTED',
    'the broker is too old for this client: @platformatic/kafka needs Kafka 3.5 or newer, kafkajs 2.4',
  ],
  [/^INVALID_REPLICATION_FACTOR$/, 'NARU_LIMIT', 'there are fewer brokers than the topic needs copies'],
  [
    /^(POLICY_VIOLATION|INVALID_PARTITIONS|INVALID_CONFIG)$/,
    'NARU_LIMIT',
    'the broker does not allow such a topic',
  ],
  [/^KAFKA_STORAGE_ERROR$/, 'NARU_FULL', 'the disk of the broker is full or damaged'],
];

/** Every name that an error and its causes have. */
export function namesOf(error: unknown, depth = 0): readonly string[] {
  if (typeof error !== 'object' || error === null || depth > 6) return [];
  const one = error as Record<string, unknown>;
  const own = [one['apiId'], one['type'], one['name'], one['code']].filter(
    (text) => typeof text === 'string',
  );
  const inner = [one['cause'], one['originalError'], ...(Array.isArray(one['errors']) ? one['errors'] : [])];
  return [...own, ...inner.flatMap((cause) => namesOf(cause, depth + 1))];
}

/** Whether the broker's answer has one of these names. */
export function isCalled(error: unknown, ...names: readonly string[]): boolean {
  return namesOf(error).some((name) => names.includes(name));
}

/**
 * @param mayHaveHappened  something was being changed: without an answer nobody knows whether it was
 */
export function translate(error: unknown, text: string, mayHaveHappened: boolean): NaruError {
  if (isNaruError(error)) return error;
  const names = namesOf(error);
  const known = KNOWN.find(([pattern]) => names.some((name) => pattern.test(name)));
  const [code, advice] = known === undefined ? broken(mayHaveHappened) : [known[1], known[2]];
  return new NaruError(code, `${text}: ${advice} (${messageOf(error)})`, {
    place: 'kafka',
    mailbox: text,
    cause: error,
  });
}

/** What was to be settled is not this consumer's any more. */
export function goneElsewhere(text: string): NaruError {
  const what = 'the partition of this message went to another consumer of the group, which gets it again';
  return new NaruError('NARU_DISCONNECTED', `${text}: ${what}`, { place: 'kafka', mailbox: text });
}

/** The group has not answered for so long whether a consumer is in. */
export function heldUp(text: string, waitedMs: number): NaruError {
  const seconds = Math.round(waitedMs / 1_000);
  const what = `the group has not let this consumer in for ${seconds} s: it waits for a member that is gone or stands still, until that one's session is over (session.timeout.ms of its program)`;
  return new NaruError('NARU_TIMEOUT', `${text}: ${what}`, { place: 'kafka', mailbox: text });
}

function broken(mayHaveHappened: boolean): readonly [NaruErrorCode, string] {
  return mayHaveHappened
    ? ['NARU_OUTCOME_UNKNOWN', 'no answer came from the broker: it may or may not have happened']
    : ['NARU_DISCONNECTED', 'there is no connection to a broker; is it running, are host and port right?'];
}

/** The innermost message: the outer ones say that something failed some times. */
function messageOf(error: unknown, depth = 0): string {
  const { cause, errors, message } = error as {
    cause?: unknown;
    errors?: readonly unknown[];
    message?: string;
  };
  const inner = Array.isArray(errors) ? errors.at(-1) : cause;
  if (typeof inner === 'object' && inner !== null && depth < 6) return messageOf(inner, depth + 1);
  return message ?? String(error);
}
