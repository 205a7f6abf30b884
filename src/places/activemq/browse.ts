// Looking at what waits in a queue without taking it: a link that gets copies.

import type { Delivery } from '../../mailbox/driver.ts';
import type { ActivemqConnection } from './client.ts';
import { decodeMessage } from './message.ts';
import type { RheaContext } from './protocol.ts';

/** How long to wait for a message that somebody else may have taken meanwhile, in milliseconds. */
const WAIT_MS = 1_000;

/** @returns the first `count` messages, or as many as are there */
export async function browse(
  connection: ActivemqConnection,
  name: string,
  count: number,
): Promise<Delivery[]> {
  const found: Delivery[] = [];
  if (count <= 0) return found;
  const link = await connection.receiver({
    source: { address: name, capabilities: ['queue'], distribution_mode: 'copy' },
  });
  await connection
    .answer<void>((resolve) => {
      // Artemis tells that a browser is at the end before it has sent anything: silence is what is waited for.
      let timer = setTimeout(resolve, WAIT_MS);
      link.on('message', ({ delivery, message }: RheaContext) => {
        if (delivery === undefined || message === undefined) return;
        connection.settle(delivery, 'accepted');
        found.push(decodeMessage(connection.library.message, message));
        clearTimeout(timer);
        if (found.length >= count) resolve();
        else timer = setTimeout(resolve, WAIT_MS);
      });
      link.add_credit(count);
    })
    .catch(() => undefined);
  await connection.leave(link);
  return found.slice(0, count);
}
