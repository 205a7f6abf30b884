// SystemVQueue and C programs that know nothing of Naru, both ways.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { until } from '../native/stage.fixture.ts';
import { SystemVQueue } from './index.ts';
import { codeOf, hasCompiler, KernelStage, sleepersIn } from './stage.fixture.ts';

const skipped = tryNative() === undefined || !hasCompiler();

describe.skipIf(skipped)(`System V queues and C (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let queue: SystemVQueue;

  beforeEach(() => {
    stage = new KernelStage();
    queue = SystemVQueue.open({ path: stage.folder, project: 'q' });
    stage.cleanup(() => queue.close());
    stage.cleanup(() => queue.remove());
  });
  afterEach(() => stage.close());

  const OPEN = String.raw`
    struct message m = {0};
    const int id = msgget(ftok(argv[1], 'q'), 0);
    if (id < 0) fail("msgget");
  `;

  test('a C producer that blocks on a full queue is woken by our receive, and all comes in order', async () => {
    const child = stage.c(
      'producer',
      String.raw`${OPEN}
      for (int i = 1; i <= 200; i++) {
        m.type = i;
        snprintf(m.text, sizeof m.text, "%d", i);
        if (msgsnd(id, &m, 1000, 0) != 0) fail("msgsnd");
      }
      say("done");`,
      stage.folder,
    );
    await until('the producer sleeps', () => sleepersIn('msgsnd', child.pid) === 1);
    expect(queue.stat().count).toBeLessThan(200);
    const types: number[] = [];
    while (types.length < 200) types.push((await queue.receive()).type);
    expect(types).toEqual(types.map((_, i) => i + 1));
    expect(await child.line()).toBe('done');
  });

  test('our send that waits on a full queue is woken by a C consumer', async () => {
    while (queue.trySend(Buffer.alloc(1000), 1));
    const sent = queue.send(Buffer.from('last'), 77);
    const larger = queue.send(Buffer.alloc(1000), 78);
    await until('it sleeps', () => sleepersIn('msgsnd') === 1);
    const child = stage.c(
      'consumer',
      String.raw`${OPEN}
      for (;;) {
        const ssize_t length = msgrcv(id, &m, sizeof m.text, 0, 0);
        if (length < 0) fail("msgrcv");
        if (m.type == 77) printf("%zd %.4s\n", length, m.text);
        if (m.type == 78) break;
      }`,
      stage.folder,
    );
    expect(await child.line()).toBe('4 last');
    await Promise.all([sent, larger]);
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('C selects by type what we sent: exactly, lowest first, and all but one', async () => {
    for (const type of [5, 3, 8, 3, 4]) queue.trySend(Buffer.from([type]), type);
    const child = stage.c(
      'selector',
      String.raw`${OPEN}
      const long selectors[] = {8, -4, 3, -9}; const int flags[] = {0, 0, MSG_EXCEPT, 0};
      for (int i = 0; i < 4; i++) {
        if (msgrcv(id, &m, sizeof m.text, selectors[i], flags[i] | IPC_NOWAIT) != 1) fail("msgrcv");
        printf("%ld/%d ", m.type, m.text[0]);
      }
      printf("\n");`,
      stage.folder,
    );
    expect(await child.line()).toBe('8/8 3/3 5/5 3/3 ');
    expect(queue.tryReceive()?.type).toBe(4);
  });

  test('we select by type what C sent: exactly, lowest first, and all but one, also asleep', async () => {
    const child = stage.c(
      'sender',
      String.raw`${OPEN}
      const long types[] = {5, 3, 8, 3, 4};
      for (int i = 0; i < 5; i++) {
        m.type = types[i];
        m.text[0] = (char)('0' + i);
        if (msgsnd(id, &m, 1, 0) != 0) fail("msgsnd");
      }
      say("sent");
      const long later[] = {4, 6};
      for (int i = 0; i < 2; i++) {
        if (msgrcv(id, &m, sizeof m.text, 100, 0) < 0) fail("msgrcv");
        m.type = later[i];
        if (msgsnd(id, &m, 1, 0) != 0) fail("msgsnd");
      }`,
      stage.folder,
    );
    expect(await child.line()).toBe('sent');
    const taken: string[] = [];
    for (const selection of [{ type: 8 }, { atMost: 4 }, { except: 3 }, { atMost: 9 }, undefined]) {
      const { type, body } = await queue.receive(selection);
      taken.push(`${type}/${Buffer.from(body).toString()}`);
    }
    expect(taken).toEqual(['8/2', '3/1', '5/0', '3/3', '4/4']);
    const [six, few] = [queue.receive({ type: 6 }), queue.receive({ atMost: 5 })];
    await until('both sleep', () => sleepersIn('msgrcv') === 2);
    await queue.send(Buffer.from('go on'), 100);
    expect((await few).type).toBe(4);
    await queue.send(Buffer.from('go on'), 100);
    expect((await six).type).toBe(6);
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('a C consumer asleep on an empty queue is woken by our send, and we by its answer', async () => {
    const child = stage.c(
      'echo',
      String.raw`${OPEN}
      for (int i = 0; i < 500; i++) {
        const ssize_t length = msgrcv(id, &m, sizeof m.text, 1, 0);
        if (length < 0) fail("msgrcv");
        m.type = 2;
        if (msgsnd(id, &m, length, 0) != 0) fail("msgsnd");
      }`,
      stage.folder,
    );
    await until('it sleeps', () => sleepersIn('msgrcv', child.pid) === 1);
    for (let i = 0; i < 250; i++) {
      await queue.send(Buffer.from(`a${i}`), 1);
      const { body } = await queue.receive({ type: 2 });
      expect(Buffer.from(body).toString()).toBe(`a${i}`);
    }
    for (let i = 0; i < 250; i++) {
      queue.sendSync(Buffer.from(`b${i}`), 1);
      expect(Buffer.from(queue.receiveSync({ type: 2 }).body).toString()).toBe(`b${i}`);
    }
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('a C program that removes the queue ends our wait, and our removal ends its', async () => {
    const wait = codeOf(() => queue.receive());
    await until('we sleep', () => sleepersIn('msgrcv') === 1);
    const remover = stage.c(
      'remover',
      `${OPEN} if (msgctl(id, IPC_RMID, NULL) != 0) fail("msgctl");`,
      stage.folder,
    );
    expect(await wait).toBe('NARU_CLOSED');
    expect(await remover.end()).toMatchObject({ code: 0 });

    const second = SystemVQueue.open({ path: stage.folder, project: 'q' });
    stage.cleanup(() => second.remove());
    const waiter = stage.c(
      'waiter',
      String.raw`${OPEN} say(msgrcv(id, &m, 10, 0, 0) < 0 && errno == EIDRM ? "EIDRM" : "?");`,
      stage.folder,
    );
    await until('it sleeps', () => sleepersIn('msgrcv', waiter.pid) === 1);
    second.remove();
    expect(await waiter.line()).toBe('EIDRM');
    await second.close();
  });

  test('bytes, NULs included, and lengths are exactly what was sent', async () => {
    const child = stage.c(
      'mirror',
      String.raw`${OPEN}
      const ssize_t length = msgrcv(id, &m, sizeof m.text, 1, 0);
      m.type = 2;
      if (msgsnd(id, &m, length, 0) != 0) fail("msgsnd");`,
      stage.folder,
    );
    const body = Uint8Array.from({ length: 4096 }, (_, i) => i % 256);
    await queue.send(body, 1);
    expect((await queue.receive({ type: 2 })).body).toEqual(body);
    expect(await child.end()).toMatchObject({ code: 0 });
  });
});
