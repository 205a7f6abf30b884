// The examples that are RabbitMQ's own programs, against RabbitMQ: they print there what they print against Naru's broker.

import amqp from 'amqplib';
import { afterEach, expect, test } from 'vitest';
import { onlyWith } from '#naru/engines/only-with.fixture';
import { rabbitmq } from '#naru/engines/rabbitmq.fixture';
import { expectedOf, runExample } from './examples.fixture.ts';

onlyWith(rabbitmq, 'the examples of the broker', (url) => {
  /** What they leave in a broker that goes on running. */
  afterEach(async () => {
    const connection = await amqp.connect(url);
    const channel = await connection.createChannel();
    for (const queue of ['hello', 'tasks', 'rpc_queue']) await channel.deleteQueue(queue);
    for (const exchange of ['logs', 'direct_logs', 'topic_logs']) await channel.deleteExchange(exchange);
    await connection.close();
  });

  test.each(['17-hello-broker', '18-tutorials'])(
    '%s prints the same',
    async (name) => {
      const { code, output, problems } = await runExample(name, { AMQP_URL: url });
      expect({ output, code }, problems).toEqual({ output: expectedOf(name), code: 0 });
    },
    60_000,
  );
});
