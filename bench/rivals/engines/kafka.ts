// kafka:// against @platformatic/kafka with the same settings.

import { load } from '../../harness/optional-package.ts';
import { kafka as server } from '#naru/engines/kafka.fixture';
import type { Running } from '#naru/engines/engine.fixture';
import type { EngineFlow, Flow } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const TOPIC = 'bench';
const WAIT_MS = 500;
const COMMIT_MS = 100;

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

interface Admin extends Client {
  createTopics(options: object): Promise<unknown>;
}

interface KafkaPackage {
  readonly Admin: new (options: object) => Admin;
  readonly Producer: new (options: object) => Producer;
  readonly Consumer: new (options: object) => Consumer;
}

async function client({ url }: Running): Promise<Flow> {
  const library = (await load('@platformatic/kafka')) as KafkaPackage;
  const base = { clientId: 'bench', bootstrapBrokers: [new URL(url).host] };
  const admin = new library.Admin(base);
  await admin.createTopics({ topics: [TOPIC], partitions: 1, replicas: 1 });
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
  note: `One partition, acks from all replicas (one), idempotent, offsets committed every ${COMMIT_MS} ms by the client and as acks come by Naru.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru kafka://',
      open: ({ url }) => mailboxFlow(`${url}?topic=${TOPIC}&group=bench&from=start&create=if-missing`),
    },
    { who: 'client', label: '@platformatic/kafka', open: client },
  ],
};
