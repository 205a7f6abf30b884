import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { ERROR_CODES, isNaruError, NaruError, type NaruErrorCode } from './index.ts';

const CODES = Object.keys(ERROR_CODES) as NaruErrorCode[];
const source = fileURLToPath(new URL('../../src/', import.meta.url));

/** Text of every source file that is no test. */
function sources(): string {
  return readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.(test|fixture)\.ts$/.test(file))
    .filter((file) => !file.endsWith('errors/codes.ts'))
    .map((file) => readFileSync(join(source, file), 'utf8'))
    .join('\n');
}

describe('the table of codes', () => {
  test('every code has a meaning and an action, as sentences', () => {
    for (const code of CODES) {
      const { meaning, action, retryable } = ERROR_CODES[code];
      expect(code).toMatch(/^NARU_[A-Z]+(_[A-Z]+)*$/);
      expect(meaning, code).toMatch(/^[A-Z`].*\.$/s);
      expect(action, code).toMatch(/^[A-Z`].*\.$/s);
      expect(typeof retryable).toBe('boolean');
    }
  });

  test('every code that the sources raise is in the table', () => {
    const text = sources();
    // A variable of the environment is read as env.NAME, or has a constant that says so.
    const environment = [...text.matchAll(/(?:env(?:\.|\[['"`])|_VARIABLE = ['"`])(NARU_[A-Z_]+)/g)].map(
      ([, name = '']) => name,
    );
    const named = new Set(text.match(/(?<=['"`])NARU_[A-Z]+(?:_[A-Z]+)*(?=['"`])/g) ?? []);
    expect([...named].filter((code) => !(code in ERROR_CODES) && !environment.includes(code))).toEqual([]);
  });

  test('every code of the table is named by the sources', () => {
    const text = sources();
    // The first place that needs an optional package is a later part.
    const later = ['NARU_PACKAGE_MISSING'];
    expect(CODES.filter((code) => !text.includes(code) && !later.includes(code))).toEqual([]);
  });

  test('the class makes an error of every code, and takes retryable from the table', () => {
    for (const code of CODES) {
      const error = new NaruError(code, 'what failed', { place: 'shm', mailbox: 'shm://a' });
      expect(error).toBeInstanceOf(Error);
      expect([error.name, error.code, error.message]).toEqual(['NaruError', code, 'what failed']);
      expect([error.place, error.mailbox, error.partial]).toEqual(['shm', 'shm://a', undefined]);
      expect(error.retryable).toBe(ERROR_CODES[code].retryable);
    }
  });
});

describe('an error on its way to another process', () => {
  const inner = new NaruError('NARU_TIMEOUT', 'inner', { mailbox: 'shm://inner' });
  const full = new NaruError('NARU_REMOTE', 'outer', {
    place: 'tcp',
    mailbox: 'tcp://host:1',
    cause: inner,
    partial: { sent: 1, unknown: 2, unsent: 3 },
  });
  const ways: Readonly<Record<string, (value: unknown) => unknown>> = {
    JSON: (value) => JSON.parse(JSON.stringify(value)) as unknown,
    v8: (value) => deserialize(serialize((value as NaruError).toJSON())) as unknown,
    'structured clone': (value) => structuredClone((value as NaruError).toJSON()),
  };

  test.each(Object.keys(ways))('keeps everything through %s', (way) => {
    const json = ways[way]?.(full);
    const back = NaruError.fromJSON(json);
    expect(back.toJSON()).toEqual(full.toJSON());
    expect(isNaruError(back, 'NARU_REMOTE')).toBe(true);
    expect(isNaruError(back.cause, 'NARU_TIMEOUT')).toBe(true);
    expect(back.partial).toEqual({ sent: 1, unknown: 2, unsent: 3 });
  });

  test('every code survives the way', () => {
    for (const code of CODES) {
      expect(NaruError.fromJSON(JSON.parse(JSON.stringify(new NaruError(code, 'x')))).code).toBe(code);
    }
  });

  test('an ordinary cause arrives as its name and text', () => {
    const error = new NaruError('NARU_DENIED', 'no', { cause: new TypeError('because') });
    expect(NaruError.fromJSON(error.toJSON()).cause).toBe('TypeError: because');
  });

  test('an unknown code, or no error at all, becomes NARU_REMOTE', () => {
    for (const json of [
      { code: 'NARU_FROM_THE_FUTURE', message: 'm' },
      { code: 'toString' },
      {},
      null,
      undefined,
      'text',
      7,
      [],
    ]) {
      expect(NaruError.fromJSON(json).code).toBe('NARU_REMOTE');
    }
    const odd = NaruError.fromJSON({ code: 'NARU_FULL', message: 5, place: {}, mailbox: [], partial: 'x' });
    expect([odd.message, odd.place, odd.mailbox, odd.partial]).toEqual([
      '5',
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('isNaruError', () => {
  test('knows errors of another copy of the package by their brand', () => {
    const foreign = Object.assign(new Error('x'), { code: 'NARU_FULL', [Symbol.for('naru.error')]: true });
    expect(isNaruError(foreign)).toBe(true);
    expect(isNaruError(foreign, 'NARU_FULL')).toBe(true);
    expect(isNaruError(foreign, 'NARU_CLOSED')).toBe(false);
  });

  test('is false for everything else', () => {
    for (const value of [undefined, null, 'NARU_FULL', new Error('NARU_FULL'), { code: 'NARU_FULL' }]) {
      expect(isNaruError(value)).toBe(false);
    }
  });
});

describe('a password', () => {
  const CANARY = 'sw0rdf1sh';
  const url = `tcp://user:${CANARY}@host:5000/x?token=${CANARY}&listen`;

  function everywhere(error: Error): string {
    const parts = [error.message, error.stack, inspect(error, { depth: 9, showHidden: true })];
    return [...parts, JSON.stringify(error), String(error)].join('\n');
  }

  test('never shows in message, mailbox, stack, JSON or inspection', () => {
    const error = new NaruError('NARU_DENIED', `${url}: refused`, { mailbox: url });
    expect(everywhere(error)).not.toContain(CANARY);
    expect(error.message).toContain('tcp://user:***@host:5000');
  });

  test.each<[string, () => unknown]>([
    ['its message', () => new Error(`connect ${url}`)],
    ['text', () => `connect ${url}`],
    [
      'a property',
      () => Object.assign(new TypeError('Invalid URL'), { input: url, code: 'ERR_INVALID_URL' }),
    ],
    ['its own cause', () => new Error('outer', { cause: new Error(`inner ${url}`) })],
    ['one of its errors', () => new AggregateError([new Error(url)], 'all failed')],
    ['a plain object', () => ({ address: url })],
  ])('in a cause that has it in %s does not show', (_where, cause) => {
    const error = new NaruError('NARU_DISCONNECTED', 'no connection', { cause: cause() });
    expect(everywhere(error)).not.toContain(CANARY);
  });

  test('leaves a cause without secrets as it is', () => {
    const cause = new Error('plain');
    expect(new NaruError('NARU_DENIED', 'x', { cause }).cause).toBe(cause);
  });
});
