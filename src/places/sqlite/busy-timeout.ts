// How long a call waits for others to let go of the file, as the URL says it.

import type { PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { BUSY_TIMEOUT_MS } from './connection.ts';

/** In milliseconds. @throws NARU_INVALID_ARGUMENT */
export function readBusyTimeout(url: PlaceUrl): number {
  const text = url.extra['busyTimeoutMs'];
  if (text === undefined) return BUSY_TIMEOUT_MS;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  const what = `busyTimeoutMs is a whole number of milliseconds, got "${text.slice(0, 40)}"`;
  throw refusal('NARU_INVALID_ARGUMENT', url, what);
}
