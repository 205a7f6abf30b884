// amqp:// against amqplib on RabbitMQ.

import { load } from '../../harness/optional-package.ts';
import { rabbitmq } from '#naru/engines/rabbitmq.fixture';
import type { EngineFlow, Flow, Served } from './flow.ts';
import { mailboxFlow } from './mailbox-flow.ts';

const PREFETCH = 256;
const QUEUE = 'bench';

interface Channel {
  assertQueue(name: string, options: object): Promise<unknown>;
  prefetch(count: number): Promise<unknown>;
  publish(exchange: string, key: string, body: Uint8Array, options: object): boolean;
  waitForConfirms(): Promise<unknown>;
  consume(queue: string, listener: (message: { readonly content: Uint8Array }) => void): Promise<unknown>;
  ack(message: object): void;
}

interface AmqpPackage {
  readonly default: {
    connect(
      url: string,
      options: object,
    ): Promise<{
      createChannel(): Promise<Channel>;
      createConfirmChannel(): Promise<Channel>;
      close(): Promise<unknown>;
    }>;
  };
}

async function client({ url }: Served): Promise<Flow> {
  const { default: amqplib } = (await load('amqplib')) as AmqpPackage;
  const connection = await amqplib.connect(url, { noDelay: true });
  const sending = await connection.createConfirmChannel();
  const receiving = await connection.createChannel();
  await sending.assertQueue(QUEUE, { durable: true, arguments: { 'x-queue-type': 'classic' } });
  let listener: (body: Uint8Array) => void = () => undefined;
  await receiving.prefetch(PREFETCH);
  await receiving.consume(QUEUE, (message) => {
    listener(message.content);
    receiving.ack(message);
  });
  return {
    async send(bodies) {
      for (const body of bodies) sending.publish('', QUEUE, body, { persistent: true });
      await sending.waitForConfirms();
    },
    onMessage: (heard) => {
      listener = heard;
    },
    close: async () => {
      await connection.close();
    },
  };
}

export const amqp: EngineFlow = {
  engine: rabbitmq,
  place: 'amqp',
  note: `A durable classic queue of RabbitMQ, persistent messages, confirms, prefetch ${PREFETCH}, every message acked.`,
  contestants: [
    {
      who: 'naru',
      label: 'Naru amqp://',
      open: ({ url }) => mailboxFlow(`${url}/?queue=${QUEUE}&prefetch=${PREFETCH}`),
    },
    { who: 'client', label: 'amqplib', open: client },
  ],
};
