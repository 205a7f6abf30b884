// The way back for requests: a small mailbox of the requester's own (`~port.<identity>`), which repliers find by its name.

import { NaruError } from '../../errors/index.ts';
import type { Driver, DriverHooks, ReplyPort } from '../../mailbox/driver.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import { PortInbox, ReplyPorts } from '../../mailbox/reply-ports.ts';
import type { Gid } from '../../mapped-ring/site.ts';
import { nameIn } from './address.ts';

const PORT_PREFIX = '~port.';

/** Opens a port: `new` our own, `never` somebody's that must be there. */
export type PortOpener = (name: string, create: 'new' | 'never', hooks: DriverHooks) => Promise<Driver>;

/** The port that belongs to a handle. */
export function portName(identity: string): string {
  return `${PORT_PREFIX}${identity.replace('/', '-')}`;
}

/** Opens the handle's own port. */
export async function openReplies(
  open: PortOpener,
  hooks: DriverHooks,
  identity: string,
  gid: Gid,
): Promise<ReplyPort> {
  const inbox = new PortInbox(hooks);
  const driver = await open(portName(identity), 'new', inbox);
  await inbox.start(driver);
  const own = { address: driver.facts.address, close: () => driver.close() };
  return new ReplyPorts(own, async (replyTo, portHooks) => ({
    driver: await open(nameOfPort(replyTo, gid), 'never', portHooks),
  }));
}

/** A request must not be able to send its answer into just any mailbox, nor out of the group that sees the requests. */
function nameOfPort(replyTo: string, gid: Gid): string {
  const shown = replyTo.slice(0, 80);
  const name = nameIn(replyTo, gid) ?? '';
  if (name.startsWith(PORT_PREFIX)) return checkName(name, shown);
  throw new NaruError('NARU_INVALID_ARGUMENT', `"${shown}" is not the port of an shm:// requester`);
}
