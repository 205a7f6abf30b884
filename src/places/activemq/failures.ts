// What servers and sockets say went wrong, as errors of Naru that say what to do. Never carries a password.

import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { RheaError } from './protocol.ts';

/** Conditions of AMQP 1.0 that this place decides by. */
export const CONDITION = { deleted: 'amqp:resource-deleted', notFound: 'amqp:not-found' } as const;

const MEANING: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  'amqp:unauthorized-access': [
    'NARU_DENIED',
    'the server refuses user or password, or this user may not do that',
  ],
  'amqp:not-found': ['NARU_NOT_FOUND', 'the server has no such address, and may not make it'],
  'amqp:resource-deleted': ['NARU_CLOSED', 'it was removed at the server'],
  'amqp:resource-limit-exceeded': ['NARU_FULL', 'the server has no room for it'],
  'amqp:resource-locked': ['NARU_LIMIT', 'another connection has it for itself'],
  'amqp:link:message-size-exceeded': ['NARU_TOO_LARGE', 'it is larger than the server takes'],
  'amqp:frame-size-too-small': ['NARU_TOO_LARGE', 'it is larger than the server takes'],
  'amqp:not-implemented': ['NARU_UNSUPPORTED', 'the server does not do that'],
  'amqp:not-allowed': ['NARU_DENIED', 'the server does not allow it'],
  'amqp:invalid-field': [
    'NARU_LIMIT',
    'another connection has this name; a group has one member at a time here',
  ],
  'amqp:connection:forced': ['NARU_DISCONNECTED', 'the server closes its connections'],
};

/** @param error  of a connection, a link or a message; undefined: it just ended */
export function activemqError(error: unknown, text: string): NaruError {
  if (error instanceof NaruError) return error;
  const { condition, description, message } = (error ?? {}) as RheaError & { readonly message?: string };
  const said = description ?? message ?? 'it said no reason';
  const [code, advice] = meaningOf(condition, said);
  return new NaruError(
    code,
    `${text}: ${advice} (${condition === undefined ? '' : `${condition}: `}${said})`,
    {
      place: 'activemq',
      mailbox: text,
      cause: error,
    },
  );
}

function meaningOf(condition: string | undefined, said: string): readonly [NaruErrorCode, string] {
  const known = condition === undefined ? undefined : MEANING[condition];
  // Classic says little by condition and the rest in words.
  if (/credentials|SecurityException|not authorized|password is invalid/i.test(said))
    return MEANING['amqp:unauthorized-access'] as readonly [NaruErrorCode, string];
  if (/already connected|already consuming|in use/i.test(said))
    return ['NARU_LIMIT', 'another connection has it; on ActiveMQ Classic a group has one member at a time'];
  if (known !== undefined) return known;
  if (condition !== undefined) return ['NARU_LIMIT', 'the server refused it'];
  if (/certificate|altnames|self.signed/i.test(said)) return ['NARU_DENIED', 'the certificates do not fit'];
  return [
    'NARU_DISCONNECTED',
    'there is no connection to the server; is it running, are host and port right?',
  ];
}

/** @param said  why the management of the server will not; undefined: it gave no answer */
export function managementError(said: string | undefined, text: string): NaruError {
  const [code, advice]: readonly [NaruErrorCode, string] =
    said === undefined
      ? ['NARU_TIMEOUT', 'the management of the server gave no answer; it may still do it']
      : /permission|AMQ229031|AMQ229032/.test(said)
        ? ['NARU_DENIED', `this user may not do that (${said})`]
        : ['NARU_LIMIT', `the management of the server refused it (${said})`];
  return new NaruError(code, `${text}: ${advice}`, { place: 'activemq', mailbox: text });
}

/** A server that answered with the header of another protocol. */
export function strangerError(header: string, text: string): NaruError {
  const version = header.startsWith('AMQP')
    ? `another AMQP (${Buffer.from(header.slice(4), 'latin1').join('.')}); RabbitMQ and Naru's broker are amqp://`
    : `no AMQP ("${header.replaceAll(/[^\u0020-\u007e]/g, '.')}")`;
  return new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: activemq:// needs a server of AMQP 1.0, and there is ${version}; on ActiveMQ name the port of the AMQP connector`,
    { place: 'activemq', mailbox: text },
  );
}
