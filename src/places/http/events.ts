// The route that streams: server-sent events, one for each message. No more is taken from the mailbox than the connection takes.

import { isNaruError } from '../../errors/index.ts';
import type { ServerResponse } from 'node:http';
import type { Message } from '../../mailbox/message.ts';
import type { Exchange, Parameter } from './exchange.ts';
import type { Guest } from './guests.ts';
import { toJsonMessage } from './json-message.ts';
import type { Keeper } from './leases.ts';
import { HTTP } from './limits.ts';
import { GROUP, LEASE } from './receiver.ts';
import type { Door, Route } from './route.ts';

const FROM: Parameter = {
  name: 'from',
  in: 'query',
  schema: { type: 'string', enum: ['now', 'start'], default: 'start' },
  text: 'of a topic: begin with new messages, or with those it retains',
};
const ACK: Parameter = {
  name: 'ack',
  in: 'query',
  schema: { type: 'string', enum: ['auto', 'manual'], default: 'auto' },
  text: 'auto: settled once the connection took it; manual: settle it with POST …/ack',
};

export const STREAMING: readonly Route[] = [
  {
    method: 'GET',
    path: '/events',
    operation: 'events',
    summary: 'Stream messages as server-sent events',
    text: 'An event `message` for each, with the message as JSON in its data; `end` when the mailbox has ended. Of a queue each message goes to one consumer, of a topic to each. A slow reader slows only itself.',
    parameters: [GROUP, FROM, ACK, LEASE],
    replies: { 200: { text: 'the stream', content: { 'text/event-stream': { type: 'string' } } } },
    problems: [410],
    example: 'curl -N $URL/events',
    handle: stream,
  },
];

async function stream(exchange: Exchange, door: Door): Promise<void> {
  const options = {
    group: exchange.text(GROUP),
    from: exchange.text(FROM) as 'now' | 'start',
  };
  const leaseMs = exchange.number(LEASE) ?? HTTP.leaseMs;
  const isAuto = exchange.text(ACK) === 'auto';
  await door.polling(async () => {
    const guest = await door.guests.open(options);
    const keeper: Keeper = { settled: () => undefined };
    try {
      await guest.connect('consumer');
      await pump(exchange, guest, async (message) => {
        if (isAuto)
          return { id: undefined, done: (isWritten) => (isWritten ? message.ack() : message.nack()) };
        door.leases.checkRoom();
        return { id: door.leases.hold(message, keeper, leaseMs), done: () => Promise.resolve() };
      });
    } finally {
      // What is held goes back with the seat.
      door.leases.forget(keeper);
      await guest.close({ flushMs: 0 });
    }
  });
}

type HandOut = (message: Message<Uint8Array>) => Promise<{
  readonly id: string | undefined;
  readonly done: (isWritten: boolean) => Promise<void>;
}>;

async function pump({ response, gone }: Exchange, guest: Guest, handOut: HandOut): Promise<void> {
  response.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    // Proxies that gather would hold events back.
    'x-accel-buffering': 'no',
  });
  response.write(': naru\n\n');
  const writer = new EventWriter(response);
  const beat = setInterval(() => response.write(':\n\n'), HTTP.eventBeatMs).unref();
  try {
    for (;;) {
      const message = await guest.receive({ signal: gone });
      const { id, done } = await handOut(message);
      const data = JSON.stringify(toJsonMessage(message, id));
      beat.refresh();
      await done(await writer.write(`event: message\nid: ${oneLine(message.id)}\ndata: ${data}\n\n`));
    }
  } catch (error) {
    if (gone.aborted) return;
    // The answer has begun: how it ended is its last event.
    const code = isNaruError(error) ? error.code : 'NARU_REMOTE';
    if (code === 'NARU_CLOSED') await writer.write('event: end\ndata: {}\n\n');
    else await writer.write(`event: error\ndata: ${JSON.stringify({ code })}\n\n`);
    response.end();
  } finally {
    clearInterval(beat);
  }
}

/** One write at a time, and whether the kernel has it. */
class EventWriter {
  readonly #response: ServerResponse;
  #pending: ((isWritten: boolean) => void) | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    // The callback of a write may not come then, and comes without an error when it does.
    response.once('close', () => this.#settle(false));
  }

  /** @returns false when the connection is gone */
  write(text: string): Promise<boolean> {
    const response = this.#response;
    const { socket } = response;
    if (response.destroyed || socket === null) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#pending = resolve;
      response.write(text, () => this.#settle(!socket.destroyed));
    });
  }

  #settle(isWritten: boolean): void {
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.(isWritten);
  }
}

function oneLine(id: string): string {
  return id.replace(/[\r\n\0]/g, ' ');
}
