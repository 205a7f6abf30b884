// 12 · A topic over shared memory: every subscriber gets every message. What a slow one means to the newsroom is decided when the
// topic is made: it waits for the slowest (nothing is lost), or it writes over what was not read (each hears how much it missed).
// And a late subscriber starts with the last messages that were kept. The handles here share a process; they need not.
import { open } from 'naru';

const NEWS = 500;
const name = `shm://example-12-${process.pid}`;

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);
const same = (seen: readonly number[], expected: readonly number[]): string =>
  seen.join() === expected.join() ? 'yes' : 'no';

// 4 KiB hold far fewer than 500 messages.
const small = { deliver: 'all', capacityBytes: 4096 } as const;

async function lossless(): Promise<void> {
  await using news = await open(`${name}-lossless`, { ...small, role: 'producer' });
  await using quick = await open(news.address, { role: 'consumer' });
  await using slow = await open(news.address, { role: 'consumer' });

  const isFull = new Promise<void>((resolve) => {
    news.on('full', () => resolve());
  });
  const sending = (async () => {
    for (const number of range(1, NEWS)) await news.send(number);
    await news.end();
  })();
  const quickRead = numbersOf(quick);
  await isFull;
  console.log('lossless: the newsroom waits for the slow subscriber');
  const slowRead = await numbersOf(slow);
  await sending;
  console.log(`  the quick one got all ${NEWS}: ${same(await quickRead, range(1, NEWS))}`);
  console.log(`  the slow one got all ${NEWS}: ${same(slowRead, range(1, NEWS))}`);
}

async function dropOldest(): Promise<void> {
  await using news = await open(`${name}-lossy`, { ...small, full: 'drop-oldest', role: 'producer' });
  await using quick = await open(news.address, { role: 'consumer' });
  await using slow = await open(news.address, { role: 'consumer' });
  let gaps = 0;
  slow.on('gap', ({ count }) => {
    gaps += count;
  });

  let isFull = false;
  news.on('full', () => {
    isFull = true;
  });
  const quickRead: number[] = [];
  for (const number of range(1, NEWS)) {
    await news.send(number);
    quickRead.push((await quick.receive()).data as number);
  }
  await news.end();
  console.log(`drop-oldest: the newsroom waited for the slow subscriber: ${isFull ? 'yes' : 'no'}`);
  console.log(`  the quick one got all ${NEWS}: ${same(quickRead, range(1, NEWS))}`);
  const slowRead = await numbersOf(slow);
  console.log(`  the slow one missed some: ${gaps > 0 ? 'yes' : 'no'}`);
  console.log(`  it got all that came after them: ${same(slowRead, range(gaps + 1, NEWS))}`);
  const { missed } = (await slow.stats()).place.extra;
  console.log(`  counted in stats() too: ${missed === gaps ? 'yes' : 'no'}`);
}

async function retained(): Promise<void> {
  await using news = await open(`${name}-retained`, { deliver: 'all', retain: 3, role: 'producer' });
  await news.sendMany(range(1, 10));
  await using late = await open(news.address, { role: 'consumer' });
  await using later = await open(news.address, { role: 'consumer', from: 'now' });
  await news.send(11);
  await news.end();
  console.log(`a late subscriber: ${(await numbersOf(late)).join(' ')}`);
  console.log(`a late one that starts with what is new: ${(await numbersOf(later)).join(' ')}`);
}

async function numbersOf(subscriber: AsyncIterable<{ readonly data: unknown }>): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { data } of subscriber) numbers.push(data as number);
  return numbers;
}

await lossless();
await dropOldest();
await retained();
