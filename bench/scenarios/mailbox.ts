// The scenario `mailbox`: 64-byte messages from one producer to one consumer, through Naru's public API and through what one
// would use instead, in one run. And how long a message and its answer take.

import { BODY_BYTES } from '../harness/bodies.ts';
import { MAILBOX_DUELS } from '../rivals/mailbox.ts';
import { atLeast } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

export const mailbox: Scenario = scenarioOf({
  name: 'mailbox',
  summary: 'messages of 64 bytes: process.send, postMessage, ZeroMQ, raw sockets, Naru',
  title: `${BODY_BYTES}-byte messages, one producer, one consumer`,
  parts: [
    {
      id: 'mailbox',
      title: 'Messages per second',
      note: `Everybody does their best. Both raw sockets put a length before each body; the batched one writes 64 KiB of
frames at a time, cuts bodies out of its reads without copying, and promises nothing: no receipts, no redelivery, one producer.
JSON has no bytes, so \`process.send\` carries them once as base64 and once as a text of 64 characters, for those who need no bytes.
ZeroMQ holds 10,000 messages on each side. Naru runs with its defaults and \`codec: 'bytes'\`, through the public API.`,
      unit: 'msg/s',
      anchor: { id: 'process.send', label: 'process.send' },
      duels: MAILBOX_DUELS.filter(({ kind }) => kind === 'throughput'),
    },
    {
      id: 'answer',
      title: 'A message and its answer',
      note: 'One message at a time; the other side sends it back.',
      unit: 'µs',
      duels: MAILBOX_DUELS.filter(({ kind }) => kind === 'latency'),
    },
  ],
  /** A rival is always its fastest variant. */
  goals(figures) {
    const oneByOne = figures.best('naru-shm-', '-for-await');
    const batches = figures.best('naru-shm-', '-batches');
    const processSend = figures.best('process.send-');
    const unix = figures.best('naru-unix-');
    return [
      atLeast('shm:// with for await', 3e6, figures.median(oneByOne), 'msg/s'),
      atLeast('shm:// with batches()', 5e6, figures.median(batches), 'msg/s'),
      atLeast('shm:// with for await against process.send', 10, figures.ratio(oneByOne, processSend), '×'),
      atLeast('shm:// with batches() against process.send', 10, figures.ratio(batches, processSend), '×'),
      atLeast(
        'unix:// against a raw Unix socket, a write per message',
        0.7,
        figures.ratio(unix, figures.best('raw-socket-each')),
        '×',
      ),
      atLeast(
        'unix:// against a raw Unix socket, batched writes',
        0.7,
        figures.ratio(unix, figures.best('raw-socket-batched')),
        '×',
      ),
    ];
  },
});
