// All methods that a client may call on a channel, by number.

import { accessMethods } from './access.ts';
import { channelMethods } from './channel.ts';
import { consumeMethods } from './consume.ts';
import { exchangeMethods } from './exchange.ts';
import type { Handler } from './handler.ts';
import { modeMethods } from './modes.ts';
import { publishMethods } from './publish.ts';
import { queueMethods } from './queue.ts';
import { settleMethods } from './settle.ts';

export { receiveBody, receiveHeader } from './publish.ts';

export const HANDLERS: ReadonlyMap<number, Handler> = new Map([
  ...channelMethods,
  ...accessMethods,
  ...exchangeMethods,
  ...queueMethods,
  ...consumeMethods,
  ...publishMethods,
  ...settleMethods,
  ...modeMethods,
]);
