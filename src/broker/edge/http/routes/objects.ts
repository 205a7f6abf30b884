// Routes about exchanges, queues and bindings: looking at them, and doing what a client could do with a client's permissions.

import { fromPlain } from '../../../plain-table.ts';
import { checkSameExchange, checkSameQueue } from '../../../declared.ts';
import type { Binding } from '../../../exchange/binding.ts';
import type { Target } from '../../../exchange/exchange.ts';
import type { Queue } from '../../../queue/queue.ts';
import { readPolicy } from '../../../queue/arguments.ts';
import { checkNeed } from '../access.ts';
import { badRequest, HttpError, notFound } from '../http-error.ts';
import { getMessages, publishMessage } from '../messages.ts';
import {
  exchangeName,
  exchangeOf,
  found,
  get,
  LOOK,
  objectOf,
  placeOf,
  queueOf,
  route,
  SEE,
  textOf,
  using,
  type Api,
  type Route,
} from '../route.ts';
import { bindingView, bindingViews, exchangeView, propertiesKey, queueView, type View } from '../views.ts';
import { queuesIn, visiblePlaces } from '../visible.ts';

export const objectRoutes: readonly Route[] = [
  get('exchanges', LOOK, (api) =>
    visiblePlaces(api).flatMap(({ exchanges }) => Array.from(exchanges.values(), exchangeView)),
  ),
  get('exchanges/*', SEE, (api) => Array.from(placeOf(api).exchanges.values(), exchangeView)),
  get('exchanges/*/*', SEE, (api) => exchangeView(exchangeOf(api))),
  route('PUT', 'exchanges/*/*', using(['configure', 'exchange', 1]), putExchange),
  route('DELETE', 'exchanges/*/*', using(['configure', 'exchange', 1]), deleteExchange),
  get('exchanges/*/*/bindings/source', SEE, (api) => {
    const { name } = exchangeOf(api);
    return bindingsOf(api).filter(({ source }) => source === name);
  }),
  get('exchanges/*/*/bindings/destination', SEE, (api) => {
    const { name } = exchangeOf(api);
    return bindingsOf(api).filter((view) => isTo(view, 'exchange', name));
  }),
  route('POST', 'exchanges/*/*/publish', using(['write', 'exchange', 1]), (api) =>
    publishMessage(api.core, placeOf(api), exchangeOf(api), api.body, api.user),
  ),
  get('queues', LOOK, (api) => queuesIn(visiblePlaces(api)).map(queueView)),
  get('queues/*', SEE, (api) => Array.from(placeOf(api).queues.values(), queueView)),
  get('queues/*/*', SEE, (api) => queueView(queueOf(api))),
  route('PUT', 'queues/*/*', using(['configure', 'queue', 1]), putQueue),
  route('DELETE', 'queues/*/*', using(['configure', 'queue', 1]), (api) => {
    placeOf(api).deleteQueue(ownQueue(api));
  }),
  route('DELETE', 'queues/*/*/contents', using(['read', 'queue', 1]), (api) => void ownQueue(api).purge()),
  route('POST', 'queues/*/*/get', using(['read', 'queue', 1]), (api) =>
    getMessages(api.core, ownQueue(api), api.body),
  ),
  get('queues/*/*/bindings', SEE, (api) => {
    const { name } = queueOf(api);
    return bindingsOf(api).filter((view) => isTo(view, 'queue', name));
  }),
  get('bindings', LOOK, (api) => visiblePlaces(api).flatMap(bindingViews)),
  get('bindings/*', SEE, (api) => bindingsOf(api)),
  ...bindingRoutes('q', 'queue'),
  ...bindingRoutes('e', 'exchange'),
];

/** The routes of bindings to a queue or to an exchange: the same but for one letter of the path. */
function bindingRoutes(letter: 'q' | 'e', kind: 'queue' | 'exchange'): Route[] {
  const path = `bindings/*/e/*/${letter}/*`;
  const both = using(['read', 'exchange', 1], ['write', kind, 2]);
  return [
    get(path, SEE, (api) => {
      const source = exchangeName(api.values[1]);
      return bindingsOf(api).filter((view) => view['source'] === source && isTo(view, kind, api.values[2]));
    }),
    route('POST', path, both, (api) => {
      const { routing_key: key, arguments: args } = api.body;
      placeOf(api).bind(exchangeOf(api), endOf(api, kind), textOf(key) ?? '', fromPlain(objectOf(args)));
    }),
    get(`${path}/*`, SEE, (api) => bindingView(exchangeOf(api), findBinding(api, kind))),
    route('DELETE', `${path}/*`, both, (api) => {
      const { key, args } = findBinding(api, kind);
      placeOf(api).unbind(exchangeOf(api), endOf(api, kind), key, args);
    }),
  ];
}

function bindingsOf(api: Api): View[] {
  return bindingViews(placeOf(api));
}

function isTo(view: View, kind: 'queue' | 'exchange', name: string | undefined): boolean {
  return view['destination_type'] === kind && view['destination'] === name;
}

function endOf(api: Api, kind: 'queue' | 'exchange'): Queue | ReturnType<typeof exchangeOf> {
  const place = placeOf(api);
  const name = api.values[2] ?? '';
  return found(kind === 'queue' ? place.queue(name) : place.exchange(name));
}

/** The binding that the last part of the path names. */
function findBinding(api: Api, kind: 'queue' | 'exchange'): Binding<Target> {
  const [, , name, wanted = ''] = api.values;
  const binding = Array.from(exchangeOf(api).bindings.values()).find(
    (one) =>
      one.destination.kind === kind &&
      one.destination.name === name &&
      // Paths come decoded, and the key holds names as they are encoded for a path.
      [wanted, encodeURIComponent(wanted)].includes(propertiesKey(one)),
  );
  if (binding === undefined) throw notFound();
  return binding;
}

/** A queue that belongs to a connection is that connection's own, here as for other clients. */
function ownQueue(api: Api): Queue {
  const queue = queueOf(api);
  if (queue.owner === undefined) return queue;
  throw badRequest(`queue '${queue.name}' in vhost '${queue.vhost}' is exclusive to its connection`);
}

function deleteExchange(api: Api): void {
  const exchange = exchangeOf(api);
  if (exchange.name === '' || exchange.name.startsWith('amq.')) {
    throw new HttpError(403, `exchange '${exchange.name}' is the broker's own`);
  }
  placeOf(api).deleteExchange(exchange);
}

function putExchange(api: Api): void {
  const place = placeOf(api);
  const { body } = api;
  const name = newName(api, 'exchange');
  const init = {
    name,
    vhost: place.name,
    type: textOf(body['type']) ?? 'direct',
    durable: body['durable'] !== false,
    autoDelete: body['auto_delete'] === true,
    internal: body['internal'] === true,
    args: fromPlain(objectOf(body['arguments'])),
  };
  const existing = place.exchange(name);
  if (existing !== undefined) {
    checkSameExchange(existing, init);
    return;
  }
  const alternate = init.args['alternate-exchange'];
  if (alternate?.type === 'S' && typeof alternate.value === 'string') {
    checkNeed(api, 'read', 'exchange', name);
    checkNeed(api, 'write', 'exchange', alternate.value);
  }
  place.addExchange(init);
}

function putQueue(api: Api): void {
  const place = placeOf(api);
  const { body } = api;
  const name = newName(api, 'queue');
  const args = fromPlain(objectOf(body['arguments']));
  const durable = body['durable'] !== false;
  const autoDelete = body['auto_delete'] === true;
  const existing = place.queue(name);
  if (existing !== undefined) {
    checkSameQueue(existing, { durable, autoDelete, args });
    return;
  }
  const policy = readPolicy(args, name, place.name);
  if (policy.deadLetterExchange !== undefined) {
    checkNeed(api, 'read', 'queue', name);
    checkNeed(api, 'write', 'exchange', policy.deadLetterExchange);
  }
  place.addQueue({ name, vhost: place.name, durable, autoDelete, owner: undefined, args, policy });
}

function newName({ values: [, name = ''] }: Api, kind: string): string {
  if (name !== '' && !name.startsWith('amq.')) return name;
  throw badRequest(`${kind} name '${name}' contains reserved prefix 'amq.*'`);
}
