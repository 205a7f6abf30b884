// Class channel, what is left of it when open and close are dealt with by the session: flow.

import { METHOD, readChannelFlow, writeChannelFlowOk } from '../../wire/amqp091/index.ts';
import { notImplemented } from '../refusal.ts';
import type { Handlers } from './handler.ts';

export const channelMethods: Handlers = [
  [
    METHOD.channelFlow,
    (channel, reader) => {
      const { active } = readChannelFlow(reader);
      if (!active) throw notImplemented('active=false');
      writeChannelFlowOk(channel.connection.output, channel.number, { active });
    },
  ],
];
