// 20 · The hello pair as one writes it today: durable in all three places, acknowledged, and it ends by closing instead of sleeping. The
// broker is stopped and started again in between, and nothing is lost. With `durable: false` the queue would be gone, without
// `persistent` the message, and with `noAck` whatever the receiver had not dealt with when it ended.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import amqp from 'amqplib';
import { Broker } from 'naru/broker';

const queue = 'hello';

async function send(url: string, text: string): Promise<void> {
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true });
  channel.sendToQueue(queue, Buffer.from(text), { persistent: true });
  // Now it is on the disk.
  await channel.waitForConfirms();
  console.log(" [x] Sent '%s'", text);
  await connection.close();
}

async function receive(url: string): Promise<void> {
  const connection = await amqp.connect(url);
  const channel = await connection.createChannel();
  await channel.assertQueue(queue, { durable: true });
  await new Promise<void>((resolve) => {
    void channel.consume(queue, (message) => {
      if (message === null) return;
      console.log(" [x] Received '%s'", message.content.toString());
      channel.ack(message);
      resolve();
    });
  });
  // The channel first: the ack is sent before it closes.
  await channel.close();
  await connection.close();
}

const dataDir = await mkdtemp(join(tmpdir(), 'naru-hello-'));
const first = await Broker.start({ port: 0, dataDir });
await send(first.url, 'Hello World!');
await first.stop();
console.log(' [*] The broker was stopped, and starts again');

const second = await Broker.start({ port: 0, dataDir });
await receive(second.url);
await second.stop();
await rm(dataDir, { recursive: true });
