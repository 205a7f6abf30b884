// A real disk that fails or is full: strace makes a sync fail, a tmpfs is too small. What the command and an embedded broker do.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import amqp from 'amqplib';
import { describe, expect, onTestFinished, test } from 'vitest';
import { BrokerProcess } from './broker-process.fixture.ts';

const canTrace = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0;
const canMount = spawnSync('unshare', ['-Ur', '-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0;

function folderOf(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), name));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

describe.skipIf(!canTrace)(`a sync that fails${canTrace ? '' : ' (skipped: needs strace)'}`, () => {
  test('an embedded broker stops with an error event, confirms nothing more, and its host goes on', async () => {
    const folder = folderOf('naru-broker-eio-');
    // strace counts for each thread, so there is one. A start needs fewer.
    const inject = 'inject=fdatasync:error=EIO:when=12+';
    const trace = ['strace', '-f', '-qq', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', inject];
    await using broker = await BrokerProcess.start(folder, 'disk', ['env', 'UV_THREADPOOL_SIZE=1', ...trace]);
    const connection = await amqp.connect(broker.url);
    connection.on('error', () => undefined);
    const closed = new Promise((resolve) => {
      connection.on('close', resolve);
    });
    const channel = await connection.createConfirmChannel();
    channel.on('error', () => undefined);
    let confirmed = 0;
    // It hears nothing of some of them: that is the point.
    void (async () => {
      await channel.assertQueue('q', { durable: true });
      for (let id = 0; id < 50; id += 1) {
        await new Promise<void>((resolve, reject) => {
          const options = { persistent: true };
          channel.sendToQueue('q', Buffer.from(String(id)), options, (error: unknown) => {
            if (error === null || error === undefined) resolve();
            else reject(new Error('not confirmed', { cause: error }));
          });
        });
        confirmed += 1;
      }
    })().catch(() => undefined);
    await closed;
    expect(confirmed).toBeLessThan(50);
    expect(await broker.next()).toEqual({ error: 'NARU_STORAGE' });
    expect([broker.child.exitCode, broker.child.signalCode]).toEqual([null, null]);
    await broker.kill();

    await using again = await BrokerProcess.start(folder);
    expect(again.recovered?.messages).toBeGreaterThanOrEqual(confirmed);
  });
});

describe.skipIf(!canMount)(
  `a real disk that is full${canMount ? '' : ' (skipped: needs unshare with a tmpfs)'}`,
  () => {
    test('publishers are told and wait, a consumer drains, everything is confirmed in the end', async () => {
      const folder = folderOf('naru-broker-full-');
      // A tmpfs in a mount namespace of its own; it goes with the process.
      const script = 'mount -t tmpfs -o size=66m tmpfs "$0" && exec "$@"';
      const wrapper = ['unshare', '-Ur', '-m', 'sh', '-c', script, folder];
      await using broker = await BrokerProcess.start(folder, 'disk', wrapper);
      const connection = await amqp.connect(broker.url);
      const blocked = new Promise<string>((resolve) => {
        connection.on('blocked', resolve);
      });
      const unblocked = new Promise<void>((resolve) => {
        connection.on('unblocked', () => resolve());
      });
      const channel = await connection.createConfirmChannel();
      await channel.assertQueue('q', { durable: true });
      const body = Buffer.alloc(64 << 10, 'x');
      const count = 1200;
      let confirmed = 0;
      for (let id = 0; id < count; id += 1) {
        channel.sendToQueue('q', body, { persistent: true }, (error: unknown) => {
          if (error === null || error === undefined) confirmed += 1;
        });
      }
      const done = channel.waitForConfirms();
      expect(await blocked).toBe('low on disk');

      const draining = await amqp.connect(broker.url);
      const consumer = await draining.createChannel();
      let got = 0;
      const all = new Promise<void>((resolve) => {
        void consumer.consume('q', (message) => {
          if (message === null) return;
          got += 1;
          consumer.ack(message);
          if (got === count) resolve();
        });
      });
      await Promise.all([unblocked, done, all]);
      expect([confirmed, got]).toEqual([count, count]);
      await draining.close();
      await connection.close();
    }, 60_000);
  },
);
