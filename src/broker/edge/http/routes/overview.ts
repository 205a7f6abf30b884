// Routes about the broker as a whole: overview, who one is, virtual hosts, definitions, health.

import { exportDefinitions, importDefinitions } from '../../../definitions.ts';
import { aliveness, HEALTH_ROUTES } from '../health.ts';
import { ADMIN, get, LOOK, placeOf, route, SEE, type Api, type Route } from '../route.ts';
import { nodeView, overviewView, vhostView } from '../views.ts';
import { visiblePlaces } from '../visible.ts';

export const overviewRoutes: readonly Route[] = [
  get('overview', LOOK, ({ core, listener, user }) =>
    overviewView(core, listener, visiblePlaces({ core, user })),
  ),
  get('whoami', { role: 'user' }, ({ user: { name, tags } }) => ({ name, tags, is_internal_user: false })),
  get('cluster-name', LOOK, () => ({ name: 'naru' })),
  get('extensions', LOOK, () => []),
  get('nodes', { role: 'monitoring' }, ({ core, listener }) => [nodeView(core, listener)]),
  get('nodes/*', { role: 'monitoring' }, ({ core, listener }) => nodeView(core, listener)),
  get('vhosts', LOOK, (api) => visiblePlaces(api).map(vhostView)),
  get('vhosts/*', SEE, (api) => vhostView(placeOf(api))),
  route('PUT', 'vhosts/*', ADMIN, ({ core, values: [name = ''] }) => void core.addVhost(name)),
  route('DELETE', 'vhosts/*', ADMIN, deleteVhost),
  get('definitions', ADMIN, ({ core }) => exportDefinitions(core)),
  route('POST', 'definitions', ADMIN, ({ core, body }) => importDefinitions(core, body)),
  get('aliveness-test/*', { role: 'management', vhost: 'see' }, aliveness),
  ...HEALTH_ROUTES,
];

/** Whoever is connected to it is told to go first. */
function deleteVhost(api: Api): void {
  const place = placeOf(api);
  for (const session of api.listener.sessions) {
    if (session.connection.vhost === place) session.close(320, `vhost '${place.name}' is deleted`);
  }
  api.core.deleteVhost(place.name);
}
