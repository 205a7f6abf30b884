// The error of settling a message whose connection is gone.

import { NaruError } from '../errors/index.ts';

export function tooLate(place: string, text: string): NaruError {
  const what = 'the connection over which the message came is lost; the server delivers it again';
  return new NaruError('NARU_DISCONNECTED', `${text}: ${what}`, { place, mailbox: text });
}
