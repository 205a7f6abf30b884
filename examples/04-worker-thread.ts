// 04 · A worker thread over shared memory. The worker blocks in sendSync() while the mailbox is full; the main thread takes
// everything that is there, batch by batch. A handle belongs to the thread that opened it: what travels is its address.
// The rate goes to standard error, because it differs from run to run.
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { open } from 'naru';

const MESSAGES = 200_000;
const SIZE_BYTES = 64;

async function main(): Promise<void> {
  await using numbers = await open(`shm://example-04-${process.pid}`, { role: 'consumer', codec: 'bytes' });

  const worker = new Worker(new URL(import.meta.url), { workerData: { address: numbers.address } });
  try {
    worker.postMessage(numbers, []);
  } catch (error) {
    console.log(`the handle cannot be posted: ${(error as Error).message.split(': ').at(-1)}`);
  }

  worker.on('error', (error) => {
    throw error;
  });
  await numbers.ready({ producers: 1 });
  const started = performance.now();
  let count = 0;
  let sum = 0;
  for await (const messages of numbers.batches()) {
    for (const { data } of messages) {
      sum += new DataView(data.buffer, data.byteOffset).getUint32(0, true);
      count += 1;
    }
  }
  const seconds = (performance.now() - started) / 1000;
  console.log(`received ${count} messages, sum ${sum}`);
  console.error(`${Math.round(count / seconds)} messages of ${SIZE_BYTES} bytes a second`);
}

async function work(address: string): Promise<void> {
  // `address` is known only at run time, so its type promises nothing: name what you use, and open() checks it.
  await using numbers = await open(address, { role: 'producer', codec: 'bytes', needs: ['waitSync', 'end'] });
  const body = new Uint8Array(SIZE_BYTES);
  const view = new DataView(body.buffer);
  for (let number = 1; number <= MESSAGES; number += 1) {
    view.setUint32(0, number, true);
    numbers.sendSync(body); // the bytes are copied before it returns: the buffer may be used again
  }
  await numbers.end();
}

await (isMainThread ? main() : work((workerData as { address: string }).address));
