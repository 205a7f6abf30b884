// naru/browser: mailboxes of ws:// for web pages, without Node. Built into one file, dist/browser/naru.js; nothing of Node may be
// imported here, directly or not.

import { BrowserMailbox } from './mailbox.ts';
import { type BrowserOptions, checkOptions } from './options.ts';

export { isNaruError, NaruError, type NaruErrorCode } from '../errors/index.ts';
export type { Receipt } from '../mailbox/receipt.ts';
export type { Codec, CodecName } from './codec.ts';
export type { BrowserMailbox } from './mailbox.ts';
export type { BrowserMessage } from './message.ts';
export type { BrowserEvents, BrowserOptions, BrowserSendOptions } from './options.ts';
export type { Limits } from './waiting.ts';

/**
 * Opens a mailbox from a page.
 *
 * @param url      `wss://host/path` or `ws://host:port/path`: where a process listens with `open('ws://…?listen')`
 * @param options  everything else
 * @throws NARU_TIMEOUT  it could not be opened within `timeoutMs` (10 s); says what the last attempt failed with
 * @throws NARU_DENIED   the listener asks for a key; NARU_LIMIT  it has enough connections; NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED;
 *         the signal's reason
 */
export async function open<T = unknown>(
  url: string,
  options: BrowserOptions = {},
): Promise<BrowserMailbox<T>> {
  checkOptions(url, options);
  return await new BrowserMailbox<T>(url, options).start();
}
