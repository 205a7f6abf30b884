// Attempts to connect: what is said in the end.

import { expect, test } from 'vitest';
import { NaruError } from '../errors/index.ts';
import { untilConnected } from './backoff.ts';

const refused = new NaruError('NARU_DISCONNECTED', 'refused');

test('an attempt that is cut off in the end does not hide why the one before it failed', async () => {
  const deadline = new AbortController();
  const reason = new Error('time is over');
  let attempts = 0;
  const connect = (): Promise<never> => {
    attempts += 1;
    if (attempts === 1) return Promise.reject(refused);
    return new Promise((_resolve, reject) => {
      deadline.signal.addEventListener('abort', () => reject(reason));
      deadline.abort(reason);
    });
  };
  await expect(untilConnected(connect, deadline.signal)).rejects.toBe(refused);
  expect(attempts).toBe(2);
});

test('what another attempt would not change is thrown at once', async () => {
  const denied = new NaruError('NARU_DENIED', 'wrong key');
  await expect(untilConnected(() => Promise.reject(denied), new AbortController().signal)).rejects.toBe(
    denied,
  );
});
