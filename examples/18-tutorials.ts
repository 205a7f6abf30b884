// 18 · RabbitMQ's six tutorial patterns with amqplib: hello, work queue, publish/subscribe, routing, topics, requests and replies.
import amqp, { type Channel } from 'amqplib';
import { Broker } from 'naru/broker';

// With AMQP_URL at another broker: RabbitMQ, if you like.
const given = process.env['AMQP_URL'];
await using broker = given === undefined ? await Broker.start({ port: 0 }) : undefined;
const connection = await amqp.connect(given ?? String(broker?.url));
const channel = await connection.createChannel();

/** Collects the bodies of the next `count` messages of a queue. */
function take(from: Channel, queue: string, count: number, settle = true): Promise<string[]> {
  return new Promise((resolve) => {
    const bodies: string[] = [];
    void from.consume(queue, (message) => {
      if (message === null) return;
      bodies.push(message.content.toString());
      if (settle) from.ack(message);
      if (bodies.length === count) resolve(bodies);
    });
  });
}

/** A queue of one's own, bound with some keys. */
async function listen(exchange: string, ...keys: string[]): Promise<string> {
  const { queue } = await channel.assertQueue('', { exclusive: true });
  for (const key of keys) await channel.bindQueue(queue, exchange, key);
  return queue;
}

// 1 Hello World
await channel.assertQueue('hello');
channel.sendToQueue('hello', Buffer.from('Hello World!'));
console.log('1 hello:', await take(channel, 'hello', 1));

// 2 Work queue: two workers, one message at a time each
await channel.assertQueue('tasks', { durable: true });
const workers = await Promise.all([connection.createChannel(), connection.createChannel()]);
for (const worker of workers) await worker.prefetch(1);
const work = Promise.all(workers.map((worker) => take(worker, 'tasks', 2)));
for (const task of ['a', 'b', 'c', 'd'])
  channel.sendToQueue('tasks', Buffer.from(task), { persistent: true });
console.log('2 work queue:', (await work).flat().sort());

// 3 Publish/subscribe: everybody gets everything
await channel.assertExchange('logs', 'fanout', { durable: false });
const readers = [await listen('logs', ''), await listen('logs', '')];
channel.publish('logs', '', Buffer.from('news'));
console.log('3 publish/subscribe:', await Promise.all(readers.map((queue) => take(channel, queue, 1))));

// 4 Routing: by the exact key
await channel.assertExchange('direct_logs', 'direct', { durable: false });
const errors = await listen('direct_logs', 'error');
for (const key of ['info', 'error', 'warning']) channel.publish('direct_logs', key, Buffer.from(key));
console.log('4 routing:', await take(channel, errors, 1));

// 5 Topics: by patterns
await channel.assertExchange('topic_logs', 'topic', { durable: false });
const critical = await listen('topic_logs', 'kern.*', '*.critical');
for (const key of ['kern.info', 'cron.info', 'cron.critical'])
  channel.publish('topic_logs', key, Buffer.from(key));
console.log('5 topics:', await take(channel, critical, 2));

// 6 Requests and replies
await channel.assertQueue('rpc_queue');
await channel.consume('rpc_queue', (request) => {
  if (request === null) return;
  const answer = fibonacci(Number(request.content.toString()));
  const { replyTo, correlationId } = request.properties as { replyTo: string; correlationId: string };
  channel.sendToQueue(replyTo, Buffer.from(String(answer)), { correlationId });
  channel.ack(request);
});
const replies = await listen('amq.direct');
channel.sendToQueue('rpc_queue', Buffer.from('30'), { replyTo: replies, correlationId: '1' });
console.log('6 requests and replies: fib(30) =', ...(await take(channel, replies, 1)));

function fibonacci(n: number): number {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

await connection.close();
