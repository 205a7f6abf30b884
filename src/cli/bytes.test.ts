// Bytes in are bytes out: what `naru send` reads is what `naru receive` writes, through every place, whatever the bytes.

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { Sandbox } from './command.fixture.ts';
import { SHARED_PLACES, startReceiver } from './places.fixture.ts';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Lines as `naru receive --count` must count them: a rest without a line feed is one. */
function messagesIn(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, at + 1)) count += 1;
  return count + (bytes.length > 0 && bytes.at(-1) !== 10 ? 1 : 0);
}

/** Text such as logs have, the same in every run. */
function logText(bytesMin: number): Buffer {
  const words = [
    'GET',
    '/orders/',
    'Ünïcödé',
    '200',
    'timeout after 3000 ms',
    '{"id":42,"state":"open"}',
    '',
  ];
  const lines: string[] = [];
  let state = 1;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % below;
  };
  for (let size = 0; size < bytesMin; ) {
    const count = random(12);
    let line = '';
    for (let i = 0; i < count; i += 1) line += `${words[random(words.length)]} `;
    line += random(10) === 0 ? '\r\n' : '\n';
    size += line.length;
    lines.push(line);
  }
  return Buffer.from(lines.join(''), 'utf8');
}

const FILES: Readonly<Record<string, Buffer>> = {
  'with a last line feed': Buffer.from('one\ntwo\n'),
  'without a last line feed': Buffer.from('one\ntwo'),
  'with carriage returns': Buffer.from('one\r\ntwo\r\n\r'),
  'of empty lines': Buffer.from('\n\n\n'),
  'with NUL bytes': Buffer.from('a\0b\n\0\n\0'),
  'of invalid UTF-8': Buffer.from([0xff, 0xfe, 10, 0xc3, 10, 0x80, 0xed, 0xa0, 0x80]),
};

describe.each(SHARED_PLACES)('through %s', (place) => {
  test.each(Object.keys(FILES))('a file %s arrives as it was', async (name) => {
    await using sandbox = new Sandbox();
    const bytes = FILES[name] as Buffer;
    const file = sandbox.path('in');
    writeFileSync(file, bytes);
    const receiver = await startReceiver(sandbox, place, ['--count', String(messagesIn(bytes))]);
    const sent = await sandbox.run(['send', receiver.url], { stdin: { file } });
    expect(sent).toMatchObject({ code: 0, stderr: '' });
    const received = await receiver.done;
    expect(received.code).toBe(0);
    expect(received.stdout.toString('hex')).toBe(bytes.toString('hex'));
  });

  test('50 MB of text arrive as they were', async () => {
    await using sandbox = new Sandbox();
    const bytes = logText(50_000_000);
    const file = sandbox.path('in');
    writeFileSync(file, bytes);
    const receiver = await startReceiver(sandbox, place, ['--count', String(messagesIn(bytes))]);
    const sent = await sandbox.run(['send', receiver.url], { stdin: { file } });
    expect(sent).toMatchObject({ code: 0, stderr: '' });
    const received = await receiver.done;
    expect(received.stderr).toMatch(place === 'tcp' ? /^naru: listening on \S+\n$/ : /^$/);
    expect(received.stdout.byteLength).toBe(bytes.byteLength);
    expect(sha256(received.stdout)).toBe(sha256(bytes));
  });

  test('standard input as one message keeps its line feeds', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--count', '1', '--bytes']);
    await sandbox.run(['send', receiver.url, '--bytes'], { stdin: 'a\nb\n' });
    expect((await receiver.done).stdout.toString()).toBe('a\nb\n');
  });

  test('an empty input sends nothing, and an empty input as one message is one', async () => {
    await using sandbox = new Sandbox();
    const receiver = await startReceiver(sandbox, place, ['--count', '2']);
    await sandbox.run(['send', receiver.url], { stdin: '' });
    await sandbox.run(['send', receiver.url, '--bytes'], { stdin: '' });
    await sandbox.run(['send', receiver.url, 'last']);
    expect((await receiver.done).stdout.toString()).toBe('\nlast\n');
  });
});
