// A broker that is killed at a chosen system call: every write, sync, allocation, rename and unlink of a short script, by strace. What
// was confirmed is there. CI visits every n-th call; NARU_KILL_STEP=1 visits all.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BrokerProcess } from './broker-process.fixture.ts';
import { connect, Ledger, QUEUES, settle } from './ledger.fixture.ts';

const canTrace = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0;
const STEP = Number(process.env['NARU_KILL_STEP'] ?? 8);
const CALLS = ['pwritev', 'pwrite64', 'fdatasync', 'fsync', 'fallocate', 'rename', 'unlink'] as const;
const MESSAGES = 12;

/** The command that kills at the n-th of some call of the one thread that makes them. */
function killAt(name: string, call: number): string[] {
  const trace = ['-e', `trace=${name}`, '-e', `inject=${name}:signal=KILL:when=${call}`];
  return ['env', 'UV_THREADPOOL_SIZE=1', 'strace', '-f', '-qq', '-o', '/dev/null', ...trace];
}

/** Declares, publishes one after the other, takes and acks some. Fails when the broker is gone. */
async function script(url: string, ledger: Ledger): Promise<void> {
  const connection = await connect(url);
  const channel = await connection.createConfirmChannel();
  channel.on('error', () => undefined);
  for (const queue of QUEUES) await channel.assertQueue(queue, { durable: true });
  const isGone = new Promise<never>((_resolve, reject) => {
    connection.on('close', () => reject(new Error('the broker is gone')));
  });
  isGone.catch(() => undefined);
  for (let index = 0; index < MESSAGES; index += 1) {
    const queue = QUEUES[index % QUEUES.length] as string;
    const body = ledger.next(queue);
    await Promise.race([
      isGone,
      new Promise<void>((resolve) => {
        channel.sendToQueue(queue, Buffer.from(body), { persistent: true }, (error: unknown) => {
          if (error !== null && error !== undefined) return;
          ledger.confirm(body);
          resolve();
        });
      }),
    ]);
    if (index % 3 > 0) continue;
    const got = await channel.get(queue);
    if (got === false) continue;
    ledger.deliver(queue, got.content.toString(), got.fields.redelivered);
    ledger.acked.add(got.content.toString());
    channel.ack(got);
  }
  await channel.close();
  await connection.close();
}

describe.skipIf(!canTrace)(`a kill at a system call${canTrace ? '' : ' (skipped: needs strace)'}`, () => {
  test.each(CALLS)(
    'at any %s: nothing that was confirmed is lost',
    async (name) => {
      for (let call = 1, isOver = false; !isOver; call += STEP) {
        const folder = mkdtempSync(join(tmpdir(), 'naru-broker-call-'));
        onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
        const ledger = new Ledger();
        await using broker = await BrokerProcess.start(folder, 'disk', killAt(name, call));
        // A start that was killed has no port.
        const isDone = await (broker.port === 0
          ? Promise.resolve(false)
          : script(broker.url, ledger).then(
              () => true,
              () => false,
            ));
        isOver = isDone;
        await broker.kill();
        await using again = await BrokerProcess.start(folder);
        await settle(again.url, ledger);
        expect([call, ledger.wrong]).toEqual([call, []]);
        await again.kill();
      }
    },
    600_000,
  );
});
