// http:// against what one would write by hand: a client of node:http with kept connections that makes a request for each message, to
// the same host. The host is the measuring process; handles of Naru and requests do the same work there.

import { Agent, request as httpRequest } from 'node:http';
import { setTimeout } from 'node:timers/promises';
import { type Mailbox, open } from '#naru/index';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';

/** How many sends, or requests, are under way at a time. */
export const UNDER_WAY = [1, 64] as const;
type UnderWay = (typeof UNDER_WAY)[number];

/** Messages that one request takes. */
const TAKEN = 100;
const LISTEN = 'http://127.0.0.1:0/bench?listen';

/** Posts bodies over kept connections. */
class BareClient {
  readonly #url: URL;
  readonly #agent: Agent;

  constructor(url: string, connections: number) {
    this.#url = new URL(url);
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  post(path: string, body: Uint8Array | string, type: string): Promise<string> {
    const { hostname, port, pathname } = this.#url;
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': type, 'content-length': Buffer.byteLength(body) };
      const options = { hostname, port, path: pathname + path, method: 'POST', agent: this.#agent, headers };
      const request = httpRequest(options, (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (part: string) => (text += part));
        response.on('end', () => {
          if ((response.statusCode ?? 500) < 300) resolve(text);
          else reject(new Error(text));
        });
      });
      request.on('error', reject);
      request.end(body);
    });
  }

  close(): Promise<void> {
    this.#agent.destroy();
    return Promise.resolve();
  }
}

type Bytes = Mailbox<Uint8Array, Uint8Array>;

/** Hosts, and receives what is sent to it from elsewhere. */
async function openReceivingHost(): Promise<NearEnd> {
  const host = await open(LISTEN, { codec: 'bytes', role: 'consumer' });
  const check = new Check();
  let count = 0;
  const consumed = (async () => {
    for await (const messages of host.batches()) {
      for (const { data } of messages) {
        // Requests that are under way together arrive in any order: only their number counts.
        check.touchFields(count, data[data.length - 1] as number);
        count += 1;
      }
    }
  })();
  return {
    address: host.address,
    run: (wanted) => {
      count = 0;
      return check.expect(wanted);
    },
    close: async () => {
      await host.close({ flushMs: 0 });
      await consumed;
    },
  };
}

/** Calls `send` for each message, so many at a time. */
async function sendAll(
  count: number,
  underWay: number,
  send: (body: Uint8Array) => Promise<unknown>,
): Promise<void> {
  const bodies = new Bodies();
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await send(bodies.make(next));
    }
  };
  await Promise.all(Array.from({ length: underWay }, one));
}

async function openBareSender(address: string, underWay: number): Promise<FarEnd> {
  const client = new BareClient(address, underWay);
  return {
    run: (count) => sendAll(count, underWay, (body) => client.post('', body, 'application/octet-stream')),
    close: () => client.close(),
  };
}

async function openNaruSender(address: string, underWay: number): Promise<FarEnd> {
  const mailbox = (await open(address, { codec: 'bytes', role: 'producer' })) as Bytes;
  return {
    run: (count) => sendAll(count, underWay, (body) => mailbox.send(body)),
    close: async () => void (await mailbox.close()),
  };
}

/** Hosts, sends, and measures until everything was taken and acked from elsewhere. */
async function openSendingHost(): Promise<NearEnd> {
  const host = await open(LISTEN, { codec: 'bytes', role: 'producer' });
  const bodies = new Bodies();
  const isEmpty = async (): Promise<boolean> => {
    const { depth, unsettled } = (await host.stats()).place;
    return depth + unsettled === 0;
  };
  return {
    address: host.address,
    async run(messages) {
      const started = process.hrtime.bigint();
      await host.sendMany(bodies.first(messages));
      while (!(await isEmpty())) await setTimeout(1);
      return { kind: 'throughput', messages, nanoseconds: Number(process.hrtime.bigint() - started) };
    },
    close: async () => void (await host.close({ flushMs: 0 })),
  };
}

async function openBareTaker(address: string): Promise<FarEnd> {
  const client = new BareClient(address, 1);
  return {
    async run(count) {
      for (let taken = 0; taken < count; ) {
        const text = await client.post(`/receive?max=${TAKEN}`, '', 'application/json');
        if (text === '') continue;
        const { messages } = JSON.parse(text) as { messages: { ack: string; base64: string }[] };
        for (const { base64 } of messages) Buffer.from(base64, 'base64');
        await client.post(
          '/ack',
          JSON.stringify({ ids: messages.map(({ ack }) => ack) }),
          'application/json',
        );
        taken += messages.length;
      }
    },
    close: () => client.close(),
  };
}

async function openNaruTaker(address: string): Promise<FarEnd> {
  const mailbox = (await open(address, { codec: 'bytes', role: 'consumer' })) as Bytes;
  // One loop over all rounds: it acks when it asks for the next.
  const taking = (async () => {
    for await (const messages of mailbox.batches({ max: TAKEN })) void messages.length;
  })();
  return {
    run: () => Promise.resolve(),
    async close() {
      await mailbox.close();
      await taking;
    },
  };
}

export const sendId = (who: 'bare' | 'naru', underWay: UnderWay): string => `http-send-${underWay}-${who}`;
export const takeId = (who: 'bare' | 'naru'): string => `http-take-${who}`;

const common = { kind: 'throughput', far: 'process', serialization: 'json', firstCount: 200 } as const;

export const httpSends: readonly Duel[] = UNDER_WAY.flatMap((underWay) => [
  {
    ...common,
    id: sendId('bare', underWay),
    label: `node:http, ${underWay} under way`,
    isNaru: false,
    openNear: openReceivingHost,
    openFar: (_, address) => openBareSender(address, underWay),
  },
  {
    ...common,
    id: sendId('naru', underWay),
    label: `Naru send(), ${underWay} under way`,
    isNaru: true,
    openNear: openReceivingHost,
    openFar: (_, address) => openNaruSender(address, underWay),
  },
]);

export const httpTakes: readonly Duel[] = [
  {
    ...common,
    id: takeId('bare'),
    label: `node:http, receive and ack ${TAKEN} at a time`,
    isNaru: false,
    openNear: openSendingHost,
    openFar: (_, address) => openBareTaker(address),
  },
  {
    ...common,
    id: takeId('naru'),
    label: `Naru batches() of ${TAKEN}`,
    isNaru: true,
    openNear: openSendingHost,
    openFar: (_, address) => openNaruTaker(address),
  },
];
