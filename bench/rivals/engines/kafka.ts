// kafka:// against @platformatic/kafka with the same settings.

import { setTimeout as pause } from 'node:timers/promises';
import { load } from '../../harness/optional-package.ts';
import { kafka as server } from '#naru/engines/kafka.fixture';
import type { EngineFlow, Flow, Served } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const TOPIC = 'bench';
const WAIT_MS = 500;
const COMMIT_MS = 100;
const APPEAR_MS = 20;

interface Client {
  close(force?: boolean): Promise<unknown>;
}

interface Producer extends Client {
  send(options: { messages: readonly object[] }): Promise<unknown>;
}

interface Stream extends Client {
  on(event: 'data', listener: (message: { readonly value: Uint8Array }) => void): unknown;
}

interface Consumer extends Client {
  consume(options: object): Promise<Stream>;
}

interface Metadata {
  readonly brokers: ReadonlyMap<number, object>;
  readonly topics: ReadonlyMap<string, { readonly partitions: readonly { readonly leader: number }[] }>;
}

interface Admin extends Client {
  createTopics(options: object): Promise<unknown>;
  metadata(options: object): Promise<Metadata>;
}

interface KafkaPackage {
  readonly Admin: new (options: object) => Admin;
  readonly Producer: new (options: object) => Producer;
  readonly Consumer: new (options: object) => Consumer;
}

/** A consumer of a topic that no broker leads yet would end the process. */
async function isLed(admin: Admin): Promise<boolean> {
  const found = await admin.metadata({ topics: [TOPIC], forceUpdate: true }).catch(() => undefined);
  return found?.brokers.has(found.topics.get(TOPIC)?.partitions[0]?.leader ?? -1) === true;
}

async function client({ url }: Served): Promise<Flow> {
  const library = (await load('@platformatic/kafka')) as KafkaPackage;
  const base = { clientId: 'bench', bootstrapBrokers: [new URL(url).host] };
  const admin = new library.Admin(base);
  await admin.createTopics({ topics: [TOPIC], partitions: 1, replicas: 1 });
  while (!(await isLed(admin))) await pause(APPEAR_MS);
  await admin.close();
  const producer = new library.Producer({ ...base, acks: -1, idempotent: true });
  const consumer = new library.Consumer({ ...base, groupId: 'bench' });
  const stream = await consumer.consume({
    topics: [TOPIC],
    mode: 'earliest',
    autocommit: COMMIT_MS,
    maxWaitTime: WAIT_MS,
  });
  let listener: (body: Uint8Array) => void = () => undefined;
  stream.on('data', ({ value }) => listener(value));
  return {
    async send(bodies) {
      await producer.send({ messages: bodies.map((value) => ({ topic: TOPIC, partition: 0, value })) });
    },
    onMessage: (heard) => {
      listener = heard;
    },
    async close() {
      await stream.close();
      await Promise.all([consumer.close(true), producer.close()]);
    },
  };
}

export const kafka: EngineFlow = {
  engine: server,
  place: 'kafka',
  note: `One partition, acks from all replicas (one), idempotent, offsets committed every ${COMMIT_MS} ms by the client and at most every 50 ms by Naru.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru kafka://',
      open: ({ url }) => mailboxFlow(`${url}?topic=${TOPIC}&group=bench&from=start&create=if-missing`),
    },
    { who: 'client', label: '@platformatic/kafka', open: client },
  ],
};
