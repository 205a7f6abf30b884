// The broker's figures as Prometheus reads them, with RabbitMQ's names where it has them.

import type { Core } from '../../core.ts';
import type { Listener } from '../listener.ts';
import { allQueues } from './views.ts';

type Kind = 'counter' | 'gauge';

export function metricsText(core: Core, listener: Listener): string {
  const queues = allQueues(core);
  const total = (of: (queue: (typeof queues)[number]) => number): number =>
    queues.reduce((sum, queue) => sum + of(queue), 0);
  const { counters } = core;
  const rows: readonly (readonly [string, Kind, string, number])[] = [
    ['rabbitmq_connections', 'gauge', 'Connections currently open', listener.sessions.size],
    ['rabbitmq_channels', 'gauge', 'Channels currently open', counters.channels],
    [
      'rabbitmq_consumers',
      'gauge',
      'Consumers currently connected',
      total(({ consumers }) => consumers.size),
    ],
    ['rabbitmq_queues', 'gauge', 'Queues available', queues.length],
    ['rabbitmq_queue_messages_ready', 'gauge', 'Messages ready to be delivered', total(({ ready }) => ready)],
    [
      'rabbitmq_queue_messages_unacked',
      'gauge',
      'Messages delivered and not settled',
      total(({ unacked }) => unacked),
    ],
    ['rabbitmq_global_messages_received_total', 'counter', 'Messages published', counters.published],
    [
      'rabbitmq_global_messages_unroutable_total',
      'counter',
      'Messages that reached no queue',
      counters.unroutable,
    ],
    [
      'rabbitmq_global_messages_delivered_total',
      'counter',
      'Messages delivered',
      total((queue) => queue.counters.delivered),
    ],
    [
      'rabbitmq_global_messages_acknowledged_total',
      'counter',
      'Messages acknowledged',
      total((queue) => queue.counters.acked),
    ],
    [
      'naru_messages_returned_total',
      'counter',
      'Messages that came back to a queue',
      total((queue) => queue.counters.returned),
    ],
    [
      'naru_messages_dropped_total',
      'counter',
      'Messages dropped or dead-lettered',
      total((queue) => queue.counters.dropped),
    ],
    ['naru_messages_bytes', 'gauge', 'Memory taken by messages', core.messages.bytes],
    ['naru_connections_accepted_total', 'counter', 'Sockets accepted', listener.counters.accepted],
    ['naru_connections_refused_total', 'counter', 'Sockets refused: too many', listener.counters.refused],
    ['naru_connections_broken_total', 'counter', 'Sockets gone before login', listener.counters.broken],
    ['naru_publishers_blocked', 'gauge', 'Whether publishers wait', core.blocked === undefined ? 0 : 1],
    ['process_resident_memory_bytes', 'gauge', 'Resident memory', process.memoryUsage.rss()],
  ];
  return rows
    .map(([name, kind, help, value]) => `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n${name} ${value}\n`)
    .join('');
}
