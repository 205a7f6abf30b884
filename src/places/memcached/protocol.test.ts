// memcached's answers in pieces, and from something that is not memcached.

import { expect, test } from 'vitest';
import { AnswerParser, deleteRequest, getRequest, part, setRequest } from './protocol.ts';

const STREAM =
  'HD\r\nVA 5 f7 c123\r\na\r\nbc\r\nEN\r\nVA 0 f0 c1\r\n\r\nCLIENT_ERROR bad data chunk\r\nNS\r\n';

test.each([1, 2, 3, 7, 1000])('answers are the same in pieces of %i bytes', (size) => {
  const parser = new AnswerParser(1000);
  const answers = [];
  const bytes = Buffer.from(STREAM);
  for (let at = 0; at < bytes.byteLength; at += size)
    answers.push(...parser.push(bytes.subarray(at, at + size)));
  expect(answers.map(({ words, value }) => [words.join(' '), value?.toString()])).toEqual([
    ['HD', undefined],
    ['VA 5 f7 c123', 'a\r\nbc'],
    ['EN', undefined],
    ['VA 0 f0 c1', ''],
    ['CLIENT_ERROR bad data chunk', undefined],
    ['NS', undefined],
  ]);
  expect([part(answers[1] as never, 'c'), part(answers[1] as never, 'f')]).toEqual(['123', '7']);
});

test.each([
  ['a line without an end', 'x'.repeat(20_000)],
  ['an announced size beyond any limit', 'VA 99999999999 f0\r\n'],
  ['a size that is none', 'VA -1 f0\r\n'],
  ['a value that goes on', 'VA 1 f0\r\nabcdef\r\n'],
])('%s is refused', (_what, text) => {
  expect(() => new AnswerParser(1000).push(Buffer.from(text))).toThrow(/not memcached/);
});

test('a large value in small pieces costs one copy, not one for each piece', () => {
  const parser = new AnswerParser(50_000_000);
  const value = Buffer.alloc(20_000_000, 1);
  const started = performance.now();
  parser.push(Buffer.from(`VA ${value.byteLength} f0 c1\r\n`));
  for (let at = 0; at < value.byteLength; at += 1000) parser.push(value.subarray(at, at + 1000));
  const [answer] = parser.push(Buffer.from('\r\n'));
  expect(answer?.value?.equals(value)).toBe(true);
  expect(performance.now() - started).toBeLessThan(5_000);
});

test('a key that is no token goes as base64, and can end no line', () => {
  expect(getRequest('plain:key')).toBe('mg plain:key v f c\r\n');
  for (const key of ['a b', 'x\r\nflush_all\r\n', 'nul\0', 'ä']) {
    expect(getRequest(key)).toBe(`mg ${Buffer.from(key).toString('base64')} v f c b\r\n`);
    expect(deleteRequest(key, 7n)).toBe(`md ${Buffer.from(key).toString('base64')} C7 b\r\n`);
  }
  const request = setRequest('k', Buffer.from('a\r\nb'), { flags: 3, exptime: 9, only: 'absent' });
  expect(request.toString()).toBe('ms k 4 F3 T9 ME\r\na\r\nb\r\n');
});
