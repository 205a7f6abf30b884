// The sending end over an engine of paper: what it does about answers that come in an unlucky order. What engines make of it is in their places.

import { expect, test } from 'vitest';
import type { Outgoing } from '../mailbox/driver.ts';
import type { Backend, Room } from './backend.ts';
import { EngineSender } from './sender.ts';

const message: Outgoing = {
  body: new Uint8Array(1),
  sequence: 1,
  time: 1_700_000_000_000,
  fields: undefined,
  confirm: undefined,
  done: undefined,
};

test('news of room that come before an older answer is read make it look again: it may be woken only once', async () => {
  const looks: ((room: Room) => void)[] = [];
  let sleeps = 0;
  const backend: Pick<Backend, 'put'> = {
    put: ({ rows }) => Promise.resolve({ placed: rows.length, dropped: 0 }),
  };
  const sender = new EngineSender({
    backend: backend as Backend,
    hooks: { writable: () => undefined, event: () => undefined } as never,
    identity: '1.1.0/1',
    capacityBytes: Number.POSITIVE_INFINITY,
    look: () => new Promise((resolve) => looks.push(resolve)),
    sleep: () => {
      sleeps += 1;
      return Promise.resolve();
    },
    placed: () => undefined,
    lost: () => undefined,
    hold: () => undefined,
    onClose: () => Promise.resolve(),
  });
  // It is full: it says that it sleeps, and looks.
  expect([sender.offer([message], 0), sleeps, looks.length]).toEqual([0, 1, 1]);
  sender.wake();
  looks[0]?.({ messages: 0, bytes: Number.POSITIVE_INFINITY });
  await expect.poll(() => [sleeps, looks.length]).toEqual([2, 2]);
  looks[1]?.({ messages: 1, bytes: Number.POSITIVE_INFINITY });
  await expect.poll(() => sender.offer([message], 0)).toBe(1);
  await sender.close();
});
