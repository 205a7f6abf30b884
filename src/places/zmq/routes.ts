// Requests and answers as REQ, REP, DEALER and ROUTER sockets exchange them: parts that lead back, an empty part, the body. A REP
// gives back what stands before the empty part as it came, so that a correlation id there comes home even from a stranger.

import { NaruError } from '../../errors/index.ts';

const EMPTY = Buffer.alloc(0);
/** A message that wants no answer still needs a part before the empty one. */
const NO_ID = '-';
/** Message type of an answer that carries an error; raw answers have it as a part of their own. */
const ERROR_TYPE = 'naru.error';
const ERROR_PART = Buffer.from(ERROR_TYPE);
/** Devices between requester and server that a request may have passed. */
const HOPS_MAX = 32;

/** What came, without the way back. */
export interface Routed {
  /** Where an answer goes. */
  readonly route: string;
  readonly body: Buffer;
  readonly isError: boolean;
}

/** The parts of a request. */
export function requestParts(correlationId = '', body: Buffer): Buffer[] {
  return [Buffer.from(correlationId === '' ? NO_ID : correlationId), EMPTY, body];
}

/** The parts of an answer to one who sent `route`. @throws NARU_INVALID_ARGUMENT  that leads nowhere */
export function answerParts(route: string, body: Buffer, isError: boolean): Buffer[] {
  const way = route.split('.').map((part) => Buffer.from(part, 'base64url'));
  if (way[0]?.length === 0 || !/^[A-Za-z0-9_.-]+$/.test(route)) {
    throw new NaruError('NARU_INVALID_ARGUMENT', `"${route.slice(0, 80)}" leads to no requester of zmq://`);
  }
  return isError ? [...way, EMPTY, body, ERROR_PART] : [...way, EMPTY, body];
}

/**
 * Takes apart what a ROUTER (its first part is the peer) or a DEALER received.
 * @throws NARU_INVALID_MESSAGE  it is not of this form
 */
export function readRouted(parts: readonly Buffer[]): Routed {
  const border = parts.findIndex((part, index) => index > 0 && part.length === 0);
  const body = parts[border + 1];
  if (border < 1 || border > HOPS_MAX || body === undefined || parts.length > border + 3) {
    throw new NaruError(
      'NARU_INVALID_MESSAGE',
      `${parts.length} parts that are no request: a way back, an empty part, one body (as REQ and REP sockets have it)`,
    );
  }
  const isError = parts[border + 2]?.equals(ERROR_PART) ?? false;
  if (parts.length === border + 3 && !isError) {
    throw new NaruError('NARU_INVALID_MESSAGE', 'a body of several parts');
  }
  const way = parts.slice(0, border);
  return { route: way.map((part) => part.toString('base64url')).join('.'), body, isError };
}

/** The correlation id that a requester put before the empty part, as it came home. */
export function correlationOf(route: string): string {
  return Buffer.from(route.split('.').at(-1) ?? '', 'base64url').toString();
}

/** Whether an answer carries an error. */
export function isErrorType(type: string | undefined): boolean {
  return type === ERROR_TYPE;
}

/** The type by which Mailbox knows an answer that carries an error. */
export function typeOf({ isError }: Routed): string | undefined {
  return isError ? ERROR_TYPE : undefined;
}
