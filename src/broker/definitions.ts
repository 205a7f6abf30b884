// RabbitMQ's definitions: everything but messages and connections as one JSON document, read and written.

import { checkDocument, wrong, type Definitions } from './definition-document.ts';
import { fromPlain, plainTable } from './plain-table.ts';
import type { ApplyTo } from './policies.ts';
import type { Core } from './core.ts';
import type { Exchange } from './exchange/exchange.ts';
import { readPolicy } from './queue/arguments.ts';
import type { Queue } from './queue/queue.ts';
import { hashPassword } from './users.ts';
import type { Vhost } from './vhost.ts';

const SHA256 = 'rabbit_password_hashing_sha256';

/** @throws NARU_INVALID_ARGUMENT  something in it is wrong; what came before it is there */
export function importDefinitions(core: Core, document: Definitions): void {
  const definitions = checkDocument(document);
  for (const { name } of definitions.vhosts ?? []) core.addVhost(name);
  for (const user of definitions.users ?? []) {
    const { name, password, password_hash: given, hashing_algorithm: algorithm } = user;
    if (given !== undefined && algorithm !== undefined && algorithm !== SHA256) {
      throw wrong(`user '${name}' has a password hash of kind ${algorithm}; only ${SHA256} can be read`);
    }
    const passwordHash = given ?? (password === undefined ? '' : hashPassword(password, core.random(4)));
    const tags = typeof user.tags === 'string' ? user.tags.split(',') : (user.tags ?? []);
    core.users.put({ name, passwordHash, tags: tags.map((tag) => tag.trim()).filter((tag) => tag !== '') });
  }
  for (const { user, vhost, configure, write, read } of definitions.permissions ?? []) {
    core.users.allow(user, vhostOf(core, vhost).name, { configure, write, read });
  }
  for (const { vhost, name, pattern, 'apply-to': applyTo, priority, definition } of definitions.policies ??
    []) {
    vhostOf(core, vhost).putPolicy({
      name,
      pattern,
      applyTo: (applyTo ?? 'all') as ApplyTo,
      priority: priority ?? 0,
      definition,
    });
  }
  for (const exchange of definitions.exchanges ?? []) addExchange(vhostOf(core, exchange.vhost), exchange);
  for (const queue of definitions.queues ?? []) addQueue(vhostOf(core, queue.vhost), queue);
  for (const binding of definitions.bindings ?? []) addBinding(vhostOf(core, binding.vhost), binding);
}

type ExchangeDefinition = NonNullable<Definitions['exchanges']>[number];
type QueueDefinition = NonNullable<Definitions['queues']>[number];
type BindingDefinition = NonNullable<Definitions['bindings']>[number];

function addExchange(place: Vhost, definition: ExchangeDefinition): void {
  const { name, type } = definition;
  if (place.exchange(name) !== undefined) return;
  place.addExchange({
    name,
    vhost: place.name,
    type,
    durable: definition.durable ?? true,
    autoDelete: definition.auto_delete ?? false,
    internal: definition.internal ?? false,
    args: fromPlain(definition.arguments),
  });
}

function addQueue(place: Vhost, definition: QueueDefinition): void {
  const { name } = definition;
  if (place.queue(name) !== undefined) return;
  const args = fromPlain(definition.arguments);
  place.addQueue({
    name,
    vhost: place.name,
    durable: definition.durable ?? true,
    autoDelete: definition.auto_delete ?? false,
    owner: undefined,
    args,
    policy: readPolicy(args, name, place.name),
  });
}

function addBinding(place: Vhost, definition: BindingDefinition): void {
  const source = place.exchange(definition.source);
  const { destination, destination_type: kind } = definition;
  const end: Queue | Exchange | undefined =
    kind === 'queue' ? place.queue(destination) : place.exchange(destination);
  if (source === undefined || end === undefined) {
    throw wrong(
      `the binding from '${definition.source}' to ${kind} '${destination}' names something that is not there`,
    );
  }
  place.bind(source, end, definition.routing_key ?? '', fromPlain(definition.arguments));
}

/** Users, virtual hosts and everything durable. Exclusive queues are their connections' own and left out. */
export function exportDefinitions(core: Core): Required<Definitions> {
  const places = [...core.vhosts.values()];
  return {
    rabbit_version: core.product.version,
    users: Array.from(core.users.all, ({ name, passwordHash, tags }) => ({
      name,
      password_hash: passwordHash,
      hashing_algorithm: SHA256,
      tags,
    })),
    vhosts: places.map(({ name }) => ({ name })),
    permissions: [...core.users.permissions()],
    policies: places.flatMap(({ name: vhost, policies }) =>
      policies.all.map(({ name, pattern, applyTo, priority, definition }) => {
        return { vhost, name, pattern, 'apply-to': applyTo, priority, definition };
      }),
    ),
    exchanges: places.flatMap((place) =>
      Array.from(place.exchanges.values()).filter(isOwn).map(exchangeDefinition),
    ),
    queues: places.flatMap((place) =>
      Array.from(place.queues.values())
        .filter(({ owner }) => owner === undefined)
        .map(queueDefinition),
    ),
    bindings: places.flatMap(bindingDefinitions),
  };
}

function isOwn({ name }: Exchange): boolean {
  return name !== '' && !name.startsWith('amq.');
}

function exchangeDefinition({
  name,
  vhost,
  type,
  durable,
  autoDelete,
  internal,
  args,
}: Exchange): ExchangeDefinition {
  return { name, vhost, type, durable, auto_delete: autoDelete, internal, arguments: plainTable(args) };
}

function queueDefinition({ name, vhost, durable, autoDelete, args }: Queue): QueueDefinition {
  return { name, vhost, durable, auto_delete: autoDelete, arguments: plainTable(args) };
}

function bindingDefinitions(place: Vhost): BindingDefinition[] {
  return Array.from(place.exchanges.values()).flatMap((exchange) =>
    Array.from(exchange.bindings.values())
      .filter(({ destination }) => destination.kind === 'exchange' || destination.queue.owner === undefined)
      .map(({ destination, key, args }) => ({
        source: exchange.name,
        vhost: place.name,
        destination: destination.name,
        destination_type: destination.kind,
        routing_key: key,
        arguments: plainTable(args),
      })),
  );
}

function vhostOf(core: Core, name: string): Vhost {
  const place = core.vhosts.get(name);
  if (place === undefined) throw wrong(`there is no vhost '${name}'`);
  return place;
}
