// Routes about policies: for those who make them, in virtual hosts that they can use.

import { badRequest } from '../http-error.ts';
import type { ApplyTo } from '../../../policies.ts';
import { found, get, objectOf, placeOf, route, textOf, type Api, type Route } from '../route.ts';
import { policyView, type View } from '../views.ts';
import { visiblePlaces } from '../visible.ts';

const MAKER = { role: 'policymaker', vhost: 'use' } as const;

export const policyRoutes: readonly Route[] = [
  get('policies', { role: 'policymaker' }, (api) => visiblePlaces(api).flatMap(policiesOf)),
  get('policies/*', MAKER, (api) => policiesOf(placeOf(api))),
  get('policies/*/*', MAKER, (api) => {
    const place = placeOf(api);
    return policyView(place.name, found(place.policies.get(api.values[1] ?? '')));
  }),
  route('PUT', 'policies/*/*', MAKER, putPolicy),
  route('DELETE', 'policies/*/*', MAKER, (api) => {
    found(placeOf(api).deletePolicy(api.values[1] ?? '') || undefined);
  }),
];

function policiesOf({ name, policies }: ReturnType<typeof placeOf>): View[] {
  return policies.all.map((policy) => policyView(name, policy));
}

function putPolicy(api: Api): void {
  const { body, values } = api;
  const pattern = textOf(body['pattern']);
  const definition = objectOf(body['definition']);
  if (pattern === undefined || definition === undefined)
    throw badRequest('pattern and definition are needed');
  placeOf(api).putPolicy({
    name: values[1] ?? '',
    pattern,
    applyTo: (textOf(body['apply-to']) ?? 'all') as ApplyTo,
    priority: Number(body['priority'] ?? 0),
    definition,
  });
}
