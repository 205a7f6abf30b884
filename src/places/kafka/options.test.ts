// What URLs of Kafka mean, and what means nothing there; what becomes of what packages throw.

import { expect, test } from 'vitest';
import { isNaruError } from '../../errors/index.ts';
import { open } from '../../index.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { mergeOptions, parseUrl, placeOptions } from '../../mailbox/parse-url.ts';
import { translate } from './failures.ts';
import { addressOf, type Reading, readingOf, targetOf, type Target } from './options.ts';

function parsed(
  url: string,
  options: OpenOptions = {},
): { target: Target; reading: Reading; address: string } {
  const { parts, stated } = parseUrl(url);
  const place = placeOptions(mergeOptions(stated, options, url), new AbortController().signal);
  const reading = readingOf(parts, place);
  return { target: targetOf(parts, place), reading, address: addressOf(parts, reading) };
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    return isNaruError(error) ? error.code : String(error);
  }
  return 'taken';
}

test('brokers, user and topic are read; the address has no password', () => {
  const { target, address } = parsed(
    'kafka://me:s%40crt@a.example?brokers=b:1,[::1]:2&topic=orders&sasl=scram-sha-256',
  );
  expect(target.brokers).toEqual(['a.example:9092', 'b:1', '[::1]:2']);
  expect(target.sasl).toEqual({ mechanism: 'scram-sha-256', username: 'me', password: 's@crt' });
  expect(address).toBe(
    'kafka://me@a.example?topic=orders&brokers=b%3A1%2C%5B%3A%3A1%5D%3A2&sasl=scram-sha-256',
  );
});

test('who gets a message, and where it begins', () => {
  const of = (query: string): unknown => {
    const { deliver, group, start } = parsed(`kafka://h?topic=t${query}`).reading;
    return [deliver, group, start.at];
  };
  expect(of('')).toEqual(['one', 'naru.t', 'start']);
  expect(of('&from=now')).toEqual(['one', 'naru.t', 'now']);
  expect(of('&group=g')).toEqual(['all', 'g', 'now']);
  expect(of('&group=g&from=start')).toEqual(['all', 'g', 'start']);
  expect(of('&deliver=all')).toEqual(['all', undefined, 'now']);
  expect(of('&deliver=all&offset=5')).toEqual(['all', undefined, 'offset']);
  expect(of('&group=g&since=2026-11-29T12:00:00Z')).toEqual(['all', 'g', 'time']);
});

test('wrong values are named, and what Kafka cannot do is refused', () => {
  const wrong = [
    '?topic=t',
    'h',
    'h?topic=a/b',
    'h?topic=..',
    'h?topic=t&brokers=x',
    'h?topic=t&client=rdkafka',
    'h?topic=t&offset=-1',
    'h?topic=t&offset=1&since=2',
    'h?topic=t&since=yesterday',
    'h?topic=t&partitions=0',
    'h?topic=t&sasl=plain',
    'h?topic=t&deliver=one&group=g',
  ];
  for (const rest of wrong)
    expect([rest, codeOf(() => parsed(`kafka://${rest}`))]).toEqual([rest, 'NARU_INVALID_ARGUMENT']);
  const refused: readonly OpenOptions[] = [
    { capacityBytes: 1_000 },
    { capacityMessages: 10 },
    { owner: 'process' },
    { nobody: 'fail' },
    { relation: '1:1' },
  ];
  for (const options of refused)
    expect([options, codeOf(() => parsed('kafka://h?topic=t', options))]).toEqual([
      options,
      'NARU_UNSUPPORTED',
    ]);
});

test('a feature that Kafka lacks is refused before anybody is asked, with the places that have it', async () => {
  await expect(open('kafka://127.0.0.1:1?topic=t', { needs: ['priority', 'delay'] })).rejects.toMatchObject({
    code: 'NARU_UNSUPPORTED',
    message: expect.stringMatching(/priority.*delay.*places that have it: .*postgres:\/\//) as unknown,
  });
});

test('an old broker, a refusal and a lost answer are told apart', () => {
  const code = (error: unknown, mayHaveHappened = false): string =>
    translate(error, 'kafka://h', mayHaveHappened).code;
  const wrapped = (inner: object): Error =>
    new AggregateError([Object.assign(new Error('x'), inner)], 'failed 3 times');
  expect(code(wrapped({ code: 'PLT_KFK_UNSUPPORTED_API' }))).toBe('NARU_UNSUPPORTED');
  expect(code(new Error('y', { cause: { type: 'UNSUPPORTED_VERSION' } }))).toBe('NARU_UNSUPPORTED');
  expect(translate(wrapped({ apiId: 'UNSUPPORTED_VERSION' }), 'kafka://h', false).message).toMatch(/too old/);
  expect(code(wrapped({ apiId: 'TOPIC_AUTHORIZATION_FAILED' }), true)).toBe('NARU_DENIED');
  expect(code(wrapped({ apiId: 'MESSAGE_TOO_LARGE' }), true)).toBe('NARU_TOO_LARGE');
  expect(code(wrapped({ code: 'ECONNRESET' }), true)).toBe('NARU_OUTCOME_UNKNOWN');
  expect(code(wrapped({ code: 'ECONNREFUSED' }))).toBe('NARU_DISCONNECTED');
});
