// What `--json` shows of a message, for `naru receive` and `naru peek`.

import { isUtf8 } from 'node:buffer';
import type { Message } from '../mailbox/message.ts';

/** Its headers, and its body as text, or in base64 where it is no UTF-8. */
export function messageToJson(message: Message<Uint8Array>): Record<string, unknown> {
  const { data, ...rest } = message.toJSON() as { data: Uint8Array };
  const body = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return isUtf8(body)
    ? { ...rest, body: body.toString('utf8') }
    : { ...rest, body: body.toString('base64'), encoding: 'base64' };
}
