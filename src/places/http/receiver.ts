// Routes that receive: taking with a long poll, settling by id, answering a request.

import { isNaruError, NaruError } from '../../errors/index.ts';
import type { Message } from '../../mailbox/message.ts';
import { type Exchange, invalid, type Parameter } from './exchange.ts';
import { toJsonMessage } from './json-message.ts';
import { HTTP } from './limits.ts';
import type { PollGroup } from './poll-groups.ts';
import { sendProblem } from './problem.ts';
import { ANY_BODY, type Door, ref, type Route } from './route.ts';

export const GROUP: Parameter = {
  name: 'group',
  in: 'query',
  schema: { type: 'string', maxLength: 128 },
  text: 'of a topic: the group that shares its copy of each message',
};
export const LEASE: Parameter = {
  name: 'leaseMs',
  in: 'query',
  schema: { type: 'integer', minimum: HTTP.leaseMsMin, maximum: HTTP.leaseMsMax, default: HTTP.leaseMs },
  text: 'what is not settled by then is delivered again, in milliseconds',
};
const MAX: Parameter = {
  name: 'max',
  in: 'query',
  schema: { type: 'integer', minimum: 1, maximum: HTTP.batchMax, default: 1 },
  text: 'at most so many messages; of those that are there',
};
const WAIT: Parameter = {
  name: 'waitMs',
  in: 'query',
  schema: { type: 'integer', minimum: 0, maximum: HTTP.waitMsMax, default: HTTP.waitMs },
  text: 'how long to wait for the first, in milliseconds',
};
const ACK: Parameter = {
  name: 'ack',
  in: 'query',
  schema: { type: 'string', enum: ['manual', 'auto'], default: 'manual' },
  text: 'auto: settled once the answer was written, so lost if it does not arrive',
};

const IDS = { 'application/json': ref('Ids') };
const SETTLED = { text: 'all were settled', content: { 'application/json': ref('Settled') } };

export const RECEIVING: readonly Route[] = [
  {
    method: 'POST',
    path: '/receive',
    operation: 'receive',
    summary: 'Take messages, waiting for the first',
    text: 'A message is taken for as long as its lease: ack it by then. If whoever asked hangs up before the answer was written, it goes back at once.',
    parameters: [MAX, WAIT, LEASE, ACK, GROUP],
    replies: {
      200: { text: 'the messages', content: { 'application/json': ref('Messages') } },
      204: { text: 'none came in time' },
    },
    problems: [410],
    example: 'curl -X POST "$URL/receive?waitMs=30000"',
    handle: receive,
  },
  {
    method: 'POST',
    path: '/ack',
    operation: 'ack',
    summary: 'Settle messages: done with them',
    text: 'By the ids in `ack` of what was received. Those whose lease is over, or that were settled before, are named in the answer (409); the others are settled all the same.',
    parameters: [],
    body: { text: 'which', required: true, content: IDS },
    replies: { 200: SETTLED },
    problems: [409],
    example: `curl -d '{"ids":["…"]}' $URL/ack`,
    handle: (exchange, door) => settle(exchange, door, (message) => message.ack()),
  },
  {
    method: 'POST',
    path: '/nack',
    operation: 'nack',
    summary: 'Give messages back, or refuse them for good',
    text: 'They are delivered again, marked, after `delayMs`; with `reject` they are dropped and counted.',
    parameters: [],
    body: {
      text: 'which, and how',
      required: true,
      content: {
        'application/json': {
          allOf: [
            ref('Ids'),
            {
              type: 'object',
              properties: {
                delayMs: { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1, default: 0 },
                reject: { type: 'boolean', default: false },
              },
            },
          ],
        },
      },
    },
    replies: { 200: SETTLED },
    problems: [409],
    example: `curl -d '{"ids":["…"],"delayMs":1000}' $URL/nack`,
    handle: nack,
  },
  {
    method: 'POST',
    path: '/extend',
    operation: 'extend',
    summary: 'Begin the leases of messages anew',
    text: 'For work that takes longer.',
    parameters: [LEASE],
    body: { text: 'which', required: true, content: IDS },
    replies: { 200: SETTLED },
    problems: [409],
    example: `curl -d '{"ids":["…"]}' "$URL/extend?leaseMs=60000"`,
    handle: extend,
  },
  {
    method: 'POST',
    path: '/reply/{id}',
    operation: 'reply',
    summary: 'Answer a request, and settle it',
    text: 'Of a message with `wantsReply`; the id is its `ack`. The body goes to whoever asked.',
    parameters: [],
    body: { text: 'the reply', required: false, content: ANY_BODY },
    replies: { 200: { text: 'it was sent', content: { 'application/json': ref('Settled') } } },
    problems: [409, 413],
    example: `curl -d '{"answer":42}' $URL/reply/…`,
    handle: reply,
  },
];

async function receive(exchange: Exchange, door: Door): Promise<void> {
  const max = exchange.number(MAX) ?? 1;
  const timeoutMs = exchange.number(WAIT) ?? HTTP.waitMs;
  const leaseMs = exchange.number(LEASE) ?? HTTP.leaseMs;
  const isAuto = exchange.text(ACK) === 'auto';
  const name = exchange.text(GROUP) ?? '';
  if (name !== '' && !/^[A-Za-z0-9._-]{1,128}$/.test(name)) {
    throw invalid('group must be 1 to 128 of the characters A-Z a-z 0-9 . _ -');
  }
  if (name === '' && door.host.settings.deliver === 'all') {
    throw invalid(
      'this is a topic: name the group that takes its messages, ?group=NAME (or use GET …/events)',
    );
  }
  door.leases.checkRoom();
  await door.polling(async () => {
    const group = await door.groups.enter(name);
    try {
      const messages = await take(group, max, { timeoutMs, signal: exchange.gone });
      if (messages.length === 0) await exchange.send(204, undefined);
      else await handOut(exchange, door, { group, messages, isAuto, leaseMs });
    } finally {
      group.release();
    }
  });
}

/** Waits for one message, then takes what is there, as far as an answer may go. */
async function take(
  { guest }: PollGroup,
  max: number,
  limits: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<Message<Uint8Array>[]> {
  const messages: Message<Uint8Array>[] = [];
  let bytes = 0;
  let wait = limits;
  try {
    while (messages.length < max && bytes < HTTP.answerBytesMax) {
      // As many as fit if they are like the last.
      const size = messages.at(-1)?.body.length ?? HTTP.answerBytesMax;
      const fit = Math.max(1, Math.floor((HTTP.answerBytesMax - bytes) / Math.max(1, size)));
      const more = await guest.receiveMany(Math.min(max - messages.length, fit), wait);
      messages.push(...more);
      for (const { body } of more) bytes += body.length;
      wait = { timeoutMs: 0, signal: limits.signal };
    }
  } catch (error) {
    // What was taken before goes out; where nothing was, an end is an end.
    if (messages.length === 0 && !isNaruError(error, 'NARU_TIMEOUT')) throw error;
  }
  return messages;
}

async function handOut(
  exchange: Exchange,
  door: Door,
  at: {
    readonly group: PollGroup;
    readonly messages: readonly Message<Uint8Array>[];
    readonly isAuto: boolean;
    readonly leaseMs: number;
  },
): Promise<void> {
  const { group, messages, isAuto, leaseMs } = at;
  const { leases } = door;
  const ids = isAuto
    ? []
    : messages.map((message) => {
        group.use();
        return leases.hold(message, group, leaseMs);
      });
  const shown = messages.map((message, index) => toJsonMessage(message, ids[index]));
  const isWritten = await exchange.answer(200, { messages: shown });
  if (isAuto) {
    await Promise.all(messages.map((message) => (isWritten ? message.ack() : message.nack())));
  } else if (!isWritten) {
    // Nobody heard the ids.
    await Promise.all(ids.map(async (id) => leases.take(id)?.nack()));
  }
}

async function nack(exchange: Exchange, door: Door): Promise<void> {
  await settle(exchange, door, (message, { reject, delayMs = 0 }) => {
    if (reject === true) return message.reject();
    return message.nack({ delayMs: delayMs as number });
  });
}

async function settle(
  exchange: Exchange,
  door: Door,
  how: (message: Message<Uint8Array>, asked: Record<string, unknown>) => Promise<void>,
): Promise<void> {
  const asked = await exchange.json();
  const { delayMs } = asked;
  if (
    delayMs !== undefined &&
    !(Number.isInteger(delayMs) && (delayMs as number) >= 0 && (delayMs as number) < 2 ** 31)
  ) {
    throw invalid('delayMs must be a whole number from 0 to 2147483647');
  }
  const late: string[] = [];
  const ids = idsOf(asked);
  await Promise.all(
    ids.map(async (id) => {
      const message = door.leases.take(id);
      if (message === undefined) late.push(id);
      else await how(message, asked).catch(() => late.push(id));
    }),
  );
  await answerSettled(exchange, ids.length, late);
}

async function extend(exchange: Exchange, door: Door): Promise<void> {
  const leaseMs = exchange.number(LEASE) ?? HTTP.leaseMs;
  const ids = idsOf(await exchange.json());
  const late = ids.filter((id) => !door.leases.extend(id, leaseMs));
  await answerSettled(exchange, ids.length, late);
}

async function reply(exchange: Exchange, door: Door): Promise<void> {
  const body = await exchange.body(door.host.settings.maxMessageBytes);
  const request = door.leases.look(exchange.id);
  if (request === undefined) throw lateError(1);
  if (request.replyTo === undefined) throw invalid('this message is no request: ack it');
  const message = door.leases.take(exchange.id);
  try {
    await message?.reply(body);
  } finally {
    // Also when whoever asked is gone: nobody waits for it to be worked out again.
    await message?.ack();
  }
  await exchange.answer(200, { settled: 1 });
}

async function answerSettled(exchange: Exchange, asked: number, late: readonly string[]): Promise<void> {
  if (late.length === 0) await exchange.answer(200, { settled: asked });
  else sendProblem(exchange.response, lateError(late.length), undefined, { late });
}

function lateError(count: number): NaruError {
  return new NaruError(
    'NARU_SETTLED',
    `${count} of these messages were settled before, or their lease is over: they are, or will be, delivered again`,
    { place: 'http' },
  );
}

function idsOf({ ids }: Record<string, unknown>): string[] {
  const isFine =
    Array.isArray(ids) &&
    ids.length > 0 &&
    ids.length <= HTTP.batchMax &&
    ids.every((id) => typeof id === 'string' && id.length <= 128);
  if (isFine) return ids as string[];
  throw invalid(`ids must be a list of 1 to ${HTTP.batchMax} ids, as "ack" of a message says them`);
}
