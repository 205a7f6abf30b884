// The place behind memory://: mailboxes inside one thread. The reference for every feature a place can have.

import { NaruError } from '../../errors/index.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceContext, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { Box } from './box.ts';
import { memory } from './capabilities.ts';
import { MemoryDriver } from './driver.ts';
import { checkOptions, checkSame, checkTopic, type MemorySettings, nameOf, settingsOf } from './options.ts';
import { registry } from './registry.ts';
import { twinOf } from './twin.ts';

export const place: Place = {
  modes: [memory],
  parameters: [],
  twin: twinOf,
  check(url, options) {
    nameOf(url);
    checkOptions(url, options);
  },
  async open(url, options, context) {
    const settings = await settingsOf(url, options, context);
    options.signal.throwIfAborted();
    return openNow(url, options, context, settings);
  },
};

/** Without a wait between looking and creating: two opens cannot both create. */
function openNow(
  url: PlaceUrl,
  options: PlaceOptions,
  context: PlaceContext,
  settings: MemorySettings,
): Driver {
  const { boxes } = registry();
  const { create = 'if-missing' } = options;
  const existing = boxes.get(settings.name);
  if (existing === undefined && create === 'never') throw refusal(url, 'NARU_NOT_FOUND');
  if (existing !== undefined && create === 'new') throw refusal(url, 'NARU_EXISTS');
  if (existing !== undefined) checkSame(url, options, existing.settings);
  checkTopic(url, options, existing?.settings.deliver ?? settings.deliver);
  const identity = newHandleIdentity();
  const box = existing ?? new Box(settings, identity, (gone) => boxes.delete(gone.settings.name));
  boxes.set(settings.name, box);
  return new MemoryDriver(box, identity, existing === undefined, options, context.hooks);
}

function refusal(url: PlaceUrl, code: 'NARU_NOT_FOUND' | 'NARU_EXISTS'): NaruError {
  const what =
    code === 'NARU_NOT_FOUND'
      ? 'there is no such mailbox in this thread, and create is "never"; start its creator first'
      : 'it exists already, and create is "new"; choose another name or unlink it';
  return new NaruError(code, `${url.text}: ${what}`, { place: 'memory', mailbox: url.text });
}
