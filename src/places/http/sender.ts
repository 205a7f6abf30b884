// Routes that send: a message, a list of them, a request that waits for its answer.

import { NaruError } from '../../errors/index.ts';
import { type Exchange, invalid, type Parameter } from './exchange.ts';
import type { Answer } from './idempotency.ts';
import { contentTypeOf, isJson } from './json-message.ts';
import { HTTP } from './limits.ts';
import { ANY_BODY, type Door, ref, type Route } from './route.ts';

const LINES_TYPE = 'application/x-ndjson';
/** Prefix of headers that are the message's own. */
const USER_HEADER = 'naru-header-';

const duration = { type: 'integer', minimum: 0, maximum: 2 ** 31 - 1 } as const;
const words = { type: 'string', maxLength: 1_024 } as const;

const IDEMPOTENCY_KEY: Parameter = {
  name: 'Idempotency-Key',
  in: 'header',
  schema: { type: 'string', maxLength: HTTP.keyLengthMax },
  text: `the same key gets the same answer and sends nothing twice; the last ${HTTP.keysMax} are remembered for ${HTTP.keysMs / 60_000} minutes`,
};
const PRIORITY: Parameter = {
  name: 'Naru-Priority',
  in: 'header',
  schema: { type: 'integer', minimum: 0, maximum: 255 },
  text: 'higher is more urgent',
};
const TTL: Parameter = {
  name: 'Naru-Ttl-Ms',
  in: 'header',
  schema: duration,
  text: 'it expires so many milliseconds from now',
};
const DELAY: Parameter = {
  name: 'Naru-Delay-Ms',
  in: 'header',
  schema: duration,
  text: 'it becomes visible so many milliseconds from now',
};
const ID: Parameter = { name: 'Naru-Id', in: 'header', schema: words, text: "the message's id" };
const KEY: Parameter = { name: 'Naru-Key', in: 'header', schema: words, text: 'ordering key' };
const TYPE: Parameter = {
  name: 'Naru-Type',
  in: 'header',
  schema: words,
  text: 'what kind of message it is',
};
const CORRELATION: Parameter = {
  name: 'Naru-Correlation-Id',
  in: 'header',
  schema: words,
  text: 'what it belongs to',
};
const FIELDS = [PRIORITY, TTL, DELAY, ID, KEY, TYPE] as const;

const CONFIRM: Parameter = {
  name: 'confirm',
  in: 'query',
  schema: { type: 'string', enum: ['placed', 'received'], default: 'placed' },
  text: 'answer when it is in the mailbox, or when a consumer has received it',
};
const WAIT: Parameter = {
  name: 'waitMs',
  in: 'query',
  schema: { type: 'integer', minimum: 0, maximum: HTTP.waitMsMax, default: HTTP.waitMs },
  text: 'how long to wait for room, in milliseconds',
};
const TIMEOUT: Parameter = {
  name: 'timeoutMs',
  in: 'query',
  schema: { type: 'integer', minimum: 1, maximum: HTTP.waitMsMax, default: HTTP.requestMs },
  text: 'how long to wait for the answer, in milliseconds',
};

export const SENDING: readonly Route[] = [
  {
    method: 'POST',
    path: '',
    operation: 'send',
    summary: 'Send a message',
    text: `The body is the message. Without a content type (or with curl's own) it must be JSON. ${LINES_TYPE}: each line is a message, at most ${HTTP.batchMax}; headers are those of each. \`Naru-Header-NAME\` becomes the message's own header.`,
    parameters: [IDEMPOTENCY_KEY, ...FIELDS, CORRELATION, CONFIRM, WAIT],
    body: { text: 'the message', required: false, content: ANY_BODY },
    replies: {
      201: {
        text: 'it is in the mailbox',
        content: { 'application/json': { oneOf: [ref('Sent'), ref('SentMany')] } },
      },
    },
    problems: [409, 410, 413, 504],
    example: `curl -d '{"id":1}' $URL`,
    handle: send,
  },
  {
    method: 'POST',
    path: '/request',
    operation: 'request',
    summary: 'Send a request and wait for its answer',
    text: 'Whoever serves the mailbox (`serve()`, or `POST …/reply/{id}`) answers; the answer is its reply. It is not sent again if whoever asked hangs up.',
    parameters: [...FIELDS, TIMEOUT],
    body: { text: 'the request', required: false, content: ANY_BODY },
    replies: { 200: { text: 'the reply', content: ANY_BODY } },
    problems: [410, 413, 502, 504],
    example: `curl -d '{"question":6}' $URL/request`,
    handle: request,
  },
];

interface SendFields {
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send(exchange: Exchange, door: Door): Promise<void> {
  const key = exchange.text(IDEMPOTENCY_KEY);
  const options = { ...fieldsOf(exchange), ...defined('correlationId', exchange.text(CORRELATION)) };
  const confirm = exchange.text(CONFIRM) as 'placed' | 'received';
  // Whoever names a key comes again to hear what became of it: what was begun goes on.
  const limits = {
    timeoutMs: exchange.number(WAIT) ?? HTTP.waitMs,
    ...(key === undefined ? { signal: exchange.gone } : {}),
  };
  const isList = options.contentType === LINES_TYPE;
  const body = await exchange.body(isList ? HTTP.answerBytesMax * 4 : door.host.settings.maxMessageBytes);
  const act = async (): Promise<Answer> => {
    if (isList) return await sendLines(body, door, { ...options, ...limits, confirm });
    checkBody(body, options.contentType);
    const receipt = await door.sending((guest) => guest.send(body, { ...options, ...limits, confirm }));
    return { status: 201, value: { id: receipt.id, confirm } };
  };
  if (key === undefined) {
    const { status, value } = await act();
    await exchange.answer(status, value);
    return;
  }
  const { status, value, isReplay } = await door.idempotency.once(key, body, act);
  await exchange.answer(status, value, isReplay ? { 'idempotent-replayed': 'true' } : {});
}

async function sendLines(
  body: Buffer,
  door: Door,
  options: SendFields & { readonly confirm: 'placed' | 'received' },
): Promise<Answer> {
  const lines = body
    .toString('utf8')
    .split('\n')
    .filter((line) => line.trim() !== '');
  if (lines.length > HTTP.batchMax) {
    throw invalid(`the list has ${lines.length} messages, the limit is ${HTTP.batchMax}`);
  }
  const list = lines.map((line, index) => {
    const bytes = Buffer.from(line, 'utf8');
    if (isJson(bytes)) return bytes;
    throw new NaruError('NARU_INVALID_MESSAGE', `line ${index + 1} is no JSON; nothing was sent`, {
      place: 'http',
    });
  });
  const { confirm } = options;
  const sent = await door.sending((guest) =>
    guest.sendMany(list, { ...options, contentType: 'application/json' }),
  );
  return { status: 201, value: { sent: sent.sent, confirm } };
}

async function request(exchange: Exchange, door: Door): Promise<void> {
  const options = fieldsOf(exchange);
  const timeoutMs = exchange.number(TIMEOUT) ?? HTTP.requestMs;
  const body = await exchange.body(door.host.settings.maxMessageBytes);
  checkBody(body, options.contentType);
  const reply = await door.polling(() =>
    door.sending((guest) => guest.request(body, { ...options, timeoutMs, signal: exchange.gone })),
  );
  await exchange.send(200, reply.body, {
    'content-type': contentTypeOf(reply.body, reply.contentType),
    'naru-id': header(reply.id),
  });
}

/** The body must be what it is said to be: one message that nobody can read stops a consumer. */
function checkBody(body: Uint8Array, contentType: string): void {
  if (!contentType.startsWith('application/json') || isJson(body)) return;
  throw new NaruError(
    'NARU_INVALID_MESSAGE',
    'the body is no JSON; say what it is, e.g. with -H "Content-Type: text/plain"',
    { place: 'http' },
  );
}

function fieldsOf(exchange: Exchange): SendFields {
  return {
    contentType: contentTypeHeader(exchange.request.headers['content-type']),
    ...defined('priority', exchange.number(PRIORITY)),
    ...defined('ttlMs', exchange.number(TTL)),
    ...defined('delayMs', exchange.number(DELAY)),
    ...defined('id', exchange.text(ID)),
    ...defined('key', exchange.text(KEY)),
    ...defined('type', exchange.text(TYPE)),
    ...defined('headers', userHeaders(exchange)),
  };
}

/** curl says "form" of whatever it is given. */
function contentTypeHeader(value: string | undefined): string {
  return value === undefined || value === 'application/x-www-form-urlencoded' ? 'application/json' : value;
}

function userHeaders({ request: { headers } }: Exchange): Record<string, string> | undefined {
  const own = Object.entries(headers)
    .filter(([name]) => name.startsWith(USER_HEADER))
    .map(([name, value]) => [name.slice(USER_HEADER.length), String(value)] as const);
  return own.length === 0 ? undefined : Object.fromEntries(own);
}

function defined<K extends string, V>(name: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [name]: value } as Record<K, V>);
}

/** What may stand in a header of an answer. */
function header(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 1_024);
}
