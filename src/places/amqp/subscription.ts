// From which queue a consumer takes: that of the mailbox, or one that the topic fills for it or for its group.

import type { AmqpChannel } from './protocol.ts';
import { NAMES } from './names.ts';
import type { BoxSettings } from './settings.ts';

/** How long the queue of a consumer outlives it, in milliseconds: long enough for a connection to come back. */
const SUBSCRIPTION_MS = 120_000;
/** How long the queue of a group outlives its last member. */
const GROUP_MS = 7 * 24 * 3_600_000;

export interface Source {
  readonly queue: string;
  /** Makes sure that it is there. */
  declare(channel: AmqpChannel): Promise<void>;
  /** It belongs to one consumer: it goes with it, and it has to be asked for now and then, or the server removes it. */
  readonly isOwn: boolean;
  readonly keepMs: number;
}

/** @param handle  unique among the consumers of the topic */
export function sourceOf(
  settings: BoxSettings,
  group: string | undefined,
  pattern: string,
  handle: string,
): Source {
  const { name, id, deliver, survives, type } = settings;
  if (deliver === 'one') return { queue: name, declare: async () => undefined, isOwn: false, keepMs: 0 };
  const owner = id === '' ? name : id;
  const isOwn = group === undefined;
  const queue = isOwn ? NAMES.subscription(owner, handle) : NAMES.group(owner, group);
  const keepMs = isOwn ? SUBSCRIPTION_MS : GROUP_MS;
  return {
    queue,
    isOwn,
    keepMs,
    async declare(channel) {
      await channel.assertQueue(queue, {
        durable: survives === 'restart',
        arguments: { 'x-queue-type': isOwn ? 'classic' : type, 'x-expires': keepMs },
      });
      await channel.bindQueue(queue, name, pattern);
    },
  };
}
