// Queues that others made: what they are is found out by declaring them, and taking back what the server says is otherwise.

import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import type { AmqpConnection } from './client.ts';
import { REPLY, replyCode, replyText } from './failures.ts';
import type { OwnOptions } from './options.ts';
import type { QueueOptions } from './protocol.ts';
import { type BoxSettings, differs, queueOptions } from './settings.ts';

/** More properties than these a queue does not have. */
const ATTEMPTS_MAX = 24;
const INEQUIVALENT =
  /inequivalent arg '([^']+)'.*current is (none|(?:the value )?'([^']*)'(?: of type '([^']*)')?)/;

/** Which option states what. */
const STATED: Readonly<Record<string, keyof PlaceOptions | 'type'>> = {
  durable: 'survives',
  'x-queue-type': 'type',
  'x-max-length': 'capacityMessages',
  'x-max-priority': 'priorities',
};

/** @throws NARU_EXISTS  something that was stated is otherwise */
export async function adoptQueue(
  connection: AmqpConnection,
  url: PlaceUrl,
  asked: BoxSettings,
  own: OwnOptions,
  options: PlaceOptions,
): Promise<BoxSettings> {
  let declared = queueOptions(asked);
  const refused = new Set<string>();
  for (let n = 0; n < ATTEMPTS_MAX; n += 1) {
    try {
      await connection.once((channel) => channel.assertQueue(asked.name, declared));
      return settingsOf(asked, declared);
    } catch (error) {
      const found = replyCode(error) === REPLY.precondition ? INEQUIVALENT.exec(replyText(error)) : null;
      const [, key = '', current = '', text, type] = found ?? [];
      if (found === null || refused.has(key)) {
        // Only one connection can use it, or its properties are of a kind that cannot be told from here: it is there, and that is all.
        if (replyCode(error) === REPLY.precondition) return asked;
        throw error;
      }
      refused.add(key);
      const option = STATED[key];
      const stated = option === 'type' ? own.type : option === undefined ? undefined : options[option];
      if (stated !== undefined)
        throw differs(url, [`${option} asked ${JSON.stringify(stated)} (${key}), is ${current}`]);
      declared = adopt(declared, key, text, type);
    }
  }
  return asked;
}

function adopt(
  declared: QueueOptions,
  key: string,
  text: string | undefined,
  type: string | undefined,
): QueueOptions {
  if (key === 'durable') return { ...declared, durable: text === 'true' };
  if (key === 'exclusive') return { ...declared, exclusive: text === 'true' };
  if (key === 'auto_delete') return { ...declared, autoDelete: text === 'true' };
  const { [key]: _, ...others } = declared.arguments ?? {};
  if (text === undefined) return { ...declared, arguments: others };
  const value = type === 'longstr' || !/^-?\d+$/.test(text) ? text : Number(text);
  return { ...declared, arguments: { ...others, [key]: value } };
}

function settingsOf(asked: BoxSettings, declared: QueueOptions): BoxSettings {
  const args = declared.arguments ?? {};
  const refusesWhenFull = args['x-overflow'] === 'reject-publish';
  return {
    ...asked,
    survives: declared.durable === true ? 'restart' : 'process',
    type: args['x-queue-type'] === 'quorum' ? 'quorum' : 'classic',
    capacityMessages: refusesWhenFull ? Number(args['x-max-length']) : undefined,
    priorities: Number(args['x-max-priority'] ?? 0) + 1,
  };
}
