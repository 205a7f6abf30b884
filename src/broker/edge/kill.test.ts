// Brokers that are killed with SIGKILL at random moments under load: four producers with confirms, four consumers with acks, three
// durable queues. No confirmed message is lost, none comes from nowhere, none comes again without the mark.
// Longer: NARU_CRASH_ROUNDS (kills), NARU_CRASH_SEED (the moments).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { seeded } from '../../log/sim-disk.fixture.ts';
import { BrokerProcess } from './broker-process.fixture.ts';
import { connect, Ledger, QUEUES, settle } from './ledger.fixture.ts';

const ROUNDS = Number(process.env['NARU_CRASH_ROUNDS'] ?? 4);
const SEED = Number(process.env['NARU_CRASH_SEED'] ?? 1);
const WORKERS = 4;
/** Publishes that a producer has under way at most. */
const WINDOW = 100;

/** Publishes until the connection is gone. */
async function produce(url: string, ledger: Ledger, queue: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  const end = new AbortController();
  const closed = new Promise<void>((resolve) => {
    connection.on('close', () => {
      end.abort();
      resolve();
    });
  });
  await channel.assertQueue(queue, { durable: true });
  let pending = 0;
  let wake: (() => void) | undefined;
  while (!end.signal.aborted) {
    const body = ledger.next(queue);
    pending += 1;
    channel.sendToQueue(queue, Buffer.from(body), { persistent: true }, (error: unknown) => {
      if (error === null || error === undefined) ledger.confirm(body);
      pending -= 1;
      wake?.();
    });
    if (pending < WINDOW) continue;
    const room = new Promise<void>((resolve) => {
      wake = resolve;
    });
    await Promise.race([closed, room]);
  }
}

/** Consumes and acks until the connection is gone. */
async function consume(url: string, ledger: Ledger, queue: string): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createChannel();
  channel.on('error', () => undefined);
  await channel.assertQueue(queue, { durable: true });
  await channel.prefetch(20);
  await channel.consume(queue, (message) => {
    if (message === null) return;
    const body = message.content.toString();
    ledger.deliver(queue, body, message.fields.redelivered);
    ledger.acked.add(body);
    channel.ack(message);
  });
  await new Promise<void>((resolve) => {
    connection.on('close', () => resolve());
  });
}

test.each(['disk', 'os'])(
  `killed ${ROUNDS} times at random under load, at level %s`,
  async (sync) => {
    const folder = mkdtempSync(join(tmpdir(), 'naru-broker-kill-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const random = seeded(SEED);
    const ledger = new Ledger();
    for (let round = 0; round < ROUNDS; round += 1) {
      await using broker = await BrokerProcess.start(folder, sync);
      const confirmed = new Promise<void>((resolve) => {
        ledger.onConfirm = resolve;
      });
      // Who is still connecting when it is killed fails; the others see their connection close.
      const work = Promise.allSettled(
        Array.from({ length: WORKERS * 2 }, (_, index) => {
          const queue = QUEUES[index % QUEUES.length] as string;
          return (index < WORKERS ? produce : consume)(broker.url, ledger, queue);
        }),
      );
      if (round % 4 > 0) await confirmed;
      // How long it lives is chance, not a deadline: nothing waits for this.
      await after(Math.floor(random() * 400));
      await broker.kill();
      await work;
      expect([round, ledger.wrong]).toEqual([round, []]);
    }
    await using last = await BrokerProcess.start(folder, sync);
    expect(last.recovered).toMatchObject({ isClean: false, damaged: [] });
    await settle(last.url, ledger);
    expect(ledger.wrong).toEqual([]);
    expect(ledger.confirmed.size).toBeGreaterThan(0);
  },
  60_000 + ROUNDS * 10_000,
);
