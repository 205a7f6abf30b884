// redis:// against @redis/client with a stream and a group, and with publish and subscribe, and against BullMQ: npm install --no-save bullmq ioredis

import { load } from '../../harness/optional-package.ts';
import { redis as server } from '#naru/engines/redis.fixture';
import type { EngineFlow, Flow, Served } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const BATCH = 256;
const STREAM = 'bench';

type Listener = (body: Uint8Array) => void;
type Reply = Readonly<Record<string, readonly (readonly [Uint8Array, readonly Uint8Array[]])[]>>;

interface Client {
  connect(): Promise<unknown>;
  sendCommand(args: readonly (string | Uint8Array)[]): Promise<unknown>;
  subscribe(channel: string, listener: (body: Uint8Array) => void, asBytes: true): Promise<unknown>;
  destroy(): void;
}

interface RedisPackage {
  readonly createClient: (options: object) => Client;
}

interface BullPackage {
  readonly Queue: new (
    name: string,
    options: object,
  ) => { addBulk(jobs: readonly object[]): Promise<unknown>; close(): Promise<unknown> };
  readonly Worker: new (
    name: string,
    handler: (job: { readonly data: string }) => Promise<void>,
    options: object,
  ) => {
    on(event: string, listener: (job: { readonly data: string }) => void): unknown;
    waitUntilReady(): Promise<unknown>;
    close(): Promise<unknown>;
  };
}

/** Two connections: one that sends, one that waits for messages. */
async function connectTwice({ url }: Served): Promise<readonly [Client, Client]> {
  const { createClient } = (await load('@redis/client')) as RedisPackage;
  const connect = async (): Promise<Client> => {
    const one = createClient({ url, RESP: 3, commandOptions: { timeout: 0, typeMapping: { 36: Buffer } } });
    await one.connect();
    return one;
  };
  return [await connect(), await connect()];
}

async function stream(running: Served): Promise<Flow> {
  const [sending, receiving] = await connectTwice(running);
  await sending.sendCommand(['XGROUP', 'CREATE', STREAM, 'g', '0', 'MKSTREAM']);
  let listener: Listener = () => undefined;
  const over = new AbortController();
  const read = [
    'XREADGROUP',
    'GROUP',
    'g',
    'c',
    'COUNT',
    String(BATCH),
    'BLOCK',
    '200',
    'STREAMS',
    STREAM,
    '>',
  ];
  const consuming = (async () => {
    while (!over.signal.aborted) {
      const [entries] = Object.values(((await receiving.sendCommand(read)) ?? {}) as Reply);
      if (entries === undefined) continue;
      const ids = entries.map(([id]) => id);
      for (const [, [, body]] of entries) listener(body as Uint8Array);
      void receiving.sendCommand(['XACK', STREAM, 'g', ...ids]);
      void receiving.sendCommand(['XDEL', STREAM, ...ids]);
    }
  })();
  return {
    async send(bodies) {
      await Promise.all(bodies.map((body) => sending.sendCommand(['XADD', STREAM, '*', 'm', body])));
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      over.abort();
      await consuming;
      sending.destroy();
      receiving.destroy();
    },
  };
}

async function channel(running: Served): Promise<Flow> {
  const [sending, receiving] = await connectTwice(running);
  let listener: Listener = () => undefined;
  await receiving.subscribe('bench', (body) => listener(body), true);
  return {
    async send(bodies) {
      await Promise.all(bodies.map((body) => sending.sendCommand(['PUBLISH', 'bench', body])));
    },
    onMessage: (heard) => {
      listener = heard;
    },
    close() {
      sending.destroy();
      receiving.destroy();
      return Promise.resolve();
    },
  };
}

async function bull({ url }: Served): Promise<Flow> {
  const { Queue, Worker } = (await load('bullmq')) as BullPackage;
  const { hostname, port, password } = new URL(url);
  const connection = { host: hostname, port: Number(port), password, maxRetriesPerRequest: null };
  const queue = new Queue('bench', { connection });
  let listener: Listener = () => undefined;
  const options = { connection, concurrency: BATCH, removeOnComplete: { count: 0 } };
  const worker = new Worker('bench', () => Promise.resolve(), options);
  // Only then is it settled.
  worker.on('completed', ({ data }) => listener(Buffer.from(data)));
  await worker.waitUntilReady();
  return {
    async send(bodies) {
      await queue.addBulk(bodies.map((body) => ({ name: 'job', data: Buffer.from(body).toString() })));
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      await worker.close();
      await queue.close();
    },
  };
}

export const redis: EngineFlow = {
  engine: server,
  place: 'redis',
  note: `Nothing on the disk. The client: a stream with a consumer group, XADD pipelined, at most ${BATCH} messages in a read, XACK and XDEL. BullMQ: addBulk(), a worker with
concurrency ${BATCH}, finished jobs removed.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru redis://',
      open: ({ url }) => mailboxFlow(`${url}?mailbox=bench&prefetch=${BATCH}`),
    },
    { who: 'client', label: '@redis/client', open: stream },
    { who: 'rival', label: 'BullMQ', open: bull, needs: 'bullmq' },
  ],
};

export const redisChannel: EngineFlow = {
  engine: server,
  place: 'redis',
  kind: 'channel',
  note: `Publish and subscribe: nothing is kept, nothing is settled. The client: a PUBLISH for each message, pipelined, and a second connection that is subscribed. Naru: what is sent
together goes out as frames of many messages in one PUBLISH, which its consumers take apart.`,
  contestants: [
    { who: 'naru', label: 'Naru redis://?channel=', open: ({ url }) => mailboxFlow(`${url}?channel=bench`) },
    { who: 'client', label: '@redis/client', open: channel },
  ],
};
