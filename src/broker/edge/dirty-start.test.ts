// Starts that find something else than a clean stop left, on a real folder: many messages after a kill, and damaged ones.

import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import amqp from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { AmqpLoad } from '../../cli/amqp-load.ts';
import { BrokerProcess } from './broker-process.fixture.ts';
import { Broker } from './broker.ts';

function folderOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), name));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('after a kill 100,000 messages are there within two seconds of work', async () => {
  const folder = folderOf('naru-broker-many-');
  const count = 100_000;
  await using first = await BrokerProcess.start(folder);
  const client = await AmqpLoad.connect(first.port);
  await client.declare('many', true);
  await client.askForConfirms();
  const body = Buffer.alloc(128, 'x');
  await client.publish('many', count, () => body);
  await first.kill();
  await client.closed;
  await using second = await BrokerProcess.start(folder);
  expect(second.recovered).toMatchObject({ isClean: false, messages: count, damaged: [] });
  // Of the process, Node's own start included: on a machine with nothing else to do that is the time it takes.
  expect(second.cpuMs).toBeLessThan(2000);
}, 120_000);

test('a damaged message: its queue is quarantined, /health says so, the others are served, a purge ends it', async () => {
  const dataDir = folderOf('naru-broker-damage-');
  const first = await Broker.start({ port: 0, dataDir });
  const filling = await amqp.connect(first.url);
  const channel = await filling.createConfirmChannel();
  for (const queue of ['damaged', 'whole']) {
    await channel.assertQueue(queue, { durable: true });
    channel.sendToQueue(queue, Buffer.from(`message of ${queue}`), { persistent: true });
  }
  await channel.waitForConfirms();
  await filling.close();
  await first.stop();
  const segment = join(dataDir, readdirSync(dataDir).find((name) => name.endsWith('1.0.seg')) ?? '');
  const bytes = readFileSync(segment);
  bytes[bytes.indexOf('message of damaged')] = 0;
  writeFileSync(segment, bytes);

  await using second = await Broker.start({ port: 0, httpPort: 0, dataDir });
  const health = async (): Promise<unknown> => {
    const response = await fetch(`http://127.0.0.1:${second.httpPort}/health`);
    return [response.status, await response.json()];
  };
  const connection = await amqp.connect(second.url);
  const other = await connection.createChannel();
  other.on('error', () => undefined);
  expect(await other.get('whole', { noAck: true })).toMatchObject({
    content: Buffer.from('message of whole'),
  });
  // It is known at the start, or when its turn comes.
  await other.get('damaged').catch(() => undefined);
  expect(await health()).toEqual([200, expect.objectContaining({ status: 'degraded', quarantined: 1 })]);
  const third = await connection.createConfirmChannel();
  third.on('error', () => undefined);
  third.sendToQueue('damaged', Buffer.from('refused'), { persistent: true });
  await expect(third.waitForConfirms()).rejects.toThrow('message nacked');
  await expect(third.consume('damaged', () => undefined)).rejects.toThrow(/PRECONDITION_FAILED.*quarantined/);
  const last = await connection.createConfirmChannel();
  await last.purgeQueue('damaged');
  last.sendToQueue('damaged', Buffer.from('again'), { persistent: true });
  await last.waitForConfirms();
  expect(await health()).toEqual([200, expect.objectContaining({ status: 'ok', quarantined: 0 })]);
  await connection.close();
});
