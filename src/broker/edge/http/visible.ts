// What of the broker a user may see in lists: the virtual hosts that are open to it, and the connections that are its own.

import type { Queue } from '../../queue/queue.ts';
import type { Session } from '../../session.ts';
import type { Vhost } from '../../vhost.ts';
import { reaches, sees } from './access.ts';
import type { Api } from './route.ts';

export function visiblePlaces({ core, user }: Pick<Api, 'core' | 'user'>): Vhost[] {
  return Array.from(core.vhosts.values()).filter(({ name }) => sees(core, user, name));
}

/** Connections one may look at: those of others only for who monitors. */
export function visibleSessions({ listener, user }: Pick<Api, 'listener' | 'user'>): Session[] {
  return Array.from(listener.sessions).filter((session) => reaches(user, session, 'monitoring'));
}

export function queuesIn(places: readonly Vhost[]): Queue[] {
  return places.flatMap(({ queues }) => [...queues.values()]);
}
