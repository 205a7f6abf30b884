// naru bridge between a program in C, which knows System V queues and nothing else, and a mailbox behind TCP.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SystemVQueue } from '../kernel/index.ts';
import { hasCompiler, KernelStage } from '../kernel/stage.fixture.ts';
import { nativeProblem } from '../native/index.ts';
import { open } from '../open.ts';
import { Sandbox } from './command.fixture.ts';

const COUNT = 500;

describe.skipIf(nativeProblem() !== undefined || !hasCompiler())('naru bridge and a C program', () => {
  let stage: KernelStage;
  let key: number;
  beforeEach(() => {
    stage = new KernelStage();
    key = 0x4d000000 | (process.pid & 0xffffff);
    const queue = SystemVQueue.open({ key, create: 'new' });
    stage.cleanup(() => queue.remove());
  });
  afterEach(() => stage.close());

  test('what it sends arrives at a tcp:// mailbox with its type, and what is sent there arrives at it', async () => {
    await using sandbox = new Sandbox();
    await using host = await open('tcp://127.0.0.1:0?listen', { codec: 'text' });
    const url = `sysv://0x${key.toString(16)}`;
    // More than the queue holds: it blocks until the bridge makes room.
    const producer = stage.c(
      'producer',
      String.raw`
      const int id = msgget((key_t)strtoul(argv[1], NULL, 10), 0);
      if (id < 0) fail("msgget");
      struct message m;
      for (int i = 0; i < ${COUNT}; i++) {
        m.type = 1 + i % 3;
        memset(m.text, '.', 100);
        const int used = snprintf(m.text, sizeof m.text, "%d", i);
        m.text[used] = ' ';
        if (msgsnd(id, &m, 100, 0) != 0) fail("msgsnd");
      }`,
      key,
    );
    const there = await sandbox.run(['bridge', url, host.address, '--count', String(COUNT), '--json']);
    expect(there.stderr).toMatch(/SIGKILL/);
    expect(there.code).toBe(0);
    expect(await producer.end()).toMatchObject({ code: 0 });
    const got = await host.receiveMany(COUNT);
    expect(got.map(({ type, data }) => [type, Number.parseInt(data, 10), data.length])).toEqual(
      Array.from({ length: COUNT }, (_, i) => [String(1 + (i % 3)), i, 100]),
    );

    const consumer = stage.c(
      'consumer',
      String.raw`
      const int id = msgget((key_t)strtoul(argv[1], NULL, 10), 0);
      struct message m;
      for (int i = 0; i < 3; i++) {
        const ssize_t n = msgrcv(id, &m, sizeof m.text, 0, 0);
        if (n < 0) fail("msgrcv");
        printf("%ld %.*s\n", m.type, (int)n, m.text);
        fflush(stdout);
      }`,
      key,
    );
    for (const [text, type] of [
      ['one', '7'],
      ['two', '8'],
      ['나루', '9'],
    ] as const)
      await host.send(text, { type });
    const back = await sandbox.run(['bridge', host.address, url, '--count', '3', '--json']);
    expect(back.code).toBe(0);
    for (const line of ['7 one', '8 two', '9 나루']) expect(await consumer.line()).toBe(line);
    expect(await consumer.end()).toMatchObject({ code: 0 });
  });
});
