// Signals with a value and a sender, both ways with C and Python; what is refused; what is lost is counted.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { nativeProblem, tryNative } from '../native/index.ts';
import { lostSignals, onSignal, type ReceivedSignal, sendSignal } from './signals.ts';
import { codeOf, hasCompiler, KernelStage } from './stage.fixture.ts';

/** A program of its own, because a test runner's workers have no signals. */
const PROGRAM = `
const { onSignal, sendSignal, lostSignals } = await import(process.argv[1]);
const seen = [];
`;

describe.skipIf(tryNative() === undefined)(`signals (${nativeProblem() ?? 'addon loaded'})`, () => {
  let stage: KernelStage;
  beforeEach(() => {
    stage = new KernelStage();
  });
  afterEach(() => stage.close());

  const file = new URL('./signals.js', import.meta.url).href;
  const node = (body: string): ReturnType<KernelStage['start']> =>
    stage.start(process.execPath, ['--input-type=module', '-e', PROGRAM + body, file]);

  test('a signal that the process sends to itself arrives with its value and sender', async () => {
    const child = node(
      `
      const timer = setInterval(() => {}, 1000);
      onSignal('SIGUSR2', (it) => { console.log(JSON.stringify(it)); clearInterval(timer); });
      sendSignal(process.pid, 'SIGUSR2', -42);`,
    );
    const received = JSON.parse(await child.line()) as ReceivedSignal;
    expect(received).toEqual({
      signal: 'SIGUSR2',
      number: 12,
      value: -42,
      pid: child.pid,
      uid: process.getuid?.(),
    });
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('3,000 real-time signals arrive, each once; beyond the ring they are counted', async () => {
    const child = node(`
      const timer = setInterval(() => {}, 1000);
      onSignal('SIGRTMIN+5', ({ value }) => { seen.push(value); });
      const send = (count) => { for (let i = 0; i < count; i++) sendSignal(process.pid, 'SIGRTMIN+5', i, { force: true }); };
      const drained = () => new Promise((resolve) => {
        let before = -1;
        const look = () => { if (seen.length === before) resolve(); else { before = seen.length; setTimeout(look, 20); } };
        look();
      });
      send(3000);
      await drained();
      console.log(seen.length, new Set(seen).size, lostSignals());
      seen.length = 0;
      send(6000);
      await drained();
      console.log(seen.length, new Set(seen).size, lostSignals());
      clearInterval(timer);`);
    expect(await child.line()).toBe('3000 3000 0');
    expect(await child.line()).toBe('4096 4096 1904');
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test('after close() the signal does what it did before, and a subscription keeps no process', async () => {
    const child = node(`
      const one = onSignal('SIGTERM', () => {});
      one.close(); one.close();
      console.log('closed');
      setInterval(() => {}, 1000);`);
    expect(await child.line()).toBe('closed');
    child.process.kill('SIGTERM');
    expect(await child.end()).toMatchObject({ signal: 'SIGTERM' });
    const idle = node(`onSignal('SIGTERM', () => {}); console.log('idle');`);
    expect(await idle.line()).toBe('idle');
    expect(await idle.end()).toMatchObject({ code: 0 });
  });

  test('signals that Node or the kernel needs are refused with the reason', async () => {
    for (const signal of ['SIGKILL', 'SIGSTOP', 'SIGUSR1', 'SIGPROF', 'SIGVTALRM', 'SIGSEGV', 'SIGCHLD', 9]) {
      expect(await codeOf(() => onSignal(signal, () => {})), String(signal)).toBe('NARU_UNSUPPORTED');
    }
    for (const signal of ['SIGNOTHING', 0, 32, 65, 1.5, 'SIGRTMIN-1', 'SIGRTMAX+1']) {
      expect(await codeOf(() => onSignal(signal, () => {})), String(signal)).toBe('NARU_INVALID_ARGUMENT');
    }
    const child = node(`process.on('SIGUSR2', () => {});
      try { onSignal('SIGUSR2', () => {}); } catch (error) { console.log(error.code); }
      process.exit();`);
    expect(await child.line()).toBe('NARU_EXISTS');
    expect(lostSignals()).toBe(0);
  });

  test('a process without a handler is spared, a dead one is named, and force sends', async () => {
    const child = stage.start('sleep', ['1000']);
    expect(await codeOf(() => sendSignal(child.pid, 'SIGUSR2', 1))).toBe('NARU_UNSUPPORTED');
    expect(await codeOf(() => sendSignal(child.pid, 'SIGUSR2', 2 ** 31))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => sendSignal(0, 'SIGUSR2'))).toBe('NARU_INVALID_ARGUMENT');
    expect(await codeOf(() => sendSignal(process.pid, 'SIGUSR1'))).toBe('NARU_UNSUPPORTED');
    sendSignal(child.pid, 'SIGUSR2', 1, { force: true });
    expect(await child.end()).toMatchObject({ signal: 'SIGUSR2' });
    expect(await codeOf(() => sendSignal(child.pid, 'SIGUSR2'))).toBe('NARU_PEER_GONE');
    expect(await codeOf(() => sendSignal(child.pid, 'SIGUSR2', 0, { force: true }))).toBe('NARU_PEER_GONE');
  });

  test.skipIf(!hasCompiler())('values pass both ways between Node and a C program', async () => {
    const echo = stage.c(
      'echo',
      `sigset_t set; siginfo_t got; sigemptyset(&set); sigaddset(&set, SIGRTMIN + 1);
       sigprocmask(SIG_BLOCK, &set, NULL); say("ready");
       for (int i = 0; i < 100; i++) {
         if (sigwaitinfo(&set, &got) < 0) fail("sigwaitinfo");
         union sigval back = {.sival_int = got.si_value.sival_int + 1000};
         if (sigqueue(got.si_pid, SIGRTMIN + 2, back) != 0) fail("sigqueue");
       }`,
    );
    expect(await echo.line()).toBe('ready');
    const child = node(`
      const timer = setInterval(() => {}, 1000);
      onSignal('SIGRTMIN+2', ({ value, pid }) => {
        seen.push(pid === ${echo.pid} ? value : NaN);
        if (seen.length < 100) return;
        console.log(seen.sort((a, b) => a - b).every((value, i) => value === i + 1000));
        clearInterval(timer);
      });
      for (let i = 0; i < 100; i++) sendSignal(${echo.pid}, 'SIGRTMIN+1', i, { force: true });`);
    expect(await child.line()).toBe('true');
    expect(await child.end()).toMatchObject({ code: 0 });
  });

  test("a signal of kill(2) has a sender and no value; Python's sigwaitinfo sees ours", async () => {
    const child = node(`
      const timer = setInterval(() => {}, 1000);
      onSignal('SIGHUP', (it) => { console.log(JSON.stringify(it)); clearInterval(timer); });
      console.log('ready');`);
    expect(await child.line()).toBe('ready');
    child.process.kill('SIGHUP');
    expect(JSON.parse(await child.line())).toMatchObject({ signal: 'SIGHUP', pid: process.pid });
    const python = stage.start('python3', [
      '-c',
      `import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
print('ready', flush=True)
got = signal.sigwaitinfo({signal.SIGUSR2})
print(got.si_signo, got.si_pid, got.si_code, flush=True)`,
    ]);
    expect(await python.line()).toBe('ready');
    sendSignal(python.pid, 'SIGUSR2', 7, { force: true });
    expect(await python.line()).toBe(`12 ${process.pid} -1`);
  });
});
