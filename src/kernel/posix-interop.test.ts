// PosixQueue and C programs that know nothing of Naru, both ways.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { until } from '../native/stage.fixture.ts';
import { PosixQueue } from './index.ts';
import { codeOf, hasCompiler, KernelStage, sleepersIn } from './stage.fixture.ts';

const skipped = tryNative() === undefined || !hasCompiler();
let serial = 0;

describe.skipIf(skipped)(`POSIX queues and C (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  let queue: PosixQueue;

  beforeEach(() => {
    stage = new KernelStage();
    serial += 1;
    queue = PosixQueue.open({
      name: `/naru-interop-${process.pid}-${serial}`,
      maxMessages: 8,
      maxMessageBytes: 1024,
    });
    stage.cleanup(() => queue.close());
    stage.cleanup(() => queue.unlink());
  });
  afterEach(() => stage.close());

  const OPEN = String.raw`
    char text[1024] = {0};
    unsigned priority = 0;
    const mqd_t queue = mq_open(argv[1], O_RDWR);
    if (queue < 0) fail("mq_open");
  `;

  test('a C producer that blocks on a full queue is woken by our receive, and all comes in order', async () => {
    const child = stage.c(
      'producer',
      String.raw`${OPEN}
      for (int i = 0; i < 200; i++) if (mq_send(queue, text, snprintf(text, sizeof text, "%d", i), 3) != 0) fail("mq_send");
      say("done");`,
      queue.name,
    );
    await until('the producer sleeps', () => sleepersIn('mqTimedSend', child.pid) === 1);
    expect(queue.depth()).toBe(8);
    const texts: string[] = [];
    while (texts.length < 100) texts.push(Buffer.from((await queue.receive()).body).toString());
    while (texts.length < 200) texts.push(Buffer.from(queue.receiveSync().body).toString());
    expect(texts).toEqual(texts.map((_, i) => String(i)));
    expect(await child.line()).toBe('done');
  });

  test('C gets our priorities in the kernel’s order, and we its', async () => {
    for (const priority of [0, 32_767, 5, 32_767]) queue.trySend(Buffer.from([priority & 255]), priority);
    const child = stage.c(
      'priorities',
      String.raw`${OPEN}
      for (int i = 0; i < 4; i++) {
        if (mq_receive(queue, text, sizeof text, &priority) != 1) fail("mq_receive");
        printf("%u/%d ", priority, (unsigned char)text[0]);
      }
      printf("\n");
      const unsigned all[] = {7, 1, 32767};
      for (int i = 0; i < 3; i++) if (mq_send(queue, "x", 1, all[i]) != 0) fail("mq_send");`,
      queue.name,
    );
    expect(await child.line()).toBe('32767/255 32767/255 5/5 0/0 ');
    expect(await child.end()).toMatchObject({ code: 0 });
    expect(queue.tryReceiveMany(9).map(({ priority }) => priority)).toEqual([32_767, 7, 1]);
  });

  test('a C consumer asleep on an empty queue is woken by our send, in each of its forms', async () => {
    const child = stage.c(
      'consumer',
      String.raw`${OPEN}
      for (int i = 0; i < 300; i++) {
        const ssize_t length = mq_receive(queue, text, sizeof text, &priority);
        if (length < 0) fail("mq_receive");
        if (i % 100 == 99) printf("%d %u %.*s\n", i, priority, (int)length, text), fflush(stdout);
      }`,
      queue.name,
    );
    await until('it sleeps', () => sleepersIn('mqTimedReceive', child.pid) === 1);
    for (let i = 0; i < 100; i++) await queue.send(Buffer.from(`a${i}`), 1);
    expect(await child.line()).toBe('99 1 a99');
    for (let i = 0; i < 100; i++) queue.sendSync(Buffer.from(`b${i}`), 2);
    expect(await child.line()).toBe('199 2 b99');
    let left = Array.from({ length: 100 }, (_, i) => ({ priority: 3, body: Buffer.from(`c${i}`) }));
    while (left.length > 0) {
      left = left.slice(queue.trySendMany(left));
      const [first] = left;
      if (first !== undefined) await queue.send(first.body, first.priority);
      left = left.slice(1);
    }
    expect(await child.line()).toBe('299 3 c99');
  });

  test('a C sender notifies us, and keeps us from registering while another has', async () => {
    const holder = stage.c(
      'holder',
      String.raw`${OPEN}
      struct sigevent event = {.sigev_notify = SIGEV_NONE};
      if (mq_notify(queue, &event) != 0) fail("mq_notify");
      say("registered");
      pause();`,
      queue.name,
    );
    expect(await holder.line()).toBe('registered');
    expect(queue.stat().notifiedPid).toBe(holder.pid);
    expect(await codeOf(() => queue.notify(() => 0))).toBe('NARU_EXISTS');
    holder.process.kill('SIGKILL');
    await holder.ended;
    await until('its registration is gone', () => queue.stat().notifiedPid === undefined);

    const seen: string[] = [];
    using _notification = queue.notify(() => {
      for (const { body } of queue.tryReceiveMany(100)) seen.push(Buffer.from(body).toString());
    });
    const sender = stage.c(
      'sender',
      String.raw`${OPEN}
      for (int i = 0; i < 50; i++) if (mq_send(queue, text, snprintf(text, sizeof text, "%d", i), 0) != 0) fail("mq_send");`,
      queue.name,
    );
    expect(await sender.end()).toMatchObject({ code: 0 });
    await until('all have come', () => seen.length === 50);
    expect(seen).toEqual(seen.map((_, i) => String(i)));
  });

  test('our send notifies a C program by a real-time signal with its value', async () => {
    const child = stage.c(
      'notified',
      String.raw`${OPEN}
      sigset_t set;
      sigemptyset(&set);
      sigaddset(&set, SIGRTMIN + 1);
      sigprocmask(SIG_BLOCK, &set, NULL);
      struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1, .sigev_value.sival_int = 4711};
      if (mq_notify(queue, &event) != 0) fail("mq_notify");
      say("registered");
      siginfo_t info;
      if (sigwaitinfo(&set, &info) < 0) fail("sigwaitinfo");
      printf("%d %d %d\n", info.si_value.sival_int, info.si_code == SI_MESGQ, info.si_pid);
      fflush(stdout);`,
      queue.name,
    );
    expect(await child.line()).toBe('registered');
    queue.trySend(Buffer.from('x'));
    expect(await child.line()).toBe(`4711 1 ${process.pid}`);
  });
});
