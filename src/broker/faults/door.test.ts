// At the door of a real broker process: strangers who say nothing, say it slowly, speak another language, or are too many. A canary
// that works all the while notices nothing.

import { networkInterfaces } from 'node:os';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { until as untilWithin } from '../../cli/command.fixture.ts';
import { LIMITS } from '../limits.ts';
import { BrokerProcess, Canary, Stranger, WAIT_MS } from './broker-process.fixture.ts';

vi.setConfig({ testTimeout: 120_000 });

const until = (ask: () => boolean): Promise<boolean> => untilWithin(ask, WAIT_MS);
const HEADER = 'AMQP\0\0\x09\x01';
/** Strangers of each kind at a time. */
const CROWD = 50;

/** A frame of a method, with arguments as they are. */
function method(channel: number, id: readonly [number, number], args: string): string {
  const payload = `\0${String.fromCharCode(id[0])}\0${String.fromCharCode(id[1])}${args}`;
  const length = String.fromCharCode(payload.length >> 8, payload.length & 0xff);
  return `\x01\0${String.fromCharCode(channel)}\0\0${length}${payload}\xce`;
}

const LOGIN = method(0, [10, 11], '\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US');

describe('strangers', () => {
  let broker: BrokerProcess;
  let canary: Canary;

  beforeAll(async () => {
    broker = await BrokerProcess.start({
      httpPort: 0,
      limits: { handshakeMs: 1000, failedLoginMs: 200, httpHeadersMs: 500, handshakesMax: 400 },
    });
    canary = await Canary.start(broker.url);
  });

  afterAll(async () => {
    await canary[Symbol.asyncDispose]();
    await broker[Symbol.asyncDispose]();
  });

  test('have 10 seconds and 8 KiB unless the limits say otherwise', () => {
    expect([LIMITS.handshakeMs.default, LIMITS.handshakeFrameBytesMax.default]).toEqual([10_000, 8192]);
  });

  test.each<[string, (stranger: Stranger) => unknown]>([
    ['say nothing', () => undefined],
    ['say half a header', (stranger) => stranger.say('AMQP\0')],
    ['say a header a byte at a time', (stranger) => stranger.drip('AMQP', 400)],
    ['stop after the header', (stranger) => stranger.say(HEADER)],
    ['stop in the middle of a frame', (stranger) => stranger.say(`${HEADER}\x01\0\0\0\0\x10\0abc`)],
    ['drip a frame', (stranger) => stranger.say(`${HEADER}\x01\0\0\0\0\x10\0`).drip('x', 50)],
    ['beat hearts for ever', (stranger) => stranger.say(HEADER).drip('\x08\0\0\0\0\0\0\xce', 20)],
    ['log in and stop', (stranger) => stranger.say(HEADER + LOGIN)],
  ])('who %s are closed when their time is over', async (_, behave) => {
    const crowd = Array.from({ length: CROWD }, () => new Stranger(broker.port));
    for (const stranger of crowd) behave(stranger);
    await canary.sings();
    await Promise.all(crowd.map(({ closed }) => closed));
    await broker.connectionsAre(1);
    await canary.sings();
  });

  test.each([
    ['HTTP', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['a TLS hello', '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03'],
    ['AMQP 1.0', 'AMQP\0\x01\0\0'],
    ['AMQP 1.0 with SASL', 'AMQP\x03\x01\0\0'],
    ['AMQP 0-8', 'AMQP\x01\x01\x08\0'],
    ['AMQP 0-9-2', 'AMQP\0\0\x09\x02'],
    ['Redis', '*1\r\n$4\r\nPING\r\n'],
    ['MQTT', '\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0'],
    ['zeros', '\0'.repeat(100_000)],
  ])('who speak %s are told what is spoken here, and closed', async (_, bytes) => {
    const stranger = new Stranger(broker.port).say(bytes);
    await stranger.closed;
    expect(stranger.text).toBe(HEADER);
    await canary.sings();
  });

  test.each([
    ['a frame larger than a stranger may send', `${HEADER}\x01\0\0\0\0\x20\0`, 'frame_too_large,8192'],
    ['a size of 4 GiB', `${HEADER}\x01\0\0\xff\xff\xff\xff`, 'frame_too_large,4294967295'],
    ['a frame without its end mark', `${HEADER}\x01\0\0\0\0\0\x01xy`, 'invalid_frame_end_marker'],
    ['a body before any login', `${HEADER}\x03\0\0\0\0\0\0\xce`, 'UNEXPECTED_FRAME'],
    ['a method before any login', HEADER + method(1, [20, 10], '\0'), 'NOT_ALLOWED'],
    ['a login that is cut off', HEADER + method(0, [10, 11], '\0\0\xff\xff'), 'SYNTAX_ERROR'],
    [
      'a table in itself',
      HEADER + method(0, [10, 11], `\0\0\0\x70${'\x01aF\0\0\0\x60'.repeat(16)}`),
      'SYNTAX_ERROR',
    ],
  ])('%s ends with a reply and nothing else', async (_, bytes, text) => {
    const stranger = new Stranger(broker.port).say(bytes);
    await until(() => stranger.text.includes(text));
    stranger.socket.destroy();
    await canary.sings();
  });

  test.each([
    ['a wrong password', '\0guest\0wrong'],
    ['no password', '\0guest\0'],
    ['nobody', '\0nobody\0guest'],
    ['no user', '\0\0'],
    ['half of it', 'guest'],
  ])('a login with %s is closed without a word, after a while', async (_, response) => {
    const args = `\0\0\0\0\x05PLAIN\0\0\0${String.fromCharCode(response.length)}${response}\x05en_US`;
    const since = performance.now();
    const stranger = new Stranger(broker.port).say(HEADER + method(0, [10, 11], args));
    await stranger.closed;
    expect(performance.now() - since).toBeGreaterThan(190);
    // connection.start came, and no more than that.
    expect(stranger.text.split('\xce')).toHaveLength(2);
  });

  test('too many of them are closed at once, and clients log in again when they are gone', async () => {
    const crowd = Array.from({ length: 600 }, () => new Stranger(broker.port));
    await until(() => crowd.filter(({ isClosed }) => isClosed).length >= 200);
    await canary.sings();
    await Promise.all(crowd.map(({ closed }) => closed));
    await (await Canary.start(broker.url))[Symbol.asyncDispose]();
  });

  test('a header of HTTP that comes a byte at a time does not keep a connection', async () => {
    const slow = new Stranger(broker.ready.httpPort).say('GET /health HTTP/1.1\r\n').drip('x', 100);
    await slow.closed;
    expect(slow.text).toContain('408');
    await canary.sings();
  });

  test('a body that never comes does not hold up others', async () => {
    const head = 'POST /api/definitions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n';
    const slow = new Stranger(broker.ready.httpPort).say(head);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request({ port: broker.ready.httpPort, path: '/health' }, (response) => resolve(response.statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(200);
    slow.socket.destroy();
  });
});

test('too many clients: the last is told 320, and the canary is not disturbed', async () => {
  await using broker = await BrokerProcess.start({ limits: { connectionsMax: 3 } });
  await using canary = await Canary.start(broker.url);
  await using second = await Canary.start(broker.url.replace('127.0.0.1', 'localhost'));
  await second.sings();
  const third = new Stranger(broker.port).say(HEADER + LOGIN);
  const tuneAndOpen = method(0, [10, 31], '\x07\xff\0\x02\0\0\0\0') + method(0, [10, 40], '\x01/\0\0');
  third.say(tuneAndOpen);
  await broker.connectionsAre(3);
  const fourth = new Stranger(broker.port).say(HEADER + LOGIN + tuneAndOpen);
  await until(() => fourth.text.includes('CONNECTION_FORCED - connection limit (3) is reached'));
  fourth.socket.destroy();
  third.socket.destroy();
  await canary.sings();
});

test('few descriptors: sockets are refused before they run out, and the canary is not disturbed', async () => {
  await using broker = await BrokerProcess.start({ httpPort: 0 }, { openFiles: 100 });
  const { connectionsMax } = broker.ready;
  expect(connectionsMax).toBeGreaterThan(10);
  expect(connectionsMax).toBeLessThan(70);
  await using canary = await Canary.start(broker.url);
  const crowd = Array.from({ length: 300 }, () => new Stranger(broker.port).say(HEADER + LOGIN));
  await until(() => crowd.filter(({ isClosed }) => isClosed).length >= 200);
  expect((await broker.ask()).descriptors).toBeLessThan(90);
  await canary.sings();
  // HTTP has descriptors of its own.
  const status = await new Promise<number | undefined>((resolve, reject) => {
    request({ port: broker.ready.httpPort, path: '/metrics' }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
  expect(status).toBe(200);
  for (const { socket } of crowd) socket.destroy();
  await broker.connectionsAre(1);
  await (await Canary.start(broker.url))[Symbol.asyncDispose]();
});

const address = Object.values(networkInterfaces())
  .flat()
  .find((one) => one !== undefined && !one.internal && one.family === 'IPv4')?.address;

test.skipIf(address === undefined)('guest logs in from this machine’s own address only', async () => {
  await using broker = await BrokerProcess.start({ host: '0.0.0.0', limits: { failedLoginMs: 50 } });
  await using canary = await Canary.start(broker.url);
  const outside = new Stranger(broker.port, address).say(HEADER + LOGIN);
  await outside.closed;
  expect(outside.text.split('\xce')).toHaveLength(2);
  await canary.sings();
});
