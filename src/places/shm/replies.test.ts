// The way back for requests over shm://: ports of the requesters, in this and in other processes, alive and dead.

import { afterEach, beforeEach, expect, test } from 'vitest';
import { open } from '../../open.ts';
import { portName } from './replies.ts';
import { Scene, upTo } from './scene.fixture.ts';

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

const message = (body: string): Parameters<Awaited<ReturnType<typeof port>>['send']>[1] => ({
  body: Buffer.from(body),
  sequence: 1,
  time: 1,
  fields: undefined,
  confirm: undefined,
  done: undefined,
});

async function port(name = 'm') {
  const peer = await scene.peer({ name });
  const opened = await peer.driver.openReplies?.();
  if (opened === undefined) throw new Error('shm:// has replies');
  return opened;
}

test('many requests in flight all get their own answers, errors included', async () => {
  await using client = await open('shm://m');
  await using server = await open('shm://m');
  server.serve((request) => {
    const number = request.data as number;
    if (number % 10 === 0) throw new Error(`no ${number}`);
    return number * 2;
  });
  const answers = await Promise.all(
    upTo(500).map((number) =>
      client.request(number).then(
        (answer) => answer.data,
        (error: unknown) => (error as { code: string }).code,
      ),
    ),
  );
  expect(answers).toEqual(upTo(500).map((number) => (number % 10 === 0 ? 'NARU_REMOTE' : number * 2)));
});

test('a port is a mailbox of its own that goes with its handle', async () => {
  const client = await open('shm://m');
  await expect(client.request(1, { timeoutMs: 20 })).rejects.toMatchObject({ code: 'NARU_TIMEOUT' });
  expect(scene.mailboxes.sort()).toEqual(['m', portName(client.identity)]);
  await client.close();
  expect(scene.mailboxes).toEqual([]);
});

test('an answer to a requester that is gone is PEER_GONE; one to no port is refused', async () => {
  const mine = await port();
  const other = await port('n');
  await mine.send(other.address, message('a'));
  await other.close();
  await expect(mine.send(other.address, message('b'))).rejects.toMatchObject({ code: 'NARU_CLOSED' });
  await expect(mine.send(other.address, message('c'))).rejects.toMatchObject({ code: 'NARU_PEER_GONE' });
  await expect(mine.send('shm://~port.1.2.3-4', message('d'))).rejects.toMatchObject({
    code: 'NARU_PEER_GONE',
  });
  for (const address of ['shm://m', 'm', '', 'shm://~inbox.1.2.3', 'shm://~port.../x', 'shm://~port.a/../b'])
    await expect(mine.send(address, message('e')), address).rejects.toMatchObject({
      code: 'NARU_INVALID_ARGUMENT',
    });
  await mine.close();
});

test('answers that find a full port wait for room', async () => {
  const mine = await port();
  const other = await port('n');
  const body = 'x'.repeat(100_000);
  await Promise.all(upTo(50).map(() => mine.send(other.address, message(body))));
  await other.close();
  await mine.close();
});

test('more ports than are kept open work as well', async () => {
  const mine = await port();
  const others = [];
  for (const number of upTo(70)) others.push(await port(`n${number}`));
  for (const other of others) await mine.send(other.address, message('a'));
  for (const other of others) await mine.send(other.address, message('b'));
  for (const other of others) await other.close();
  await mine.close();
});
