// The one error of this codec: bytes that are not what the protocol says.

import { NaruError } from '../../errors/index.ts';

/** @returns an error with code NARU_INVALID_MESSAGE */
export function malformed(what: string): NaruError {
  return new NaruError('NARU_INVALID_MESSAGE', `AMQP data cannot be read: ${what}`);
}
