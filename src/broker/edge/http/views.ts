// The broker's objects as RabbitMQ's management API shows them: the members that its tools read.

import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Core } from '../../core.ts';
import type { Binding } from '../../exchange/binding.ts';
import type { Exchange, Target } from '../../exchange/exchange.ts';
import { plainTable } from '../../plain-table.ts';
import type { Policy } from '../../policies.ts';
import type { Queue } from '../../queue/queue.ts';
import type { Session } from '../../session.ts';
import type { Subscription } from '../../connection/subscription.ts';
import type { User } from '../../users.ts';
import type { Vhost } from '../../vhost.ts';
import type { Listener } from '../listener.ts';
import { queuesIn } from './visible.ts';

export type View = Readonly<Record<string, unknown>>;

/** @param places  the virtual hosts that are counted */
export function overviewView(core: Core, listener: Listener, places: readonly Vhost[]): View {
  const queues = queuesIn(places);
  return {
    management_version: core.product.version,
    product_name: core.product.name,
    product_version: core.product.version,
    rabbitmq_version: core.product.version,
    cluster_name: 'naru',
    node: NODE,
    exchange_types: ['direct', 'fanout', 'headers', 'topic', 'x-delayed-message'].map((name) => ({ name })),
    object_totals: {
      connections: listener.sessions.size,
      channels: core.counters.channels,
      consumers: sum(queues, ({ consumers }) => consumers.size),
      exchanges: sum(places, ({ exchanges }) => exchanges.size),
      queues: queues.length,
    },
    queue_totals: {
      messages: sum(queues, (queue) => queue.ready + queue.unacked),
      messages_ready: sum(queues, ({ ready }) => ready),
      messages_unacknowledged: sum(queues, ({ unacked }) => unacked),
    },
    message_stats: {
      publish: core.counters.published,
      deliver_get: sum(queues, ({ counters }) => counters.delivered),
      ack: sum(queues, ({ counters }) => counters.acked),
      redeliver: sum(queues, ({ counters }) => counters.returned),
      return_unroutable: core.counters.returned,
    },
    listeners: listener.endpoints.map(({ protocol, address, port }) => ({
      node: NODE,
      protocol,
      ip_address: address,
      port,
    })),
  };
}

export const NODE = 'naru@localhost';

export function nodeView(core: Core, listener: Listener): View {
  const { rss } = process.memoryUsage();
  return {
    name: NODE,
    type: 'disc',
    running: true,
    os_pid: String(process.pid),
    uptime: Math.round(process.uptime() * 1000),
    processors: availableParallelism(),
    mem_used: rss,
    mem_limit: core.limits.memoryBytesMax,
    mem_alarm: core.blocked !== undefined,
    sockets_used: listener.sessions.size,
    sockets_total: listener.budget.connections,
  };
}

export function vhostView({ name, queues }: Vhost): View {
  const all = [...queues.values()];
  return {
    name,
    description: '',
    tags: [],
    default_queue_type: 'classic',
    messages: sum(all, ({ ready, unacked }) => ready + unacked),
    messages_ready: sum(all, ({ ready }) => ready),
    messages_unacknowledged: sum(all, ({ unacked }) => unacked),
  };
}

export function queueView(queue: Queue): View {
  const { name, vhost, durable, autoDelete, owner, args, policy, ready, unacked, readyBytes, counters } =
    queue;
  return {
    name,
    vhost,
    node: NODE,
    type: policy.type,
    state: queue.damage === undefined ? 'running' : 'quarantined',
    durable,
    auto_delete: autoDelete,
    exclusive: owner !== undefined,
    arguments: plainTable(args),
    policy: queue.policyName ?? null,
    consumers: queue.consumers.size,
    messages: ready + unacked,
    messages_ready: ready,
    messages_unacknowledged: unacked,
    message_bytes_ready: readyBytes,
    single_active_consumer_tag: queue.consumers.active?.tag ?? null,
    message_stats: {
      publish: counters.published,
      deliver_get: counters.delivered,
      ack: counters.acked,
      redeliver: counters.returned,
    },
  };
}

export function exchangeView(exchange: Exchange): View {
  const { name, vhost, type, durable, autoDelete, internal, args, policyName } = exchange;
  const policy = policyName ?? null;
  return {
    name,
    vhost,
    type,
    durable,
    auto_delete: autoDelete,
    internal,
    arguments: plainTable(args),
    policy,
  };
}

/** What a binding is called among those with the same ends, as RabbitMQ does: its key, and a hash of its arguments. */
export function propertiesKey({ key, args }: Pick<Binding<Target>, 'key' | 'args'>): string {
  const plain = plainTable(args);
  if (Object.keys(plain).length === 0) return key === '' ? '~' : encodeURIComponent(key);
  const hash = createHash('md5').update(JSON.stringify(plain)).digest('base64url');
  return `${encodeURIComponent(key)}~${hash}`;
}

export function bindingView(exchange: Exchange, { destination, key, args }: Binding<Target>): View {
  return {
    source: exchange.name,
    vhost: exchange.vhost,
    destination: destination.name,
    destination_type: destination.kind,
    routing_key: key,
    arguments: plainTable(args),
    properties_key: propertiesKey({ key, args }),
  };
}

/** Every binding of a virtual host, those of the default exchange too, as RabbitMQ lists them. */
export function bindingViews({ exchanges, queues }: Vhost): View[] {
  const implicit = Array.from(queues.values(), ({ name, vhost }) => ({
    source: '',
    vhost,
    destination: name,
    destination_type: 'queue',
    routing_key: name,
    arguments: {},
    properties_key: encodeURIComponent(name),
  }));
  const explicit = Array.from(exchanges.values()).flatMap((exchange) =>
    Array.from(exchange.bindings.values(), (binding) => bindingView(exchange, binding)),
  );
  return [...implicit, ...explicit];
}

export function connectionView({ connection, channels, state }: Session): View {
  return {
    name: connection.name,
    node: NODE,
    user: connection.user?.name ?? '',
    vhost: connection.vhost?.name ?? '',
    state: state === 'open' ? 'running' : state,
    channels: channels.size,
    channel_max: connection.channelsMax,
    frame_max: connection.frameBytesMax,
    timeout: connection.heartbeatSeconds,
    ssl: connection.peer.isTls,
    protocol: 'AMQP 0-9-1',
    connected_at: connection.connectedAtMs,
    recv_oct: connection.receivedBytes,
    send_oct: connection.output.sentBytes,
    client_properties: connection.clientProperties,
  };
}

export function channelViews({ connection, channels }: Session): View[] {
  return Array.from(channels.values(), (channel) => ({
    name: `${connection.name} (${channel.number})`,
    number: channel.number,
    node: NODE,
    user: connection.user?.name ?? '',
    vhost: connection.vhost?.name ?? '',
    connection_details: { name: connection.name },
    confirm: channel.confirms !== undefined,
    transactional: channel.transaction !== undefined,
    consumer_count: channel.subscriptions.size,
    messages_unacknowledged: channel.unacked.count,
    messages_unconfirmed: channel.confirms?.pending ?? 0,
    prefetch_count: channel.prefetch,
    global_prefetch_count: channel.globalPrefetch,
    state: 'running',
  }));
}

export function consumerViews({ connection, channels }: Session): View[] {
  return Array.from(channels.values()).flatMap((channel) =>
    Array.from(channel.subscriptions.values(), (subscription) =>
      consumerView(subscription, connection.name, channel.number),
    ),
  );
}

function consumerView(
  { tag, queue, noAck, exclusive, prefetch, priority, args, unsettled }: Subscription,
  connection: string,
  number: number,
): View {
  return {
    consumer_tag: tag,
    queue: { name: queue.name, vhost: queue.vhost },
    channel_details: { connection_name: connection, name: `${connection} (${number})`, number },
    ack_required: !noAck,
    exclusive,
    prefetch_count: prefetch,
    priority,
    messages_unacknowledged: unsettled,
    arguments: plainTable(args),
  };
}

export function policyView(vhost: string, { name, pattern, applyTo, priority, definition }: Policy): View {
  return { vhost, name, pattern, 'apply-to': applyTo, priority, definition };
}

export function userView({ name, passwordHash, tags }: User): View {
  return { name, password_hash: passwordHash, hashing_algorithm: 'rabbit_password_hashing_sha256', tags };
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
