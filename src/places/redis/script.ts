// A script of the server, and the name it goes by; how the messages of one call are told apart in it.

import { createHash } from 'node:crypto';

export interface Script {
  readonly text: string;
  readonly hash: string;
}

export function script(text: string): Script {
  return { text, hash: createHash('sha1').update(text).digest('hex') };
}

/** Lengths of messages that lie one behind the other, as JSON. */
export function lengthsOf(rows: readonly { readonly from: number; readonly to: number }[]): string {
  return `[${rows.map(({ from, to }) => to - from).join()}]`;
}
