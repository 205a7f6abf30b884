// One route of the management API, and what its call is given.

import type { Core } from '../../core.ts';
import type { Exchange } from '../../exchange/exchange.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Session } from '../../session.ts';
import type { Action, User } from '../../users.ts';
import type { Vhost } from '../../vhost.ts';
import type { Listener } from '../listener.ts';
import { notFound } from './http-error.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

/** What a user must be. Each includes what stands before it, except that policymaker and monitoring are beside each other. */
export type Role = 'user' | 'management' | 'policymaker' | 'monitoring' | 'administrator';

/** What a route does with the virtual host that its path names first: shows it, or works in it as a client does. */
export type VhostUse = 'see' | 'use';

/** A permission that is checked as for a client: what is done, to what, and which variable part of the path is its name. */
export type Need = readonly [Action, 'queue' | 'exchange', number];

/** A request that was allowed. */
export interface Api {
  readonly core: Core;
  readonly listener: Listener;
  readonly user: User;
  /** The variable parts of the path, in order. */
  readonly values: readonly string[];
  /** The body as JSON; an empty object when there is none. */
  readonly body: JsonObject;
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Parts behind /api; `*` takes any. */
  readonly path: string;
  readonly role: Role;
  /** The first variable part is a virtual host, and so it must be open to the user. */
  readonly vhost?: VhostUse;
  readonly needs?: readonly Need[];
  /** @returns what is sent as JSON, now or later; undefined: 204 */
  readonly call: (api: Api) => unknown;
}

/** More than the path, method and call of a route. */
type Rule = Pick<Route, 'role' | 'vhost' | 'needs'>;

export function route(method: Route['method'], path: string, rule: Rule, call: Route['call']): Route {
  return { method, path, ...rule, call };
}

/** A route of whoever may look, in the virtual host that the path names. */
export const SEE: Rule = { role: 'management', vhost: 'see' };
export const LOOK: Rule = { role: 'management' };
export const ADMIN: Rule = { role: 'administrator' };

/** A route that does what a client could do, with a client's permissions. */
export function using(...needs: readonly Need[]): Rule {
  return { role: 'management', vhost: 'use', needs };
}

export function get(path: string, rule: Rule, call: Route['call']): Route {
  return route('GET', path, rule, call);
}

/** @throws HttpError 404 */
export function placeOf({ core, values }: Api): Vhost {
  return found(core.vhosts.get(values[0] ?? ''));
}

/** @throws HttpError 404 */
export function queueOf(api: Api): Queue {
  return found(placeOf(api).queue(api.values[1] ?? ''));
}

/** @throws HttpError 404 */
export function exchangeOf(api: Api): Exchange {
  return found(placeOf(api).exchange(exchangeName(api.values[1])));
}

/** The default exchange is called amq.default in paths. */
export function exchangeName(name: string | undefined): string {
  return name === undefined || name === 'amq.default' ? '' : name;
}

/** @throws HttpError 404 */
export function sessionOf({ listener, values }: Api): Session {
  return found(listener.find(values[0] ?? ''));
}

/** @throws HttpError 404 */
export function found<T>(thing: T | undefined): T {
  if (thing === undefined) throw notFound();
  return thing;
}

/** A member that is an object, or nothing. */
export function objectOf(value: unknown): JsonObject | undefined {
  return typeof value === 'object' && value !== null ? (value as JsonObject) : undefined;
}

/** A member that is a text, or nothing. */
export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
