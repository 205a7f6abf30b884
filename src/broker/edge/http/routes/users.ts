// Routes about users and what they may do.

import { hashPassword } from '../../../users.ts';
import { badRequest } from '../http-error.ts';
import { ADMIN, found, get, placeOf, route, textOf, type Api, type Route } from '../route.ts';
import { userView } from '../views.ts';

export const userRoutes: readonly Route[] = [
  get('users', ADMIN, ({ core }) => Array.from(core.users.all, userView)),
  get('users/without-permissions', ADMIN, ({ core }) => {
    const known = new Set(Array.from(core.users.permissions(), ({ user }) => user));
    return Array.from(core.users.all)
      .filter(({ name }) => !known.has(name))
      .map(userView);
  }),
  get('users/*', ADMIN, ({ core, values: [name = ''] }) => userView(found(core.users.get(name)))),
  route('PUT', 'users/*', ADMIN, putUser),
  route('DELETE', 'users/*', ADMIN, deleteUser),
  get('users/*/permissions', ADMIN, ({ core, values: [name = ''] }) => {
    found(core.users.get(name));
    return [...core.users.permissions()].filter(({ user }) => user === name);
  }),
  get('permissions', ADMIN, ({ core }) => [...core.users.permissions()]),
  get('vhosts/*/permissions', ADMIN, (api) => {
    const { name } = placeOf(api);
    return [...api.core.users.permissions()].filter(({ vhost }) => vhost === name);
  }),
  get('permissions/*/*', ADMIN, ({ core, values: [vhost = '', user = ''] }) => ({
    user,
    vhost,
    ...found(core.users.permission(user, vhost)),
  })),
  route('PUT', 'permissions/*/*', ADMIN, putPermission),
  route('DELETE', 'permissions/*/*', ADMIN, (api) => {
    const place = placeOf(api);
    found(api.core.users.forbid(api.values[1] ?? '', place.name) || undefined);
  }),
];

function putUser({ core, body, values: [name = ''] }: Api): void {
  const { password, password_hash: given, tags } = body;
  if (name === '') throw badRequest('the name of the user is empty');
  if (typeof password !== 'string' && typeof given !== 'string')
    throw badRequest('password or password_hash is missing');
  const passwordHash = typeof given === 'string' ? given : hashPassword(String(password), core.random(4));
  const list = Array.isArray(tags) ? tags.map(String) : (textOf(tags) ?? '').split(',');
  core.users.put({ name, passwordHash, tags: list.map((tag) => tag.trim()).filter((tag) => tag !== '') });
}

/** Whoever is logged in as the user is told to go: what it may is no more. */
function deleteUser({ core, listener, values: [name = ''] }: Api): void {
  found(core.users.delete(name) || undefined);
  for (const session of listener.sessions) {
    if (session.connection.user?.name === name) session.close(320, `user '${name}' is deleted`);
  }
}

function putPermission(api: Api): void {
  const { core, body, values } = api;
  const { configure, write, read } = body;
  if (typeof configure !== 'string' || typeof write !== 'string' || typeof read !== 'string') {
    throw badRequest('configure, write and read are needed');
  }
  const user = values[1] ?? '';
  if (core.users.get(user) === undefined) throw badRequest(`there is no user '${user}'`);
  core.users.allow(user, placeOf(api).name, { configure, write, read });
}
