// Routes about who is connected: connections, channels, consumers.

import type { Session } from '../../../session.ts';
import { reaches } from '../access.ts';
import { HttpError, notFound } from '../http-error.ts';
import { get, LOOK, placeOf, route, SEE, sessionOf, type Api, type Route } from '../route.ts';
import { channelViews, connectionView, consumerViews } from '../views.ts';
import { visiblePlaces, visibleSessions } from '../visible.ts';

export const clientRoutes: readonly Route[] = [
  get('connections', LOOK, (api) => visibleSessions(api).map(connectionView)),
  get('vhosts/*/connections', SEE, (api) => sessionsOf(api).map(connectionView)),
  get('connections/*', LOOK, (api) => connectionView(visibleSession(api))),
  get('connections/*/channels', LOOK, (api) => channelViews(visibleSession(api))),
  route('DELETE', 'connections/*', LOOK, closeConnection),
  get('channels', LOOK, (api) => visibleSessions(api).flatMap(channelViews)),
  get('channels/*', LOOK, channelByName),
  get('vhosts/*/channels', SEE, (api) => sessionsOf(api).flatMap(channelViews)),
  get('consumers', LOOK, (api) => {
    const places = new Set(visiblePlaces(api));
    return [...api.listener.sessions]
      .filter(({ connection }) => connection.vhost !== undefined && places.has(connection.vhost))
      .flatMap(consumerViews);
  }),
  get('consumers/*', SEE, (api) => {
    const place = placeOf(api);
    return [...api.listener.sessions]
      .filter(({ connection }) => connection.vhost === place)
      .flatMap(consumerViews);
  }),
];

function sessionsOf(api: Api): Session[] {
  const place = placeOf(api);
  return visibleSessions(api).filter(({ connection }) => connection.vhost === place);
}

/** @throws HttpError 403, 404 */
function visibleSession(api: Api): Session {
  const session = sessionOf(api);
  if (!reaches(api.user, session, 'monitoring')) throw othersOwn(api);
  return session;
}

/** One's own connections; those of others only for administrators. */
function closeConnection(api: Api): void {
  const session = sessionOf(api);
  if (!reaches(api.user, session, 'administrator')) throw othersOwn(api);
  session.close(320, 'Closed via management plugin');
}

function othersOwn({ user }: Api): HttpError {
  return new HttpError(403, `user '${user.name}' may not do this with the connection of another user`);
}

function channelByName(api: Api): unknown {
  const view = visibleSessions(api)
    .flatMap(channelViews)
    .find(({ name }) => name === api.values[0]);
  if (view === undefined) throw notFound();
  return view;
}
