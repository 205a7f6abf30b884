// What a posixmq:// URL and its options mean.

import { refuseMeaningless } from '../../kernel-queue/options.ts';
import { refusal, readMode } from '../../mailbox/refusal.ts';
import { ENVELOPE_BYTES } from '../../kernel-queue/packing.ts';
import { isNaruError } from '../../errors/index.ts';
import { checkPosixName } from '../../kernel/posix-types.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of a posixmq URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['mode'];

export interface PosixmqOptions {
  /** With its slash. */
  readonly name: string;
  /** Naru gives no queue such a name: one that a program in another language made can be opened, none is made. */
  readonly isForeign: boolean;
  /** Permission bits; undefined: not stated. */
  readonly mode: number | undefined;
  /** Most messages; undefined: not stated. */
  readonly maxMessages: number | undefined;
  /** Longest message of the queue, an envelope included; undefined: not stated. */
  readonly maxMessageBytes: number | undefined;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED */
export function readPosixmqOptions(url: PlaceUrl, options: PlaceOptions): PosixmqOptions {
  refuseMeaningless(url, options);
  const { capacityBytes, capacityMessages, maxMessageBytes, format } = options;
  if (url.path !== '' || url.port !== undefined || url.username !== '') {
    throw refusal('NARU_INVALID_ARGUMENT', url, 'a POSIX queue has a name only: posixmq://orders');
  }
  if (capacityBytes !== undefined) {
    const what = 'a POSIX queue is limited in messages and their size: give depth and size';
    throw refusal('NARU_UNSUPPORTED', url, what);
  }
  const extra = format === 'envelope' ? ENVELOPE_BYTES : 0;
  return {
    ...readName(url, options),
    mode: readMode(url),
    maxMessages: capacityMessages,
    maxMessageBytes: maxMessageBytes === undefined ? undefined : maxMessageBytes + extra,
  };
}

function readName(url: PlaceUrl, { create }: PlaceOptions): Pick<PosixmqOptions, 'name' | 'isForeign'> {
  const name = `/${url.host}`;
  try {
    checkName(url.host, url.text);
    return { name, isForeign: false };
  } catch (error) {
    if (create === 'new' || !isPosixName(name)) throw error;
    return { name, isForeign: true };
  }
}

function isPosixName(name: string): boolean {
  try {
    checkPosixName(name);
    return true;
  } catch (error) {
    if (isNaruError(error)) return false;
    throw error;
  }
}
