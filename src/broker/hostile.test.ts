// Bytes from strangers and from users who mean harm: nothing but a reply or a closed connection comes of them, and a canary client
// that works all the while notices nothing. Seeds replay: NARU_FUZZ_SEED, NARU_FUZZ_RUNS.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { METHOD, METHOD_NAMES } from '../wire/amqp091/index.ts';
import { refusal } from './got.fixture.ts';
import { Lab, Peer } from './peer.fixture.ts';

const RUNS = Number(process.env['NARU_FUZZ_RUNS'] ?? 1500);
const SEED = process.env['NARU_FUZZ_SEED'];
const settings = { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) };

function frame(type: number, channel: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

const methods = [...METHOD_NAMES.keys()];
const someBytes = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
/** Methods that exist with arguments that are anything. */
const methodFrame = fc.tuple(fc.constantFrom(...methods), fc.nat(2), someBytes).map(([id, channel, args]) => {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(id);
  return frame(1, channel, Buffer.concat([head, args]));
});
const anyFrame = fc
  .tuple(fc.constantFrom(1, 2, 3, 8, 9), fc.nat(2), someBytes)
  .map(([type, channel, payload]) => frame(type, channel, payload));
const publication = fc
  .tuple(
    fc.constantFrom('', 'amq.topic', 'amq.headers'),
    fc.string({ maxLength: 20 }),
    fc.string({ maxLength: 50 }),
  )
  .map(([exchange, routingKey, body]) => Peer.publication({ exchange, routingKey }, body));
/** Good frames with a few bytes changed. */
const mutated = fc
  .tuple(publication, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
  .map(([bytes, changes]) => {
    const copy = Buffer.from(bytes);
    for (const [at, value] of changes) copy[at % copy.length] = value;
    return copy;
  });
const attack = fc.array(fc.oneof(methodFrame, anyFrame, publication, mutated, someBytes), {
  minLength: 1,
  maxLength: 6,
});

/** A client that publishes, gets and acks. */
function canary(lab: Lab): () => void {
  const peer = lab.connect();
  peer.queue('canary');
  let tag = 0;
  return () => {
    peer.publish({ routingKey: 'canary' }, 'alive');
    tag += 1;
    expect(peer.call('basic.get', { queue: 'canary' })).toMatchObject([
      { name: 'basic.get-ok', body: 'alive' },
    ]);
    peer.send('basic.ack', { deliveryTag: tag });
  };
}

test('whatever users send, the broker answers or closes, fails never, and serves the others', () => {
  const lab = new Lab();
  const sing = canary(lab);
  fc.assert(
    fc.property(attack, fc.boolean(), (frames, isStranger) => {
      const peer = isStranger ? lab.stranger() : lab.connect();
      for (const bytes of frames) if (peer.ended === undefined) peer.bytes(bytes);
      peer.session.disconnected();
      expect(lab.failures).toEqual([]);
      sing();
    }),
    settings,
  );
  lab.core.deleteVhost('/');
  lab.core.endTurn();
  expect(lab.core.messages.count).toBe(0);
});

test('nested headers are refused where they come in, so no consumer ever sees them', () => {
  const lab = new Lab();
  const peer = lab.connect();
  let inner = Buffer.alloc(0);
  for (let level = 0; level < 100; level += 1) {
    const head = Buffer.from([1, 0x61, 0x46, 0, 0, 0, 0]);
    head.writeUInt32BE(inner.length, 3);
    inner = Buffer.concat([head, inner]);
  }
  const size = Buffer.alloc(4);
  size.writeUInt32BE(inner.length);
  peer.send('basic.publish', { routingKey: 'q' });
  peer.rawFrame(
    2,
    1,
    Buffer.concat([Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 0]), size, inner]),
  );
  expect(refusal(peer.take())).toContain(
    '502 SYNTAX_ERROR - AMQP data cannot be read: tables are nested more than 64 deep',
  );
});

test('a declared body of 128 MiB takes no memory before it comes', () => {
  const lab = new Lab();
  const before = lab.core.messages.bytes;
  for (let i = 0; i < 50; i += 1) {
    const peer = lab.connect();
    peer.send('basic.publish', { routingKey: 'q' });
    peer.rawFrame(2, 1, Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0]));
  }
  expect(lab.core.messages.bytes - before).toBe(0);
  expect(process.memoryUsage().arrayBuffers).toBeLessThan(256 * 1024 * 1024);
});

test('a pattern of many # costs no more than its words', () => {
  const lab = new Lab();
  const peer = lab.connect();
  peer.queue('q');
  peer.call('queue.bind', { queue: 'q', exchange: 'amq.topic', routingKey: `${'#.a.'.repeat(30)}#` });
  const started = performance.now();
  for (let i = 0; i < 20; i += 1)
    peer.publish({ exchange: 'amq.topic', routingKey: `${'a.'.repeat(120)}b` }, 'x');
  expect(performance.now() - started).toBeLessThan(2000);
  expect(peer.call('basic.get', { queue: 'q' })[0]?.name).toBe('basic.get-ok');
});

test('topics match as the specification says, for any pattern and key', () => {
  const word = fc.constantFrom('a', 'b', '');
  const pattern = fc.array(fc.oneof(word, fc.constantFrom('*', '#')), { maxLength: 5 });
  const key = fc.array(word, { maxLength: 5 });
  const fits = (pieces: readonly string[], words: readonly string[]): boolean => {
    const [first, ...rest] = pieces;
    if (first === undefined) return words.length === 0;
    if (first === '#') return fits(rest, words) || (words.length > 0 && fits(pieces, words.slice(1)));
    return words.length > 0 && (first === '*' || first === words[0]) && fits(rest, words.slice(1));
  };
  fc.assert(
    fc.property(pattern, key, (pieces, words) => {
      const [patternText, keyText] = [pieces.join('.'), words.join('.')];
      const lab = new Lab();
      const peer = lab.connect();
      peer.queue('q');
      peer.call('queue.bind', {
        queue: 'q',
        exchange: 'amq.topic',
        routingKey: patternText === '' ? 'x' : patternText,
      });
      peer.publish({ exchange: 'amq.topic', routingKey: keyText }, 'x');
      const split = (text: string): string[] => (text === '' ? [] : text.split('.'));
      const expected = fits(split(patternText === '' ? 'x' : patternText), split(keyText));
      expect(peer.call('basic.get', { queue: 'q' })[0]?.name === 'basic.get-ok').toBe(expected);
    }),
    { numRuns: 300 },
  );
});

test('numbers of methods are all known by name', () => {
  expect(Object.values(METHOD).every((id) => METHOD_NAMES.has(id))).toBe(true);
});
