import { assert, constantFrom, property, string, tuple } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { checkName, mergeOptions, parseUrl, placeOptions } from './parse-url.ts';

function codeOf(act: () => unknown): string | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    return isNaruError(error) ? error.code : `not a NaruError: ${String(error)}`;
  }
}

function messageOf(act: () => unknown): string {
  try {
    act();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('parseUrl takes a URL apart:', () => {
  test.each([
    ['shm://orders', { scheme: 'shm', host: 'orders', port: undefined, path: '' }],
    ['shm://Orders.V2_a-b', { scheme: 'shm', host: 'Orders.V2_a-b' }],
    ['shm://~inbox.1.2.3', { host: '~inbox.1.2.3' }],
    ['unix:///run/user/x.sock', { scheme: 'unix', host: '', path: '/run/user/x.sock' }],
    ['unix:///with%20blank%25.sock', { path: '/with blank%.sock' }],
    ['tcp://host:5000', { host: 'host', port: 5000, path: '' }],
    ['tcp://[::1]:80/p', { host: '::1', port: 80, path: '/p' }],
    ['tcp://127.0.0.1:0?listen', { host: '127.0.0.1', port: 0, extra: { listen: '' } }],
    ['amqps://me:p%40ss@h:1/v', { scheme: 'amqps', username: 'me', password: 'p@ss', host: 'h', path: '/v' }],
    ['tcp://me@h', { username: 'me', password: '', host: 'h' }],
    ['zmq+ipc:///path?x=1', { scheme: 'zmq+ipc', path: '/path', extra: { x: '1' } }],
  ])('%s', (url, expected) => {
    expect(parseUrl(url).parts).toMatchObject(expected);
  });

  test('text is the URL without its password', () => {
    expect(parseUrl('tcp://u:secret@h:1?token=secret').parts.text).toBe('tcp://u:***@h:1?token=***');
    expect(parseUrl('shm://a?size=64').parts.text).toBe('shm://a?size=64');
  });
});

describe('parseUrl reads parameters:', () => {
  test.each([
    ['capacity=1MiB', { capacityBytes: 1_048_576 }],
    ['capacityBytes=64KiB', { capacityBytes: 65_536 }],
    ['capacity=2GB', { capacityBytes: 2_000_000_000 }],
    ['capacity=10kB', { capacityBytes: 10_000 }],
    ['capacity=7B', { capacityBytes: 7 }],
    ['slot=64', { slotBytes: 64 }],
    ['depth=10', { capacityMessages: 10 }],
    ['size=8192', { maxMessageBytes: 8192 }],
    ['producers=1&consumers=1', { relation: '1:1' }],
    ['producers=1', { relation: '1:N' }],
    ['consumers=1', { relation: 'N:1' }],
    ['producers=N&consumers=N', { relation: 'N:N' }],
    ['deliver=all&group=g.1', { deliver: 'all', group: 'g.1' }],
    ['leaseMs=0&flushMs=2147483647', { leaseMs: 0, flushMs: 2_147_483_647 }],
    ['deadLetter=memory%3A%2F%2Fgrave', { deadLetter: 'memory://grave' }],
    ['codec=bytes&format=raw&frame=lines', { codec: 'bytes', format: 'raw', frame: 'lines' }],
    ['role=producer&role=consumer', { role: 'consumer' }],
  ])('%s', (query, expected) => {
    expect(parseUrl(`shm://x?${query}`).stated).toEqual(expected);
  });

  test('what every place does not know is left to the place, whatever its name', () => {
    const { parts } = parseUrl('shm://x?listen&__proto__=1&constructor=2&colour=blue');
    expect(Object.entries(parts.extra)).toEqual([
      ['listen', ''],
      ['__proto__', '1'],
      ['constructor', '2'],
      ['colour', 'blue'],
    ]);
  });
});

describe('parseUrl refuses', () => {
  test.each([
    '',
    'orders',
    'shm:orders',
    'shm://orders#fragment',
    'SHM://orders',
    '://orders',
    '1shm://orders',
    'tcp://host:65536',
    'tcp://host:port',
    'tcp://a:b:c',
    'unix:///bad%zz',
    'tcp://u:%E0%A4%A@h',
    'shm://x?capacity=-1',
    'shm://x?capacity=1.5MiB',
    'shm://x?capacity=1mib',
    'shm://x?capacity=99999999999999GiB',
    'shm://x?capacity=5GiB',
    'shm://x?slot=0',
    'shm://x?prefetch=0',
    'shm://x?prefetch=65537',
    'shm://x?role=boss',
    'shm://x?leaseMs=2147483648',
    'shm://x?group=a/b',
    'shm://x?codec=',
    'shm://x?relation=1:1&producers=1',
    `shm://${'x'.repeat(5000)}`,
  ])('%s', (url) => {
    expect(codeOf(() => parseUrl(url))).toBe('NARU_INVALID_ARGUMENT');
  });

  test('what is no text', () => {
    for (const url of [undefined, null, 5, {}, new URL('tcp://a')]) {
      expect(codeOf(() => parseUrl(url as never))).toBe('NARU_INVALID_ARGUMENT');
    }
  });

  test('and the message says which parameter, its text and what is allowed', () => {
    const message = messageOf(() => parseUrl('shm://x?role=boss'));
    expect(message).toContain('role=boss');
    expect(message).toContain('producer, consumer, both');
  });

  test('without ever showing the password', () => {
    for (const url of [
      'tcp://user:CANARY@host:port',
      'tcp://user:CAN/ARY@host:99999',
      `tcp://user:it's CANARY@host:x`,
      'tcp://user:CANARY%zz@host',
      'tcp user:CANARY@host',
      'tcp:/user:CANARY@host',
      'TCP://user:CANARY@host',
    ]) {
      expect(
        messageOf(() => parseUrl(url)),
        url,
      ).not.toMatch(/ARY@/);
    }
  });
});

test('whatever the text, parseUrl gives parts or a NaruError, and never takes long', () => {
  const part = string({ maxLength: 40 });
  const text = tuple(
    constantFrom('shm://', 'tcp://', 'unix:///', ''),
    part,
    constantFrom('', '?', '@', ':'),
    part,
  );
  assert(
    property(text, (pieces) => {
      const code = codeOf(() => parseUrl(pieces.join('')));
      return code === undefined || code === 'NARU_INVALID_ARGUMENT';
    }),
    { numRuns: 2_000 },
  );
});

describe('mergeOptions', () => {
  test('the object wins where both speak, and undefined says nothing', () => {
    const { stated } = parseUrl('shm://x?prefetch=1&role=producer');
    const merged = mergeOptions(stated, { prefetch: 2, role: undefined as never, codec: 'text' }, 'shm://x');
    expect(merged).toEqual({ prefetch: 2, role: 'producer', codec: 'text' });
  });

  test('capacity 0 is rendezvous, however it is written', () => {
    for (const options of [
      { capacityBytes: 0 },
      { capacityMessages: 0 },
      { capacityBytes: 0, capacityMessages: 5 },
    ]) {
      const merged = mergeOptions({}, options, 'shm://x');
      expect([merged.capacityBytes, merged.capacityMessages]).toEqual([undefined, 0]);
    }
  });

  test.each([
    { role: 'boss' },
    { capacityBytes: -1 },
    { capacityBytes: 1.5 },
    { capacityBytes: Number.NaN },
    { prefetch: Number.POSITIVE_INFINITY },
    { relation: '2:2' },
    { codec: 'xml' },
    { validate: 'sometimes' },
    { capcity: 10 },
    { deliver: null },
    { deliver: ['all'] },
    { codec: null },
    { prefetch: true },
    { capacity: 10 },
    { listen: true },
  ])('refuses %o', (options) => {
    expect(codeOf(() => mergeOptions({}, options as never, 'shm://x'))).toBe('NARU_INVALID_ARGUMENT');
  });

  test('a producer settles nothing', () => {
    expect(codeOf(() => mergeOptions({}, { role: 'producer', settle: 'manual' }, 'shm://x'))).toBe(
      'NARU_INVALID_ARGUMENT',
    );
  });

  test('objects pass as they are', () => {
    const codec = { encode: () => new Uint8Array(0), decode: () => 1 };
    const options = {
      codec,
      retry: { attempts: 2 },
      tls: { ca: 'x' },
      wait: { yields: 1 },
      needs: ['ack'] as const,
    };
    expect(mergeOptions({}, options, 'shm://x')).toEqual(options);
  });
});

test('placeOptions fills in what is the same everywhere and leaves the rest unstated', () => {
  const { signal } = new AbortController();
  const options = placeOptions({}, signal);
  expect(options).toMatchObject({
    role: 'both',
    full: 'wait',
    prefetch: 256,
    flushMs: 2_000,
    signal,
    wait: {},
  });
  expect([options.capacityBytes, options.relation, options.deliver, options.create]).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

describe('checkName', () => {
  test.each(['a', 'A.b_c-9', 'x'.repeat(128), '~inbox.1.2.3', '..a', '...'])('takes %s', (name) => {
    expect(checkName(name, 'shm://')).toBe(name);
  });

  test.each(['', '~', '.', '..', '~..', 'a/b', 'a b', 'ä', 'x'.repeat(129), '../etc', 'a\u0000', 'a\n'])(
    'refuses "%s"',
    (name) => {
      expect(codeOf(() => checkName(name, 'shm://'))).toBe('NARU_INVALID_ARGUMENT');
    },
  );
});
