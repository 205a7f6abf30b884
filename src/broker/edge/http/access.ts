// Who may call which route: tags of users as RabbitMQ means them, virtual hosts they can see or use, and their permissions on what a
// route touches.

import type { Core } from '../../core.ts';
import type { Action, User } from '../../users.ts';
import type { Session } from '../../session.ts';
import { HttpError, notFound } from './http-error.ts';
import type { Api, Role, Route } from './route.ts';

/** Who asks for what. */
type Who = Pick<Api, 'core' | 'user' | 'values'>;

const TAGS: Readonly<Record<Role, readonly string[]>> = {
  user: [],
  management: ['management', 'policymaker', 'monitoring', 'administrator'],
  policymaker: ['policymaker', 'administrator'],
  monitoring: ['monitoring', 'administrator'],
  administrator: ['administrator'],
};

export function is(user: User, role: Role): boolean {
  const tags = TAGS[role];
  return tags.length === 0 || tags.some((tag) => user.tags.includes(tag));
}

/** Whether a user may look into a virtual host: who monitors may look into all. */
export function sees(core: Core, user: User, vhost: string): boolean {
  return is(user, 'monitoring') || core.users.permission(user.name, vhost) !== undefined;
}

/** Whether a user may look at a connection, or end it: one's own, those of others with a tag. */
export function reaches(user: User, { connection }: Session, role: Role): boolean {
  return is(user, role) || connection.user?.name === user.name;
}

/** @throws HttpError 403, and 404 for a virtual host that is not there */
export function checkAccess(
  route: Route,
  { core, user, values }: Pick<Api, 'core' | 'user' | 'values'>,
): void {
  if (!is(user, route.role)) throw new HttpError(403, `user '${user.name}' is not ${route.role}`);
  const [vhost = ''] = values;
  if (route.vhost === undefined) return;
  const allowed =
    route.vhost === 'see' ? sees(core, user, vhost) : core.users.permission(user.name, vhost) !== undefined;
  if (!allowed) throw new HttpError(403, `user '${user.name}' has no permissions in vhost '${vhost}'`);
  if (!core.vhosts.has(vhost)) throw notFound();
  for (const [action, kind, at] of route.needs ?? [])
    checkNeed({ core, user, values }, action, kind, values[at]);
}

/** @throws HttpError 403  the user may not do this as a client either */
export function checkNeed(
  { core, user, values: [vhost = ''] }: Who,
  action: Action,
  kind: 'queue' | 'exchange',
  name: string = '',
): void {
  if (core.users.may(user.name, vhost, action, name === '' ? 'amq.default' : name)) return;
  const what = `${action} access to ${kind} '${name}' in vhost '${vhost}'`;
  throw new HttpError(403, `${what} refused for user '${user.name}'`);
}
