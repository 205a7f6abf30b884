// Class access: left over from AMQP 0-9. Everything is granted; permissions are checked where things are done.

import { METHOD, readAccessRequest, writeAccessRequestOk } from '../../wire/amqp091/index.ts';
import type { Handlers } from './handler.ts';

export const accessMethods: Handlers = [
  [
    METHOD.accessRequest,
    (channel, reader) => {
      readAccessRequest(reader);
      writeAccessRequestOk(channel.connection.output, channel.number, { ticket: 1 });
    },
  ],
];
