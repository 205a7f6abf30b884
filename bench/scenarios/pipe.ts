// The scenario `pipe`: named pipes as mailboxes, against Node's own pipe and process.send().

import { BODY_BYTES } from '../harness/bodies.ts';
import { naruPipes } from '../rivals/naru.ts';
import { nodePipeFlows, nodePipePing } from '../rivals/node-pipe.ts';
import { processSend } from '../rivals/process-send.ts';
import { noted } from './goals.ts';
import { scenarioOf } from './plan.ts';
import type { Scenario } from './scenario.ts';

const PIPE_PING = 'node-pipe-pipe-wake';

export const pipe: Scenario = scenarioOf({
  name: 'pipe',
  summary: "named pipes: Naru's fifo://, Node's own pipe, process.send",
  title: 'Named pipes',
  parts: [
    {
      id: 'flow',
      title: 'Messages a second',
      note: `Messages of ${BODY_BYTES} bytes from one process to another. Node's pipe is a net.Socket at each end of a FIFO with a length before each
body; the batched one writes 64 KiB at a time. Naru writes up to 4,096 bytes at a time, which is what the kernel keeps together when
others write too, and takes from the pipe exactly what it hands out. \`process.send\` carries a text of 64 characters.`,
      unit: 'msg/s',
      anchor: { id: 'process.send', label: 'process.send' },
      duels: [
        ...processSend.filter(({ id }) => id === 'process.send-json-text'),
        ...nodePipeFlows,
        ...naruPipes.filter(({ kind }) => kind === 'throughput'),
      ],
    },
    {
      id: 'answer',
      title: 'A message and its answer',
      note: 'One message at a time over two pipes; the other side sends it back. The raw pipe has no frames: its answers are read by their length.',
      unit: 'µs',
      duels: [
        ...processSend.filter(({ id }) => id === 'process.send-json-text-ping'),
        { ...nodePipePing, id: PIPE_PING },
        ...naruPipes.filter(({ kind }) => kind === 'latency'),
      ],
    },
  ],
  goals: (figures) => [
    noted(
      'fifo://, raw, against process.send',
      figures.ratio('naru-fifo-raw-sendMany-batches', 'process.send-json-text'),
      '×',
    ),
    noted(
      "fifo://, raw, against Node's own pipe, batched writes",
      figures.ratio('naru-fifo-raw-sendMany-batches', 'node-pipe-batched'),
      '×',
    ),
    noted(
      "fifo://, raw, waking an event loop, against Node's own pipe",
      figures.ratio('naru-fifo-raw-ping', PIPE_PING),
      '×',
    ),
  ],
});
