// Everything at once: producers and consumers that come, are stopped, and are killed at any moment, on small lanes. At the
// end every published message was received, no acked one came again, and nothing is left.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { type PeerProcess, Scene, until, upTo } from './scene.fixture.ts';

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

const SECONDS = Number(process.env['NARU_CHAOS_SECONDS'] ?? 4);

test('a stopped producer keeps its seat and its lane, and goes on where it was', async () => {
  const consumer = await scene.peer({ name: 'm', laneBytes: 4096 });
  await consumer.consume();
  const stopped = scene.start({ name: 'm', role: 'producer', id: 1, count: 300_000, batch: 5 });
  await until(() => consumer.sequences(1).length > 50, 'it sends');
  stopped.child.kill('SIGSTOP');
  await consumer.send(2, 0, 2000);
  await until(() => consumer.sequences(2).length === 2000, 'the others go on');
  const before = performance.now();
  await until(() => performance.now() - before > 1_200, 'the safety timer has looked twice');
  expect(consumer.driver.peers.producers).toBe(2);
  expect(consumer.events).toEqual([]);
  stopped.child.kill('SIGCONT');
  expect(await stopped.exit).toBe(0);
  await until(() => consumer.sequences(1).length === 300_000, 'everything comes');
  expect(consumer.sequences(1)).toEqual(upTo(300_000));
});

test('producers and consumers killed at any time lose and double nothing', { timeout: 60_000 }, async () => {
  const keeper = await scene.peer({ name: 'm', laneBytes: 8192, owner: 'system' });
  const producers: PeerProcess[] = [];
  const consumers: PeerProcess[] = [];
  const pause = (ms: number): Promise<void> => {
    const end = performance.now() + ms;
    return until(() => performance.now() >= end, 'time passes');
  };
  const end = performance.now() + SECONDS * 1000;
  while (performance.now() < end) {
    const orders = { name: 'm', owner: 'system' } as const;
    const id = producers.length;
    const producer = scene.start({ ...orders, role: 'producer', id, count: 1e9, batch: 1 + (id % 7) });
    producers.push(producer);
    const consumer = scene.start({ ...orders, role: 'consumer', reverse: id % 2 === 0 });
    consumers.push(consumer);
    await until(() => consumer.lines.length > 50 && producer.lines.includes('open'), 'they work');
    await pause(Math.random() * 60);
    const [first, second] = Math.random() < 0.5 ? [producer, consumer] : [consumer, producer];
    first.child.kill('SIGKILL');
    await pause(Math.random() * 20);
    second.child.kill('SIGKILL');
    await Promise.all([first.exit, second.exit]);
  }
  await keeper.consume();
  await until(() => keeper.driver.peers.producers === 0, 'the dead are cleaned up', 2_000);
  let depth = 1;
  for (const _ of upTo(500)) {
    depth = (await keeper.driver.stats()).depth;
    if (depth === 0) break;
    await pause(10);
  }
  expect(depth).toBe(0);
  expect(keeper.events).not.toContain('error');
  // Who had what: the logs of the dead consumers, in their order, and ours.
  const acked = new Set<string>();
  const received = new Map<number, Set<number>>();
  const note = (id: number, sequence: number, deliveries: number): void => {
    const key = `${id} ${sequence}`;
    expect(acked.has(key), `${key} was acked before`).toBe(false);
    const seen = received.get(id) ?? new Set();
    if (seen.has(sequence)) expect(deliveries, `${key} came again`).toBeGreaterThan(1);
    received.set(id, seen.add(sequence));
  };
  for (const { lines } of consumers) {
    for (const line of lines) {
      const [what, id, sequence, deliveries] = line.split(' ');
      if (what === 'got') note(Number(id), Number(sequence), Number(deliveries));
      if (what === 'acked') acked.add(`${id} ${sequence}`);
    }
  }
  for (const { id, sequence, deliveries } of keeper.got) note(id, sequence, deliveries);
  for (const [id, sequences] of received) {
    // One may be missing from the log of the consumer that died after the take and before the log's line; it then came again.
    const highest = Math.max(...sequences);
    expect(sequences.size, `messages of producer ${id}`).toBe(highest + 1);
  }
  expect(received.size).toBeGreaterThan(3);
  await keeper.driver.unlink();
  await keeper.driver.close();
  expect(scene.mailboxes).toEqual([]);
});
