// The broker's figures as Prometheus reads them, with RabbitMQ's names where it has them: at /metrics for the broker as a whole, at
// /metrics/per-object for each queue and connection.

import type { Core } from '../../core.ts';
import type { Queue, QueueCounters } from '../../queue/queue.ts';
import type { Session } from '../../session.ts';
import type { Listener } from '../listener.ts';
import { NODE } from './views.ts';
import { queuesIn } from './visible.ts';

/** One value, with the labels that tell it from others of its name. */
type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

interface Metric {
  readonly name: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** One value of the broker. Names that end in _total only grow. */
function single(name: string, help: string, value: number): Metric {
  return { name, help, samples: [[{}, value]] };
}

/** The figures of the broker as a whole. */
export function metricsText(core: Core, listener: Listener): string {
  const queues = queuesIn([...core.vhosts.values()]);
  return textOf([
    ...brokerMetrics(core, queues),
    ...doorMetrics(core, listener),
    ...messageMetrics(core, queues),
    ...storageMetrics(core),
    ...processMetrics(core, listener),
  ]);
}

/** The figures of each queue and each connection: many lines where there are many of them. */
export function objectMetricsText(core: Core, listener: Listener): string {
  const queues = queuesIn([...core.vhosts.values()]);
  const ofQueue = (of: (queue: Queue) => number): Sample[] =>
    queues.map((queue) => [{ vhost: queue.vhost, queue: queue.name }, of(queue)]);
  const ofConnection = (of: (session: Session) => number): Sample[] =>
    Array.from(listener.sessions, (session) => [labelsOf(session), of(session)]);
  const metric = (name: string, help: string, samples: readonly Sample[]): Metric => ({
    name,
    help,
    samples,
  });
  return textOf([
    ...QUEUE_GAUGES.map(([name, help, of]) => metric(name, help, ofQueue(of))),
    ...QUEUE_COUNTERS.map(([name, help, of]) =>
      metric(
        name,
        help,
        ofQueue(({ counters }) => of(counters)),
      ),
    ),
    metric(
      'rabbitmq_connection_channels',
      'Channels on a connection',
      ofConnection(({ channels }) => channels.size),
    ),
    metric(
      'rabbitmq_connection_incoming_bytes_total',
      'Bytes received on a connection',
      ofConnection(({ connection }) => connection.receivedBytes),
    ),
    metric(
      'rabbitmq_connection_outgoing_bytes_total',
      'Bytes sent on a connection',
      ofConnection(({ connection }) => connection.output.sentBytes),
    ),
    metric(
      'rabbitmq_connection_pending_bytes',
      'Bytes that a connection has not sent yet',
      ofConnection(({ connection }) => connection.output.pendingBytes),
    ),
  ]);
}

const QUEUE_GAUGES: readonly (readonly [string, string, (queue: Queue) => number])[] = [
  ['rabbitmq_queue_messages_ready', 'Messages ready to be delivered', ({ ready }) => ready],
  ['rabbitmq_queue_messages_unacked', 'Messages delivered and not settled', ({ unacked }) => unacked],
  ['rabbitmq_queue_messages', 'Messages ready and not settled', ({ ready, unacked }) => ready + unacked],
  [
    'rabbitmq_queue_messages_ready_bytes',
    'Bytes of the bodies of ready messages',
    ({ readyBytes }) => readyBytes,
  ],
  ['rabbitmq_queue_consumers', 'Consumers on a queue', ({ consumers }) => consumers.size],
];

const QUEUE_COUNTERS: readonly (readonly [string, string, (counters: QueueCounters) => number])[] = [
  ['rabbitmq_queue_messages_published_total', 'Messages put into a queue', ({ published }) => published],
  ['naru_queue_messages_delivered_total', 'Messages that a queue delivered', ({ delivered }) => delivered],
  ['naru_queue_messages_acked_total', 'Messages of a queue that were acknowledged', ({ acked }) => acked],
  ['naru_queue_messages_returned_total', 'Messages that came back to a queue', ({ returned }) => returned],
  [
    'naru_queue_messages_dropped_total',
    'Messages that a queue dropped or dead-lettered',
    ({ dropped }) => dropped,
  ],
];

function brokerMetrics(core: Core, queues: readonly Queue[]): Metric[] {
  const { name, version } = core.product;
  const places = [...core.vhosts.values()];
  return [
    {
      name: 'rabbitmq_build_info',
      help: 'What clients are told the broker is',
      samples: [[{ product_name: name, product_version: version, rabbitmq_version: version }, 1]],
    },
    { name: 'rabbitmq_identity_info', help: 'Name of the node', samples: [[{ rabbitmq_node: NODE }, 1]] },
    single('rabbitmq_vhosts', 'Virtual hosts', places.length),
    single('rabbitmq_queues', 'Queues available', queues.length),
    single(
      'rabbitmq_exchanges',
      'Exchanges',
      places.reduce((sum, { exchanges }) => sum + exchanges.size, 0),
    ),
    single(
      'rabbitmq_bindings',
      'Bindings',
      places.reduce((sum, { bindings }) => sum + bindings, 0),
    ),
    single('rabbitmq_channels', 'Channels currently open', core.counters.channels),
    single(
      'rabbitmq_consumers',
      'Consumers currently connected',
      queues.reduce((sum, { consumers }) => sum + consumers.size, 0),
    ),
  ];
}

function doorMetrics({ counters }: Core, listener: Listener): Metric[] {
  const { accepted, refused, broken } = listener.counters;
  return [
    single('rabbitmq_connections', 'Connections currently open', listener.sessions.size),
    single('rabbitmq_connections_opened_total', 'Connections opened', accepted),
    single('rabbitmq_connections_closed_total', 'Connections closed', accepted - counters.connections),
    single('naru_connections_refused_total', 'Connections refused: too many', refused),
    single('naru_connections_broken_total', 'Connections gone before they were logged in', broken),
  ];
}

function messageMetrics({ counters, messages, blocked }: Core, queues: readonly Queue[]): Metric[] {
  const total = (of: (queue: Queue) => number): number => queues.reduce((sum, queue) => sum + of(queue), 0);
  const rabbit = 'rabbitmq_global_messages';
  return [
    single(
      'rabbitmq_queue_messages_ready',
      'Messages ready to be delivered',
      total(({ ready }) => ready),
    ),
    single(
      'rabbitmq_queue_messages_unacked',
      'Messages delivered and not settled',
      total(({ unacked }) => unacked),
    ),
    single(
      'rabbitmq_queue_messages',
      'Messages ready and not settled',
      total(({ ready, unacked }) => ready + unacked),
    ),
    single(
      'rabbitmq_queue_messages_ready_bytes',
      'Bytes of the bodies of ready messages',
      total(({ readyBytes }) => readyBytes),
    ),
    single(`${rabbit}_received_total`, 'Messages published', counters.published),
    single(
      `${rabbit}_unroutable_dropped_total`,
      'Messages that reached no queue and were dropped',
      counters.unroutable - counters.returned,
    ),
    single(
      `${rabbit}_unroutable_returned_total`,
      'Messages that reached no queue and were returned',
      counters.returned,
    ),
    // Of queues that are there: a deleted queue takes its counts along.
    single(
      `${rabbit}_delivered_total`,
      'Messages delivered',
      total(({ counters: { delivered } }) => delivered),
    ),
    single(
      `${rabbit}_acknowledged_total`,
      'Messages acknowledged',
      total(({ counters: { acked } }) => acked),
    ),
    single(
      `${rabbit}_redelivered_total`,
      'Messages that came back to a queue',
      total(({ counters: { returned } }) => returned),
    ),
    single(
      'naru_messages_dropped_total',
      'Messages dropped or dead-lettered by their queues',
      total(({ counters: { dropped } }) => dropped),
    ),
    single('naru_messages', 'Messages held, each counted once', messages.count),
    single('naru_messages_bytes', 'Memory taken by messages', messages.bytes),
    single('rabbitmq_alarms_memory_used_watermark', 'Whether publishers wait', blocked === undefined ? 0 : 1),
  ];
}

function storageMetrics({ store, quarantined }: Core): Metric[] {
  const damaged = single('naru_queues_quarantined', 'Queues with damaged messages', quarantined.length);
  if (store === undefined) return [damaged];
  const { records, segments, usedBytes, liveBytes, pendingBytes, rewrites } = store.stats;
  return [
    damaged,
    single('naru_storage_records', 'Records that are stored', records),
    single('naru_storage_segments', 'Files they are in', segments),
    single('naru_storage_used_bytes', 'Bytes of these files that are written', usedBytes),
    single('naru_storage_live_bytes', 'Of these, what is still needed', liveBytes),
    single('naru_storage_pending_bytes', 'Bytes that wait for the disk', pendingBytes),
    single('naru_storage_rewrites_total', 'Files written anew to free room', rewrites),
    single('naru_storage_full', 'Whether the disk is full', store.isFull ? 1 : 0),
  ];
}

function processMetrics({ limits }: Core, listener: Listener): Metric[] {
  const { rss } = process.memoryUsage();
  return [
    single('rabbitmq_process_resident_memory_bytes', 'Memory used in bytes', rss),
    single('process_resident_memory_bytes', 'Memory used in bytes', rss),
    single(
      'rabbitmq_resident_memory_limit_bytes',
      'Bytes of messages above which publishers wait',
      limits.memoryBytesMax,
    ),
    single('rabbitmq_process_max_tcp_sockets', 'Connections that there can be', listener.budget.connections),
    single('rabbitmq_erlang_uptime_seconds', 'Uptime of the process', Math.round(process.uptime())),
  ];
}

function labelsOf({ connection }: Session): Readonly<Record<string, string>> {
  return {
    connection: connection.name,
    user: connection.user?.name ?? '',
    vhost: connection.vhost?.name ?? '',
  };
}

function textOf(metrics: readonly Metric[]): string {
  return metrics
    .map(({ name, help, samples }) => {
      const kind = name.endsWith('_total') ? 'counter' : 'gauge';
      const lines = samples.map(([labels, value]) => `${name}${labelText(labels)} ${value}\n`);
      return `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${lines.join('')}`;
    })
    .join('');
}

/** Names come from clients: what would end a label or a line is escaped. */
function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) =>
      `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
  );
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}
