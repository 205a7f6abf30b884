import { assert, property, string } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { redact, redactUrl } from './index.ts';

describe('redact', () => {
  test.each([
    ['tcp://user:secret@host:1/x', 'tcp://user:***@host:1/x'],
    ['amqp://:secret@host', 'amqp://:***@host'],
    ['see redis+tls://u:p@ss@host, ok', 'see redis+tls://u:***@host, ok'],
    ['{"url":"tcp://u:secret@h","to":"a@b"}', '{"url":"tcp://u:***@h","to":"a@b"}'],
    ['two tcp://a:b@c and unix://d:e@f', 'two tcp://a:***@c and unix://d:***@f'],
    ['tcp://h?password=secret&x=1', 'tcp://h?password=***&x=1'],
    ['tcp://h?x=1&TOKEN=secret#f', 'tcp://h?x=1&TOKEN=***#f'],
  ])('%s', (text, expected) => {
    expect(redact(text)).toBe(expected);
  });

  test.each([
    'shm://orders',
    'tcp://host:5000/path',
    'unix:///run/x.sock?size=1',
    'tcp://user@host',
    'a@b: c',
    '',
  ])('leaves "%s" alone', (text) => {
    expect(redact(text)).toBe(text);
  });

  test('is idempotent and does not take long on hostile text', () => {
    for (const piece of ['a:', 'a', 'a://', 'a://a:', '@', '&pw=', 'x@://a:']) {
      const text = `tcp://${piece.repeat(100_000)}`;
      const started = performance.now();
      expect(redact(redact(text))).toBe(redact(text));
      expect(performance.now() - started, piece).toBeLessThan(1_500);
    }
  });
});

describe('redactUrl', () => {
  test.each([
    ['tcp://u:pa/ss?w#ord@host:1/x', 'tcp://u:***@host:1/x'],
    [`tcp://u:it's "quoted" <here>@host`, 'tcp://u:***@host'],
    ['tcp://u:12345678@host', 'tcp://u:***@host'],
    ['tcp://u:123@host', 'tcp://u:***@host'],
    ['tcp:u:secret@host', 'tcp:***@host'],
    ['unix:///run/a@b:c@d.sock', 'unix:///run/a@b:c@d.sock'],
  ])('%s', (url, expected) => {
    expect(redactUrl(url)).toBe(expected);
  });

  test('takes no port for a password', () => {
    expect(redactUrl('tcp://host:5000/mail@example')).toBe('tcp://host:5000/mail@example');
    expect(redactUrl('tcp://host:5000')).toBe('tcp://host:5000');
  });

  test('never shows a password, whatever its characters', () => {
    assert(
      property(string({ minLength: 3 }), (noise) => {
        const shown = redactUrl(`tcp://user:x${noise}CANARY@host:1/path`);
        expect(shown).not.toContain('CANARY');
      }),
    );
  });
});
