// Claims and views with the policies, the dead letter and the end of a mailbox: what only shows in the place that has everything.

import { expect, test } from 'vitest';
import { open } from '../../index.ts';

const bytes = { codec: 'bytes' } as const;

test('the array of a claim becomes the body, and a view is that body: no copy in between', async () => {
  await using box = await open('memory://same', bytes);
  const claim = await box.claim(100_000);
  const { buffer } = claim.data;
  claim.commit();
  using view = await box.receiveView();
  expect(view.data.buffer).toBe(buffer);
  expect(view.body).toBe(view.data);
});

test('full "fail": a claim without room is NARU_FULL, a send behind an open claim is not', async () => {
  await using box = await open('memory://fail?capacityMessages=2&full=fail', bytes);
  await box.connect('producer');
  const claim = await box.claim(1);
  const behind = box.send(Uint8Array.of(2));
  expect(box.trySend(Uint8Array.of(3))).toBe(false);
  claim.commit();
  await behind;
  await expect(box.claim(1)).rejects.toMatchObject({ code: 'NARU_FULL' });
  expect(() => box.tryClaim(1)).toThrow(expect.objectContaining({ code: 'NARU_FULL' }));
});

test('full "drop-newest": what is written into a claim without room is dropped and counted at the commit', async () => {
  await using box = await open('memory://newest?capacityMessages=1&full=drop-newest', bytes);
  await box.send(Uint8Array.of(1));
  expect(box.tryClaim(1)).toBeUndefined();
  const claim = await box.claim(1);
  claim.data[0] = 2;
  expect((await box.stats()).dropped['full']).toBeUndefined();
  expect(claim.commit().reached).toBe('dropped');
  (await box.claim(1)).abort();
  expect((await box.stats()).dropped['full']).toBe(1);
  expect([...(await box.receive()).data]).toEqual([1]);
});

test('full "drop-oldest": a claim takes the room of what waits longest, and is not dropped itself', async () => {
  await using box = await open('memory://oldest?capacityMessages=2&full=drop-oldest', bytes);
  for (const n of [1, 2]) await box.send(Uint8Array.of(n));
  const claim = await box.claim(1);
  claim.data[0] = 3;
  await using other = await open('memory://oldest?full=drop-oldest', bytes);
  await other.send(Uint8Array.of(4));
  claim.commit();
  const seen = await box.receiveMany(5);
  expect(seen.map(({ data }) => data[0])).toEqual([4, 3]);
  expect((await box.stats()).dropped['full']).toBe(2);
});

test('nobody is there: a claim fails, waits or is dropped as a send would', async () => {
  await using failing = await open('memory://nobody?nobody=fail', bytes);
  await expect(failing.claim(1)).rejects.toMatchObject({ code: 'NARU_NO_CONSUMER' });
  await using dropping = await open('memory://nobody?nobody=drop', bytes);
  expect((await dropping.claim(1)).commit().reached).toBe('dropped');
  expect((await dropping.stats()).dropped['nobody']).toBe(1);
  await using waiting = await open('memory://nobody?nobody=wait', bytes);
  const claim = waiting.claim(1);
  await using consumer = await open('memory://nobody', bytes);
  const received = consumer.receive();
  (await claim).commit();
  expect((await received).body.byteLength).toBe(1);
});

test('the event "full" is told again after a claim found room', async () => {
  await using box = await open('memory://told?capacityMessages=1', bytes);
  let told = 0;
  box.on('full', () => {
    told += 1;
  });
  for (let round = 1; round <= 3; round += 1) {
    await box.send(Uint8Array.of(1));
    const claim = box.claim(1);
    expect(told).toBe(round);
    await box.receive();
    (await claim).commit();
    await box.receive();
  }
});

test('a rendezvous has no room to claim', async () => {
  await using box = await open('memory://meeting?capacityMessages=0', bytes);
  await expect(box.claim(1)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
  await using sync = await open('memory://receipts', { ...bytes, confirm: 'received' });
  await expect(sync.claim(1)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
});

test('end() waits for the open claim; after another handle ended the mailbox a commit is NARU_CLOSED', async () => {
  await using box = await open('memory://ending', bytes);
  await using other = await open('memory://ending', bytes);
  const mine = await box.claim(1);
  const late = await other.claim(1);
  const ending = box.end();
  mine.commit();
  await ending;
  expect(() => late.commit()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
  expect(() => late.commit()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
  await expect(other.claim(1)).rejects.toMatchObject({ code: 'NARU_CLOSED' });
  expect((await box.receive()).body.byteLength).toBe(1);
  await expect(box.receiveView()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
});

test('unlink() ends claims and views of every handle', async () => {
  const box = await open('memory://unlinked', bytes);
  await using other = await open('memory://unlinked', bytes);
  await box.send(Uint8Array.of(1));
  const claim = await other.claim(1);
  const view = await other.receiveView();
  await box.unlink();
  expect(() => claim.commit()).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
  claim.abort();
  await view.ack();
});

test('a rejected view goes to the dead letter before its memory is given back', async () => {
  await using grave = await open('memory://grave', bytes);
  await using box = await open('memory://alive?deadLetter=memory://grave', bytes);
  await box.send(Uint8Array.of(7));
  const view = await box.receiveView();
  await view.reject('bad');
  const dead = await grave.receive();
  expect([[...dead.data], dead.headers['x-death-reason']]).toEqual([[7], 'bad']);
  expect((await box.stats()).rejected).toBe(1);
});

test('a view whose lease is over has gone back: ack() says so, and so does the end of its block in silence', async () => {
  await using box = await open('memory://leased?leaseMs=20', bytes);
  await box.send(Uint8Array.of(1));
  {
    using first = await box.receiveView();
    const second = await box.receiveView();
    expect([first.deliveries, second.deliveries]).toEqual([1, 2]);
    await second.ack();
    await expect(first.ack()).rejects.toMatchObject({ code: 'NARU_SETTLED' });
  }
});

test('headers come with a claim as with a send, but the content type is only what the options say', async () => {
  await using box = await open('memory://typed');
  (await box.claim(2, { type: 'x', priority: 3, headers: { a: 'b' } })).commit();
  (await box.claim(2, { contentType: 'image/png' })).commit();
  const [first, second] = [await box.receiveView(), await box.receiveView()];
  expect([first.type, first.priority, first.headers, first.contentType]).toEqual([
    'x',
    3,
    { a: 'b' },
    undefined,
  ]);
  expect(second.contentType).toBe('image/png');
  await first.ack();
  await second.ack();
});
