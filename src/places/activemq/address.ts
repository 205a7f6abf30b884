// Finding and making the address of a mailbox. Artemis is asked through its management; where nobody can ask, attaching makes what is missing.

import { setTimeout as pause } from 'node:timers/promises';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import type { ActivemqConnection } from './client.ts';
import type { Management } from './management.ts';
import type { Box } from './options.ts';
import type { RheaReceiver } from './protocol.ts';

/** Between two looks at what somebody else is making or removing, in milliseconds. */
const AGAIN_MS = 20;

export interface FoundBox {
  readonly box: Box;
  readonly created: boolean;
}

/** @throws NARU_EXISTS, NARU_NOT_FOUND, NARU_UNSUPPORTED  as `create` says */
export async function findBox(
  management: Management | undefined,
  url: PlaceUrl,
  options: PlaceOptions,
  box: Box,
): Promise<FoundBox> {
  const { create = 'if-missing', signal } = options;
  if (management === undefined) {
    if (create === 'if-missing') return { box, created: false };
    throw refusal(
      'NARU_UNSUPPORTED',
      url,
      `create "${create}" needs a server that tells what exists: Artemis, and a user who may ask activemq.management; leave create out`,
    );
  }
  for (;;) {
    const existing = await existingBox(management, url, options, box);
    if (existing !== undefined) return { box: existing, created: false };
    if (create === 'never')
      throw refusal('NARU_NOT_FOUND', url, `there is no "${box.name}", and create is "never"`);
    if (await management.create(box)) return { box, created: true };
    await pause(AGAIN_MS, undefined, { signal });
  }
}

async function existingBox(
  management: Management,
  url: PlaceUrl,
  options: PlaceOptions,
  box: Box,
): Promise<Box | undefined> {
  const { name, deliver } = box;
  const routing = await management.routing(name);
  if (routing === undefined || routing.length === 0) return undefined;
  if (!routing.includes(deliver))
    throw refusal(
      'NARU_EXISTS',
      url,
      `"${name}" exists and is a ${deliver === 'one' ? 'topic' : 'queue'}: deliver asked ${deliver}, is ${routing.join('+')}`,
    );
  const queue = deliver === 'one' ? await management.queue(name) : undefined;
  if (deliver === 'one' && queue === undefined) return undefined;
  if (options.create === 'new')
    throw refusal('NARU_EXISTS', url, `"${name}" exists already, and create is "new"; choose another name`);
  if (queue === undefined) return box;
  const survives = queue.isDurable ? 'restart' : 'process';
  if (options.survives !== undefined && options.survives !== survives)
    throw refusal(
      'NARU_EXISTS',
      url,
      `exists with other options: survives asked ${options.survives}, is ${survives}. Leave it out to adopt what exists`,
    );
  return { ...box, survives };
}

/**
 * A link that the server ends when the mailbox is removed, and that takes nothing: of a queue without credit, of a topic with a condition that
 * no message meets. Sending ends are told nothing, and what they send makes the address anew.
 * @returns undefined where it could take something from others, or this user may not receive
 */
export async function watchBox(
  connection: ActivemqConnection,
  management: Management | undefined,
  { name, deliver }: Box,
): Promise<RheaReceiver | undefined> {
  if (management === undefined) return undefined;
  if (deliver === 'one' && (await management.queue(name))?.isForAnybody !== true) return undefined;
  const source =
    deliver === 'one'
      ? { address: name, capabilities: ['queue'] }
      : { address: name, capabilities: ['topic'], filter: connection.library.filter.selector('1 = 0') };
  try {
    return await connection.receiver({ source });
  } catch (error) {
    if (connection.isOver) throw error;
    return undefined;
  }
}
