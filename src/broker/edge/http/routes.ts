// The routes of the management API: one table, each with what a user must be to call it. Nothing is reachable that is not here.

import type { Core } from '../../core.ts';
import { exportDefinitions, importDefinitions } from '../../definitions.ts';
import { fromPlain } from '../../plain-table.ts';
import { readPolicy } from '../../queue/arguments.ts';
import type { Vhost } from '../../vhost.ts';
import { hashPassword } from '../../users.ts';
import type { Listener } from '../listener.ts';
import { badRequest, HttpError, notFound } from './http-error.ts';
import { getMessages, publishMessage } from './messages.ts';
import type { ApiRequest } from './request.ts';
import {
  bindingViews,
  channelViews,
  connectionView,
  consumerViews,
  exchangeView,
  overviewView,
  queueView,
  userView,
} from './views.ts';

/** Who may call a route: anybody who can log in, who may look, who may change everything. */
export type Role = 'user' | 'management' | 'administrator';

export interface ApiContext {
  readonly core: Core;
  readonly listener: Listener;
  readonly request: ApiRequest;
  /** The variable parts of the path, in order. */
  readonly values: readonly string[];
}

export interface Route {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** Parts behind /api; `*` takes any. */
  readonly path: string;
  readonly role: Role;
  /** @returns what is sent as JSON; undefined: 204 */
  readonly call: (context: ApiContext) => unknown;
}

const ALIVENESS_QUEUE = 'aliveness-test';

export const ROUTES: readonly Route[] = [
  get('overview', 'management', ({ core, listener }) => overviewView(core, listener)),
  get('whoami', 'user', ({ request: { user } }) => ({ name: user.name, tags: user.tags })),
  get('nodes', 'management', () => [{ name: 'naru@localhost', running: true, type: 'disc' }]),
  get('vhosts', 'management', ({ core }) => Array.from(core.vhosts.keys(), (name) => ({ name }))),
  get('vhosts/*', 'management', (context) => ({ name: placeOf(context).name })),
  route('PUT', 'vhosts/*', 'administrator', ({ core, values }) => void core.addVhost(values[0] ?? '')),
  route('DELETE', 'vhosts/*', 'administrator', deleteVhost),
  get('users', 'administrator', ({ core }) => Array.from(core.users.all, userView)),
  get('users/*', 'administrator', ({ core, values }) => {
    const user = core.users.get(values[0] ?? '');
    if (user === undefined) throw notFound();
    return userView(user);
  }),
  route('PUT', 'users/*', 'administrator', putUser),
  route('DELETE', 'users/*', 'administrator', ({ core, values }) => {
    if (!core.users.delete(values[0] ?? '')) throw notFound();
  }),
  get('permissions', 'administrator', ({ core }) => [...core.users.permissions()]),
  get('permissions/*/*', 'administrator', ({ core, values: [vhost = '', user = ''] }) => {
    const permission = core.users.permission(user, vhost);
    if (permission === undefined) throw notFound();
    return { user, vhost, ...permission };
  }),
  route('PUT', 'permissions/*/*', 'administrator', putPermission),
  route('DELETE', 'permissions/*/*', 'administrator', ({ core, values: [vhost = '', user = ''] }) => {
    if (!core.users.forbid(user, vhost)) throw notFound();
  }),
  get('connections', 'management', ({ listener }) => Array.from(listener.sessions, connectionView)),
  get('connections/*', 'management', (context) => connectionView(sessionOf(context))),
  route('DELETE', 'connections/*', 'administrator', (context) =>
    sessionOf(context).close(320, 'Closed via management plugin'),
  ),
  get('channels', 'management', ({ listener }) => [...listener.sessions].flatMap(channelViews)),
  get('consumers', 'management', ({ listener }) => [...listener.sessions].flatMap(consumerViews)),
  get('exchanges', 'management', ({ core }) =>
    places(core).flatMap(({ exchanges }) => Array.from(exchanges.values(), exchangeView)),
  ),
  get('exchanges/*', 'management', (context) =>
    Array.from(placeOf(context).exchanges.values(), exchangeView),
  ),
  get('exchanges/*/*', 'management', (context) => exchangeView(exchangeOf(context))),
  route('PUT', 'exchanges/*/*', 'administrator', putExchange),
  route('DELETE', 'exchanges/*/*', 'administrator', (context) =>
    placeOf(context).deleteExchange(ownExchange(context)),
  ),
  route('POST', 'exchanges/*/*/publish', 'administrator', (context) =>
    publishMessage(context.core, placeOf(context), exchangeOf(context), context.request.body),
  ),
  get('queues', 'management', ({ core }) =>
    places(core).flatMap(({ queues }) => Array.from(queues.values(), queueView)),
  ),
  get('queues/*', 'management', (context) => Array.from(placeOf(context).queues.values(), queueView)),
  get('queues/*/*', 'management', (context) => queueView(queueOf(context))),
  route('PUT', 'queues/*/*', 'administrator', putQueue),
  route(
    'DELETE',
    'queues/*/*',
    'administrator',
    (context) => void placeOf(context).deleteQueue(queueOf(context)),
  ),
  route('DELETE', 'queues/*/*/contents', 'administrator', (context) => void queueOf(context).purge()),
  route('POST', 'queues/*/*/get', 'administrator', (context) =>
    getMessages(context.core, queueOf(context), context.request.body),
  ),
  get('bindings', 'management', ({ core }) => places(core).flatMap(bindingsOf)),
  get('bindings/*', 'management', (context) => bindingsOf(placeOf(context))),
  get('queues/*/*/bindings', 'management', (context) => {
    const queue = queueOf(context);
    return bindingsOf(placeOf(context)).filter(
      (view) => view['destination'] === queue.name && view['destination_type'] === 'queue',
    );
  }),
  route('POST', 'bindings/*/e/*/q/*', 'administrator', (context) => postBinding(context, 'queue')),
  route('POST', 'bindings/*/e/*/e/*', 'administrator', (context) => postBinding(context, 'exchange')),
  get('definitions', 'administrator', ({ core }) => exportDefinitions(core)),
  route('POST', 'definitions', 'administrator', ({ core, request: { body } }) =>
    importDefinitions(core, body),
  ),
  get('aliveness-test/*', 'management', aliveness),
  get('health/checks/*', 'management', () => ({ status: 'ok' })),
  get('health/checks/*/*', 'management', () => ({ status: 'ok' })),
];

function route(method: Route['method'], path: string, role: Role, call: Route['call']): Route {
  return { method, path, role, call };
}

function get(path: string, role: Role, call: Route['call']): Route {
  return route('GET', path, role, call);
}

function places(core: Core): Vhost[] {
  return [...core.vhosts.values()];
}

function placeOf({ core, values }: ApiContext): Vhost {
  const place = core.vhosts.get(values[0] ?? '');
  if (place === undefined) throw notFound();
  return place;
}

function queueOf(context: ApiContext): NonNullable<ReturnType<Vhost['queue']>> {
  const queue = placeOf(context).queue(context.values[1] ?? '');
  if (queue === undefined) throw notFound();
  return queue;
}

/** The default exchange is called amq.default in paths. */
function exchangeOf(context: ApiContext): NonNullable<ReturnType<Vhost['exchange']>> {
  const name = context.values[1] ?? '';
  const exchange = placeOf(context).exchange(name === 'amq.default' ? '' : name);
  if (exchange === undefined) throw notFound();
  return exchange;
}

function ownExchange(context: ApiContext): NonNullable<ReturnType<Vhost['exchange']>> {
  const exchange = exchangeOf(context);
  if (exchange.name === '' || exchange.name.startsWith('amq.')) {
    throw new HttpError(403, `exchange '${exchange.name}' is the broker's own`);
  }
  return exchange;
}

function sessionOf({ listener, values }: ApiContext): NonNullable<ReturnType<Listener['find']>> {
  const session = listener.find(values[0] ?? '');
  if (session === undefined) throw notFound();
  return session;
}

function bindingsOf({ exchanges, queues }: Vhost): ReturnType<typeof bindingViews> {
  return bindingViews(exchanges.values(), queues.values());
}

/** Whoever is connected to it is told to go first. */
function deleteVhost(context: ApiContext): void {
  const place = placeOf(context);
  for (const session of context.listener.sessions) {
    if (session.connection.vhost === place) session.close(320, `vhost '${place.name}' is deleted`);
  }
  context.core.deleteVhost(place.name);
}

function putUser({ core, request: { body }, values: [name = ''] }: ApiContext): void {
  const { password, password_hash: given, tags } = body;
  if (typeof password !== 'string' && typeof given !== 'string')
    throw badRequest('password or password_hash is missing');
  const passwordHash = typeof given === 'string' ? given : hashPassword(String(password), core.random(4));
  const list = Array.isArray(tags) ? tags.map(String) : typeof tags === 'string' ? tags.split(',') : [];
  core.users.put({ name, passwordHash, tags: list.map((tag) => tag.trim()).filter((tag) => tag !== '') });
}

function putPermission(context: ApiContext): void {
  const { core, request, values } = context;
  const { configure, write, read } = request.body;
  if (typeof configure !== 'string' || typeof write !== 'string' || typeof read !== 'string') {
    throw badRequest('configure, write and read are needed');
  }
  const user = values[1] ?? '';
  if (core.users.get(user) === undefined) throw badRequest(`there is no user '${user}'`);
  core.users.allow(user, placeOf(context).name, { configure, write, read });
}

function putExchange(context: ApiContext): void {
  const place = placeOf(context);
  const name = context.values[1] ?? '';
  const { body } = context.request;
  if (place.exchange(name) !== undefined) return;
  if (name === '' || name.startsWith('amq.'))
    throw badRequest(`exchange name '${name}' contains reserved prefix 'amq.*'`);
  place.addExchange({
    name,
    vhost: place.name,
    type: typeof body['type'] === 'string' ? body['type'] : 'direct',
    durable: body['durable'] !== false,
    autoDelete: body['auto_delete'] === true,
    internal: body['internal'] === true,
    args: fromPlain(tableOf(body['arguments'])),
  });
}

function putQueue(context: ApiContext): void {
  const place = placeOf(context);
  const name = context.values[1] ?? '';
  const { body } = context.request;
  if (place.queue(name) !== undefined) return;
  if (name === '' || name.startsWith('amq.'))
    throw badRequest(`queue name '${name}' contains reserved prefix 'amq.*'`);
  const args = fromPlain(tableOf(body['arguments']));
  place.addQueue({
    name,
    vhost: place.name,
    durable: body['durable'] !== false,
    autoDelete: body['auto_delete'] === true,
    owner: undefined,
    args,
    policy: readPolicy(args, name, place.name),
  });
}

function postBinding(context: ApiContext, kind: 'queue' | 'exchange'): void {
  const place = placeOf(context);
  const source = exchangeOf(context);
  const name = context.values[2] ?? '';
  const end = kind === 'queue' ? place.queue(name) : place.exchange(name);
  if (end === undefined) throw notFound();
  const { routing_key: key, arguments: args } = context.request.body;
  place.bind(source, end, typeof key === 'string' ? key : '', fromPlain(tableOf(args)));
}

function tableOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null
    ? (value as Readonly<Record<string, unknown>>)
    : undefined;
}

/** Publishes a message to a queue of its own and takes it off again, as RabbitMQ does. */
function aliveness(context: ApiContext): { readonly status: string } {
  const { core } = context;
  const place = placeOf(context);
  const args = fromPlain({});
  const queue =
    place.queue(ALIVENESS_QUEUE) ??
    place.addQueue({
      name: ALIVENESS_QUEUE,
      vhost: place.name,
      durable: false,
      autoDelete: false,
      owner: undefined,
      args,
      policy: readPolicy(args, ALIVENESS_QUEUE, place.name),
    });
  const exchange = place.exchange('');
  if (exchange === undefined) throw notFound();
  publishMessage(core, place, exchange, { routing_key: queue.name, payload: 'test', properties: {} });
  const entry = queue.get(true);
  if (entry === undefined) throw new HttpError(500, 'the message did not come back');
  core.messages.release(entry.slot);
  return { status: 'ok' };
}
