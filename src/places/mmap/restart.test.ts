// What a mailbox in a mapped file keeps when its participants end: killed in the midst of their work, all of them, several times.

import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { open } from '../../open.ts';
import { type Child, Files } from './files.fixture.ts';

const PEER = './peer.fixture.js';
const LIMIT = { timeout: 120_000 };

function numbersOf(children: readonly Child[], word: 'sent' | 'got'): number[] {
  return children.flatMap(({ lines }) =>
    lines.filter((line) => line.startsWith(word)).map((line) => Number(line.split(' ')[1])),
  );
}

/** Everything that was sent came, and nothing came twice without saying so. */
function check(producers: readonly Child[], consumers: readonly Child[], rest: readonly number[]): void {
  const got = new Set([...numbersOf(consumers, 'got'), ...rest]);
  const sent = numbersOf(producers, 'sent');
  expect(sent.filter((number) => !got.has(number))).toEqual([]);
  const firsts = consumers
    .flatMap(({ lines }) => lines)
    .filter((line) => line.startsWith('got') && line.endsWith(' 1'));
  expect(new Set(firsts).size).toBe(firsts.length);
}

describe('a mailbox in a mapped file', () => {
  test('outlives two deaths of all its participants, with all that is in it', LIMIT, async () => {
    await using files = new Files();
    const url = files.url('events');
    const producers: Child[] = [];
    const consumers: Child[] = [];
    for (let life = 0; life < 3; life += 1) {
      const producer = files.start(PEER, [
        'producer',
        url,
        String(life * 100_000),
        String(life * 100_000 + 99_999),
      ]);
      producers.push(producer);
      await producer.wrote(300);
      const consumer = files.start(PEER, ['consumer', url]);
      consumers.push(consumer);
      await consumer.wrote(150);
      // Everybody at once, wherever they are.
      await Promise.all([producer.kill(), consumer.kill()]);
      expect(existsSync(files.path('events'))).toBe(true);
    }
    const rest: number[] = [];
    await using mailbox = await open(url, { create: 'never' });
    expect((await mailbox.stats()).place).toMatchObject({ producers: 0, consumers: 0 });
    await mailbox.connect('consumer');
    for (let message = mailbox.tryReceive(); message !== undefined; message = mailbox.tryReceive()) {
      rest.push(message.data as number);
      if (message.deliveries === 1)
        consumers.push({ ...(consumers[0] as Child), lines: [`got ${rest.at(-1)} 1`] });
    }
    expect(rest.length).toBeGreaterThan(0);
    check(producers, consumers, rest);
  });

  test('a producer and a consumer are killed and replaced while the other goes on', LIMIT, async () => {
    await using files = new Files();
    const url = files.url('events');
    const consumers = [files.start(PEER, ['consumer', url])];
    const producers: Child[] = [];
    for (let life = 0; life < 3; life += 1) {
      const first = life * 100_000;
      const producer = files.start(PEER, ['producer', url, String(first), String(first + 99_999)]);
      producers.push(producer);
      await producer.wrote(200);
      if (life === 1) {
        await consumers[0]?.kill();
        consumers.push(files.start(PEER, ['consumer', url]));
      }
      await producer.kill();
    }
    await using mailbox = await open(url, { create: 'never' });
    for (let left = 1; left > 0; ) {
      const { depth, unsettled } = (await mailbox.stats()).place;
      left = depth + unsettled;
      await new Promise((resolve) => {
        setTimeout(resolve, 20);
      });
    }
    await Promise.all(consumers.map((consumer) => consumer.kill()));
    check(producers, consumers, []);
  });

  test('whoever makes, leaves or is recovered may be killed at any step', LIMIT, async () => {
    await using files = new Files();
    const steps = (
      'create:empty create:sized create:header create:before-ready create:ready seat:before-fifo seat:fifo-made seat:fifo-locked ' +
      'seat:slot-filled lane:allocated lane:owned offer:before-tail offer:after-tail recover:leaving recover:bell-removed remove:lock-gone'
    ).split(' ');
    for (const step of steps) {
      const name = step.replace(':', '-');
      expect(await files.start('./maker.fixture.js', [files.path(name), step]).exit, step).toBe('SIGKILL');
      const mailbox = await open(files.url(name));
      const isSent = steps.indexOf(step) >= steps.indexOf('offer:after-tail');
      await mailbox.connect('consumer');
      expect(mailbox.tryReceive()?.data, step).toBe(isSent ? 'kept' : undefined);
      await mailbox.send('new');
      expect((await mailbox.receive()).data).toBe('new');
      await mailbox.close();
      expect(readdirSync(files.folder), step).toEqual([name]);
      rmSync(files.path(name));
    }
  });

  test('a copy of the file, and one whose doorbells are gone, open with what is in them', LIMIT, async () => {
    await using files = new Files();
    const producer = files.start(PEER, ['producer', files.url('events'), '1', '1000']);
    await producer.wrote(500);
    await producer.kill();
    // What a backup keeps is the file alone; the dead are in its tables.
    cpSync(files.path('events'), files.path('copy'));
    rmSync(`${files.path('events')}.naru`, { recursive: true });
    for (const name of ['copy', 'events']) {
      await using mailbox = await open(files.url(name), { create: 'never' });
      const { depth, producers } = (await mailbox.stats()).place;
      expect(depth).toBeGreaterThanOrEqual(499);
      expect(producers).toBe(0);
      expect((await mailbox.receive()).data).toBe(1);
      await mailbox.send('new');
    }
    expect(readdirSync(files.folder).toSorted()).toEqual(['copy', 'events']);
  });
});
