// The memory place behind the Mailbox that users hold: what only shows when both work together.

import { expect, test } from 'vitest';
import { open } from '../../index.ts';

test('handles that wait for room take turns', async () => {
  await using box = await open('memory://turns?capacityMessages=1', { role: 'consumer' });
  const senders = await Promise.all([open('memory://turns'), open('memory://turns')]);
  const sent = senders.flatMap((sender, n) => Array.from({ length: 20 }, () => sender.send(n)));
  const counts = [0, 0];
  for (let taken = 0; taken < 40; taken += 1) {
    const { data } = await box.receive({ timeoutMs: 5000 });
    counts[data as number] = (counts[data as number] ?? 0) + 1;
    if (Math.max(...counts) < 20) expect(Math.abs((counts[0] ?? 0) - (counts[1] ?? 0))).toBeLessThan(3);
  }
  await Promise.all(sent);
  await Promise.all(senders.map((sender) => sender.close()));
});

test('rendezvous: send resolves when a receive is there, also with a loop that would fetch ahead', async () => {
  await using box = await open('memory://meet?capacityMessages=0');
  await expect(box.send('nobody', { timeoutMs: 5 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  const log: string[] = [];
  const sending = (async () => {
    for (const n of [1, 2, 3]) {
      await box.send(n);
      log.push(`sent ${n}`);
    }
    await box.end();
  })();
  for await (const { data } of box) {
    log.push(`got ${String(data)}`);
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  await sending;
  expect(log.indexOf('sent 2')).toBeGreaterThan(log.indexOf('got 1'));
  expect(log.indexOf('sent 3')).toBeGreaterThan(log.indexOf('got 2'));
});

test('request and reply, with errors of the handler', async () => {
  await using asking = await open('memory://ask');
  await using serving = await open('memory://ask');
  serving.serve(({ data }) => {
    if (data === 'bad') throw new Error('no');
    return { answer: data };
  });
  expect((await asking.request('x')).data).toEqual({ answer: 'x' });
  await expect(asking.request('bad')).rejects.toMatchObject({ code: 'NARU_REMOTE' });
});

test('a failing handler gets the message again, with a growing delay, until it works', async () => {
  await using box = await open('memory://retry');
  const attempts: number[] = [];
  const consumption = box.consume(
    ({ deliveries }) => {
      attempts.push(deliveries);
      if (deliveries < 3) throw new Error('not yet');
    },
    { concurrency: 1 },
  );
  await box.send('work');
  await box.end();
  await consumption.finished;
  expect(attempts).toEqual([1, 2, 3]);
});

test('a topic: everybody gets everything, latecomers the last ones', async () => {
  await using first = await open('memory://news?deliver=all&retain=2', { role: 'consumer' });
  await using press = await open('memory://news', { role: 'producer' });
  for (const n of [1, 2, 3]) await press.send(n);
  await using late = await open('memory://news', { role: 'consumer' });
  await press.end();
  const read = async (box: typeof first): Promise<unknown[]> => {
    const all: unknown[] = [];
    for await (const { data } of box) all.push(data);
    return all;
  };
  expect(await read(first)).toEqual([1, 2, 3]);
  expect(await read(late)).toEqual([2, 3]);
});

test('confirm: "received" resolves when a consumer has it', async () => {
  await using box = await open('memory://receipt');
  let reached: string | undefined;
  const sent = box.send('x', { confirm: 'received' }).then((receipt) => (reached = receipt.reached));
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  expect(reached).toBeUndefined();
  await box.receive();
  await sent;
  expect(reached).toBe('received');
});

test('a receive that lets the event loop turn first keeps to the seat it asked for', async () => {
  await using box = await open('memory://turned');
  const end = performance.now() + 30;
  // A loop that never waits: the turn is over, and the next receive gives the event loop its turn.
  while (performance.now() < end) {
    await box.send(1);
    await box.receive();
  }
  await box.disconnect('consumer');
  const receiving = box.receive();
  receiving.catch(() => undefined);
  await box.connect('consumer');
  await box.disconnect('consumer');
  await expect(receiving).rejects.toMatchObject({ code: 'NARU_CLOSED' });
});

test('closing a handle under its handler is no error: the message goes back', async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): number => warnings.push(warning.message);
  process.on('warning', onWarning);
  await using other = await open('memory://under');
  const box = await open('memory://under');
  const handled = new Promise<void>((resolve) => {
    box.consume(async () => {
      await box.close();
      resolve();
    });
  });
  await other.send('again');
  await handled;
  expect(await other.receive({ timeoutMs: 5000 })).toMatchObject({ data: 'again', redelivered: true });
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});
