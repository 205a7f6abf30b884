// Direct reply-to: the pseudo-queue amq.rabbitmq.reply-to. A requester consumes from it; what it publishes with that reply-to gets
// an address of its own, and whoever publishes to the address reaches the requester's channel with no queue between.

import { Writer } from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';
import { preconditionFailed } from '../refusal.ts';

export const REPLY_QUEUE = 'amq.rabbitmq.reply-to';
const REPLY_PREFIX = `${REPLY_QUEUE}.`;

/** Whether a name is the pseudo-queue or an address of it. */
export function isReplyName(name: string): boolean {
  return name === REPLY_QUEUE || name.startsWith(REPLY_PREFIX);
}

/** Makes the channel a requester. @throws Refusal 406 */
export function consumeReplies(channel: Channel, tag: string, noAck: boolean): void {
  if (!noAck) throw preconditionFailed('reply consumer cannot acknowledge');
  if (channel.reply !== undefined) throw preconditionFailed('reply consumer already set');
  const { connection, number } = channel;
  const { core, output } = connection;
  const writer = new Writer(256);
  writer.shortstr(tag);
  const tagBytes = writer.take();
  const key = core.uniqueName(REPLY_PREFIX);
  channel.reply = {
    key,
    tag,
    takeReply: (slot) => {
      output.deliver(number, tagBytes, channel.nextTag(), false, core.messages, slot, undefined);
      core.messages.release(slot);
    },
  };
  core.replies.set(key, channel.reply);
}

/** The address that stands for the pseudo-queue in what this channel publishes. @throws Refusal 406 */
export function replyAddress(channel: Channel): string {
  if (channel.reply === undefined) throw preconditionFailed('fast reply consumer does not exist');
  return channel.reply.key;
}

/** @returns false when the tag is not that of the requester */
export function cancelReplies(channel: Channel, tag: string): boolean {
  if (channel.reply?.tag !== tag) return false;
  channel.connection.core.replies.delete(channel.reply.key);
  channel.reply = undefined;
  return true;
}
