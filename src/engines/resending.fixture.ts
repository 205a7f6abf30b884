// A network that stalls, or that breaks in the midst of frames, between a handle and an engine: what was not confirmed goes out again, which
// places with an outbox do. Mailboxes stay until their engine goes: ActiveMQ Classic cannot be told to remove one.

import { expect } from 'vitest';
import { open } from '../index.ts';
import { FaultProxy } from '../link/fault-proxy.fixture.ts';

const RECEIVE_MS = 20_000;

/**
 * The stall is noticed by the heartbeat, and the send into it ends well when the network is back.
 * @param url  of a mailbox that nobody else uses
 * @param parameter  that makes the heartbeat fast
 */
export async function survivesStall(url: string, parameter: string): Promise<void> {
  const proxy = await FaultProxy.to(Number(new URL(url).port));
  try {
    await using producer = await open(`${proxy.through(url)}&${parameter}`);
    await using consumer = await open(url);
    await producer.send('before');
    const lost = new Promise((resolve) => producer.on('disconnect', resolve));
    proxy.isStalled = true;
    const sending = producer.send('meanwhile');
    await lost;
    proxy.isStalled = false;
    proxy.reset();
    await sending;
    expect((await consumer.receive({ timeoutMs: RECEIVE_MS })).data).toBe('before');
    expect((await consumer.receive({ timeoutMs: RECEIVE_MS })).data).toBe('meanwhile');
  } finally {
    await proxy.close();
  }
}

/** Connections are reset while frames are under way in pieces: nothing confirmed is lost, and a consumer goes on. */
export async function survivesResets(url: string): Promise<void> {
  const proxy = await FaultProxy.to(Number(new URL(url).port));
  proxy.pieceBytes = 7;
  try {
    await using mailbox = await open(proxy.through(url));
    // An ack that a dying connection swallowed.
    mailbox.on('error', () => undefined);
    const got = new Set<unknown>();
    const consuming = mailbox.consume(({ data }) => {
      got.add(data);
    });
    for (let n = 1; n <= 30; n += 1) {
      const sending = mailbox.send(n);
      if (n % 10 === 0) proxy.reset();
      await sending;
    }
    await expect.poll(() => got.size, { timeout: 60_000 }).toBe(30);
    await consuming.stop();
  } finally {
    await proxy.close();
  }
}
