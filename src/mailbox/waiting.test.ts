import { getEventListeners } from 'node:events';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { awaitOutcome, checkLimits, nextTurn, turnIsOver, watchLimits, type WaitLimits } from './waiting.ts';

/** How a watched wait ended. */
function watched(limits: WaitLimits): { readonly ended: Promise<unknown>; readonly stop: () => void } {
  let stop = (): void => undefined;
  const ended = new Promise((resolve) => {
    stop = watchLimits(limits, 'nothing came', 'shm://x', resolve);
  });
  return { ended, stop };
}

const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

describe('watchLimits', () => {
  test('ends with NARU_TIMEOUT, not before its time', async () => {
    const started = performance.now();
    const error = await watched({ timeoutMs: 30 }).ended;
    expect(performance.now() - started).toBeGreaterThanOrEqual(29);
    expect(isNaruError(error, 'NARU_TIMEOUT')).toBe(true);
    expect((error as Error).message).toBe('shm://x: nothing came within 30 ms');
  });

  test('ends with the reason of the signal, whatever it is', async () => {
    for (const reason of [new Error('stop'), 'text', 0, null]) {
      const control = new AbortController();
      const { ended } = watched({ signal: control.signal, timeoutMs: 60_000 });
      control.abort(reason);
      expect(await ended).toBe(reason);
    }
  });

  test('a signal that had fired before ends the wait too, but not from inside the call', async () => {
    let inside = true;
    const reason = await new Promise((resolve, reject) => {
      watchLimits({ signal: AbortSignal.abort('early') }, 'x', 'shm://x', (error) => {
        if (inside) reject(new Error('it was called from inside'));
        else resolve(error);
      });
      inside = false;
    });
    expect(reason).toBe('early');
  });

  test('leaves neither timer nor listener, however it ends', async () => {
    const before = timers();
    const control = new AbortController();
    const limits = { signal: control.signal, timeoutMs: 60_000 };
    watched(limits).stop();
    await watched({ ...limits, timeoutMs: 1 }).ended;
    expect(getEventListeners(control.signal, 'abort')).toEqual([]);
    const { ended } = watched(limits);
    control.abort('now');
    await ended;
    expect(getEventListeners(control.signal, 'abort')).toEqual([]);
    expect(timers()).toBeLessThanOrEqual(before);
  });

  test('a stopped watch never ends a wait', async () => {
    const ends: unknown[] = [];
    watchLimits({ timeoutMs: 1 }, 'x', 'shm://x', (error) => ends.push(error))();
    watchLimits({ signal: AbortSignal.abort() }, 'x', 'shm://x', (error) => ends.push(error))();
    await watched({ timeoutMs: 20 }).ended;
    expect(ends).toEqual([]);
  });
});

describe('awaitOutcome', () => {
  const never = new Promise<void>(() => undefined);

  test('passes the outcome on', async () => {
    await awaitOutcome(Promise.resolve(), { timeoutMs: 1_000 }, 'x', 'shm://x');
    await expect(awaitOutcome(Promise.reject(new Error('no')), {}, 'x', 'shm://x')).rejects.toThrow('no');
  });

  test('late is NARU_OUTCOME_UNKNOWN, never NARU_TIMEOUT', async () => {
    const error: unknown = await awaitOutcome(never, { timeoutMs: 5 }, 'no receipt', 'shm://x').catch(
      (e) => e,
    );
    expect(isNaruError(error, 'NARU_OUTCOME_UNKNOWN')).toBe(true);
  });

  test('an abort keeps its reason', async () => {
    const signal = AbortSignal.abort('enough');
    const reason: unknown = await awaitOutcome(never, { signal }, 'x', 'shm://x').catch((e) => e);
    expect(reason).toBe('enough');
  });

  test('timeoutMs 0 is about room, not about the outcome', async () => {
    let resolve = (): void => undefined;
    const outcome = new Promise<void>((done) => {
      resolve = done;
    });
    const waiting = awaitOutcome(outcome, { timeoutMs: 0 }, 'x', 'shm://x');
    setTimeout(resolve, 10);
    await waiting;
  });
});

describe('checkLimits', () => {
  test.each([undefined, {}, { timeoutMs: 0 }, { timeoutMs: 2 ** 31 - 1 }, { timeoutMs: 0.5 }])(
    'takes %o',
    (limits) => {
      checkLimits(limits, 'shm://x');
    },
  );

  test.each([-1, Number.NaN, 2 ** 31, Number.POSITIVE_INFINITY, '5', null])(
    'refuses timeoutMs %s',
    (timeoutMs) => {
      let thrown: unknown;
      try {
        checkLimits({ timeoutMs: timeoutMs as number }, 'shm://x');
      } catch (error) {
        thrown = error;
      }
      expect(isNaruError(thrown, 'NARU_INVALID_ARGUMENT')).toBe(true);
    },
  );

  test('throws the reason of a signal that has fired', () => {
    expect(() => checkLimits({ signal: AbortSignal.abort(new Error('gone')) }, 'shm://x')).toThrow('gone');
  });
});

test('a loop of resolved promises gives the event loop its turn', async () => {
  const ticks = { count: 0 };
  const timer = setInterval(() => {
    ticks.count += 1;
  }, 1);
  const started = performance.now();
  while (ticks.count <= 3 && performance.now() - started < 5_000) {
    if (turnIsOver()) await nextTurn();
    else await Promise.resolve();
  }
  clearInterval(timer);
  expect(ticks.count).toBeGreaterThan(3);
});
