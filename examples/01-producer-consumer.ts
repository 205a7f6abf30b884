// 01 · Producer and consumer in two processes, over shared memory. The consumer sleeps while the mailbox is empty, the
// producer sleeps while it is full; neither polls. This file is both programs: started alone it is the consumer, which
// starts it again, with the mailbox's address, as the producer.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { open } from 'naru';

const ORDERS = 1000;

interface Order {
  readonly number: number;
}

async function produce(address: string): Promise<void> {
  await using orders = await open(address, { role: 'producer' });
  let toldFull = false;
  orders.on('full', () => {
    if (!toldFull) console.log('producer: the mailbox is full, I sleep');
    toldFull = true;
  });
  // send() resolves at once while there is room, and when a receive has made room otherwise.
  for (let number = 1; number <= ORDERS; number += 1) await orders.send({ number });
  await orders.end(); // the consumer's loop ends after the last order
  console.log(`producer: ${ORDERS} orders sent`);
}

async function consume(): Promise<void> {
  // 4 KiB hold far fewer than 1,000 orders, so the producer will have to wait.
  const url = `shm://example-01-${process.pid}?capacity=4KiB`;
  await using orders = await open(url, { role: 'consumer' });
  const first = orders.receive();
  console.log('consumer: the mailbox is empty, I sleep');

  const producer = spawn(process.execPath, [fileURLToPath(import.meta.url), orders.address], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: producer.stdout });
  const full = once(lines, 'line');
  console.log(
    `consumer: order ${((await first).data as Order).number} woke me; I take no more until the mailbox is full`,
  );
  console.log((await full)[0]);

  const farewell = once(lines, 'line');
  let expected = 2;
  for await (const { data } of orders) {
    if ((data as Order).number !== expected) throw new Error(`order ${expected} is missing`);
    expected += 1;
  }
  console.log((await farewell)[0]);
  console.log(`consumer: ${expected - 1} orders received, in order`);
}

const address = process.argv[2];
await (address === undefined ? consume() : produce(address));
