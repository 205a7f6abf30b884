// A script of the server, and the name it goes by.

import { createHash } from 'node:crypto';

export interface Script {
  readonly text: string;
  readonly hash: string;
}

export function script(text: string): Script {
  return { text, hash: createHash('sha1').update(text).digest('hex') };
}
