// Where Naru's broker answers otherwise than RabbitMQ 3.10.8 and is meant to: each with a script that shows it, what both answer, and
// the reason. docs/reference/broker-differences.md has the same as a table; a test compares them.

import type { RawFrame, Script } from './step.fixture.ts';

/** One intended difference. */
export interface Difference {
  /** What a client does. */
  readonly what: string;
  readonly script: Script;
  /** How the first line of what the last step brings begins; empty: the socket ends without a word. */
  readonly rabbitmq: string;
  readonly naru: string;
  readonly why: string;
}

const PUBLISH: RawFrame = { type: 1, payload: '003c00280000000000' };

function frames(...list: RawFrame[]): Script {
  return [{ do: 'frames', frames: list }];
}

function declares(args: Readonly<Record<string, unknown>>): Script {
  return [{ do: 'call', method: 'queue.declare', args: { queue: 'q0', ...args } }];
}

/** A content header of class basic. */
function header(bodyBytes: number, rest: string): RawFrame {
  return { type: 2, payload: `003c0000${bodyBytes.toString(16).padStart(16, '0')}${rest}` };
}

export const INTENDED: readonly Difference[] = [
  {
    what: 'an exchange of a type that is unknown',
    script: [{ do: 'call', method: 'exchange.declare', args: { exchange: 'e0', type: 'zap' } }],
    rabbitmq: 'connection.close 503',
    naru: 'channel.close 406',
    why: 'As RabbitMQ 4 does, and as clients of today expect: the other channels of the connection go on.',
  },
  {
    what: 'an exchange of type x-delayed-message',
    script: [
      {
        do: 'call',
        method: 'exchange.declare',
        args: { exchange: 'e0', type: 'x-delayed-message', args: { 'x-delayed-type': 'direct' } },
      },
    ],
    rabbitmq: 'connection.close 503',
    naru: 'exchange.declare-ok',
    why: 'Built in; RabbitMQ needs a plugin that is not in its package.',
  },
  {
    what: 'a ttl or expiry of more than ten years',
    script: declares({ args: { 'x-message-ttl': { type: 'l', value: 315_360_000_001 } } }),
    rabbitmq: 'channel.close 406',
    naru: 'queue.declare-ok',
    why: 'The bound is a hundred years, as in later versions of RabbitMQ.',
  },
  {
    what: 'x-delivery-limit on a classic queue',
    script: declares({ args: { 'x-delivery-limit': 3 } }),
    rabbitmq: 'channel.close 406',
    naru: 'queue.declare-ok',
    why: 'Naru counts deliveries in every queue; a program that asks for it gets it.',
  },
  {
    what: 'a type of queue that does not exist, for a queue without a name',
    script: declares({ queue: '', args: { 'x-queue-type': true } }),
    rabbitmq: 'connection.close 541',
    naru: 'channel.close 406',
    why: 'RabbitMQ fails inside; here the client is told what is wrong.',
  },
  {
    what: 'a method that does not exist',
    script: frames({ type: 1, payload: '003c00ff' }),
    rabbitmq: '',
    naru: 'connection.close 540',
    why: 'RabbitMQ drops the connection without a word; here the client is told which method.',
  },
  {
    what: 'arguments that cannot be read',
    script: frames({ type: 1, payload: '003c000a0000' }),
    rabbitmq: 'connection.close 501',
    naru: 'connection.close 502',
    why: 'The specification has 502 for it. The text says what is wrong instead of listing the bytes.',
  },
  {
    what: 'a table with a field of an unknown type',
    script: frames({ type: 1, payload: '0032000a00000161000000000301617a' }),
    rabbitmq: '',
    naru: 'connection.close 502',
    why: 'RabbitMQ drops the connection without a word; here the client is told.',
  },
  {
    what: 'octets behind a method without arguments',
    script: frames({ type: 1, payload: '005a000a00' }),
    rabbitmq: 'connection.close 501',
    naru: 'tx.select-ok',
    why: 'They mean nothing and are not looked at.',
  },
  {
    what: 'a name that is not UTF-8',
    script: frames({ type: 1, payload: '0032000a000002ff610000000000' }),
    rabbitmq: 'connection.close 501',
    naru: 'connection.close 502',
    why: 'The same as other arguments that cannot be read.',
  },
  {
    what: 'properties that reach beyond their frame',
    script: frames(PUBLISH, header(0, '8000')),
    rabbitmq: 'connection.close 541',
    naru: 'connection.close 502',
    why: 'RabbitMQ fails inside; here the client is told what is wrong.',
  },
  {
    what: 'property flags that mean nothing',
    script: frames(PUBLISH, header(0, '0002')),
    rabbitmq: '',
    naru: 'connection.close 502',
    why: 'RabbitMQ drops the connection without a word; here the client is told.',
  },
  {
    what: 'a body announced larger than may be, then a method',
    script: frames(PUBLISH, header(2 ** 40, '0000'), { type: 3, payload: '61' }),
    rabbitmq: 'connection.close 505',
    naru: 'channel.close 406',
    why: 'Refused by its header: nobody has to send it first.',
  },
  {
    what: 'a method with content that only brokers send',
    script: frames({ type: 1, payload: '003c003c01610000000000000001000000' }),
    rabbitmq: 'connection.close 505',
    naru: 'connection.close 503',
    why: 'Refused at once; RabbitMQ waits for its content first.',
  },
];

/** The table of the documentation. */
export function differencesTable(): string {
  const shown = (answer: string): string => (answer === '' ? 'the socket ends' : `\`${answer}\``);
  const rows = INTENDED.map(
    ({ what, rabbitmq, naru, why }) => `| ${what} | ${shown(rabbitmq)} | ${shown(naru)} | ${why} |`,
  );
  return ['| a client sends | RabbitMQ 3.10.8 | Naru | why |', '|---|---|---|---|', ...rows].join('\n');
}
