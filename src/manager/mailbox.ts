// Mailboxes in a Manager, from a client's side: the link's driver over a connection that has proved to know the key.

import type { Socket } from 'node:net';
import { openLink } from '../link/driver.ts';
import { connectSession } from '../link/remote-session.ts';
import type { Session, SessionEvents } from '../link/session.ts';
import { type MailboxSettings, statedSettings } from '../link/settings.ts';
import { NaruError } from '../errors/index.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../mailbox/place.ts';
import { newHandleIdentity } from '../native/identity.ts';
import { PARAMETERS, readTarget, type Target } from './address.ts';
import { greetServer } from './greeting.ts';
import { checkOwner } from './owner.ts';
import type { Asked } from './protocol.ts';

/** @param capabilities  those of the place whose sockets it uses */
export function mailboxPlace(capabilities: Capabilities): Place {
  const own: Capabilities = {
    ...capabilities,
    summary: `a mailbox in a Manager, over ${capabilities.scheme}://`,
    owner: 'system',
  };
  return {
    modes: [own],
    parameters: PARAMETERS,
    takesKey: true,
    check: refuse,
    async open(url, options, { hooks }) {
      const target = readTarget(url, options.key);
      const identity = newHandleIdentity();
      return await openLink(
        {
          capabilities: own,
          identity,
          mailbox: target.text,
          place: target.place,
          hooks,
          secrets: target.secrets,
          consumer: { group: options.group, from: options.from },
          connect: (events, signal, previous) =>
            connect(target, options, { events, signal, previous, identity }),
        },
        options.signal,
      );
    },
  };
}

/** @throws NARU_UNSUPPORTED, NARU_INVALID_ARGUMENT */
function refuse({ text }: PlaceUrl, { owner, tls, frame }: PlaceOptions): void {
  checkOwner(owner, text);
  if (tls !== undefined)
    throw new NaruError('NARU_UNSUPPORTED', `${text}: a Manager speaks no TLS; leave tls out`, {
      mailbox: text,
    });
  if (frame !== undefined)
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${text}: frame says how plain bytes are cut, a Manager has none`,
      {
        mailbox: text,
      },
    );
}

async function connect(
  target: Target,
  options: PlaceOptions,
  at: {
    readonly events: SessionEvents;
    readonly signal: AbortSignal;
    readonly previous: MailboxSettings | undefined;
    readonly identity: string;
  },
): Promise<Session> {
  const { events, signal, previous, identity } = at;
  const { text, place, address, heartbeatMs, key, name } = target;
  const stated = previous ?? statedSettings(options);
  const { create = 'if-missing' } = options;
  const asked: Asked = {
    kind: 'mailbox',
    name,
    identity,
    // Only the first opener states anything new; who comes back wants what was there.
    create: previous === undefined || create === 'never' ? create : 'if-missing',
    owner: checkOwner(options.owner, text),
    settings: { ...stated },
  };
  const socket: Socket = await target.connect(signal);
  socket.on('error', () => undefined);
  let created: boolean;
  try {
    created = await greetServer(socket, key, text, signal, asked);
  } catch (error) {
    socket.destroy();
    throw error;
  }
  const init = {
    created,
    mailbox: text,
    place,
    address,
    identity,
    stated,
    heartbeatMs,
    prefetch: options.prefetch,
    events,
  };
  return await connectSession(socket, init, signal);
}
