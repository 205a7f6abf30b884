// Frames in the wrong order, strangers, and the handshake.

import { describe, expect, test } from 'vitest';
import { refusal } from './got.fixture.ts';
import { Lab, type Peer } from './peer.fixture.ts';

describe('frames that make no sense', () => {
  test('before and after channel.open', () => {
    const lab = new Lab();
    expect(refusal(lab.connect().call('queue.declare', { queue: 'q' }, 7))).toBe(
      "connection 504 CHANNEL_ERROR - expected 'channel.open'",
    );
    expect(refusal(lab.connect().call('channel.open', {}, 1))).toBe(
      "connection 504 CHANNEL_ERROR - second 'channel.open' seen",
    );
  });

  test.each([
    ['heartbeat on a channel', 8, 1, Buffer.alloc(0), '505 UNEXPECTED_FRAME - type 8, all octets = <<>>'],
    [
      'body without a method',
      3,
      1,
      Buffer.from('x'),
      '505 UNEXPECTED_FRAME - expected method frame, got non method frame instead',
    ],
    [
      'unknown type',
      9,
      1,
      Buffer.from('abc'),
      '501 FRAME_ERROR - type 9, all octets = <<"abc">>: unknown_frame',
    ],
  ])('%s', (_case, type, channel, payload, text) => {
    const peer = new Lab().connect();
    peer.rawFrame(type, channel, payload);
    expect(refusal(peer.take())).toBe(`connection ${text}`);
  });

  test('content in the wrong order', () => {
    const begin = (): Peer => {
      const peer = new Lab().connect();
      peer.send('basic.publish', { routingKey: 'q' });
      return peer;
    };
    const another = begin();
    another.send('basic.publish', { routingKey: 'q' });
    const body = begin();
    body.rawFrame(3, 1, Buffer.from('x'));
    for (const peer of [another, body]) {
      expect(refusal(peer.take())).toBe(
        'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead',
      );
    }
    const wrongClass = begin();
    wrongClass.rawFrame(2, 1, Buffer.from([0, 50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
    expect(refusal(wrongClass.take())).toBe(
      'connection 505 UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead',
    );
    const tooMuch = begin();
    tooMuch.rawFrame(2, 1, Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
    tooMuch.rawFrame(3, 1, Buffer.from('xy'));
    expect(refusal(tooMuch.take())).toBe(
      'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    );
    const method = begin();
    method.rawFrame(2, 1, Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0]));
    method.send('queue.declare', { queue: 'q' });
    expect(refusal(method.take())).toBe(
      'connection 505 UNEXPECTED_FRAME - expected content body, got non content body frame instead',
    );
  });

  test('a wrong end mark, a frame that is too large', () => {
    const mark = new Lab().connect();
    mark.rawFrame(8, 0, Buffer.alloc(0), 0);
    expect(refusal(mark.take())).toBe(
      'connection 501 FRAME_ERROR - type 8, all octets = <<>>: {invalid_frame_end_marker,0}',
    );
    expect(mark.ended).toBe('end');
    const large = new Lab().connect();
    large.rawFrame(3, 1, Buffer.alloc(200_000));
    expect(refusal(large.take())).toBe(
      'connection 501 FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,200000,131064}',
    );
  });

  test('after channel.close the channel’s frames are ignored until it is confirmed', () => {
    const peer = new Lab().connect();
    peer.call('basic.get', { queue: 'x' });
    expect(peer.queue('q')).toEqual([]);
    expect(peer.publish({ routingKey: 'q' }, 'lost')).toEqual([]);
    peer.send('channel.close-ok');
    peer.open(1);
    expect(peer.take()).toMatchObject([{ name: 'channel.open-ok' }]);
    expect(peer.call('basic.get', { queue: 'q' })).toMatchObject([{ name: 'channel.close' }]);
  });
});

describe('the handshake', () => {
  const HEADER = [0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 1];

  test.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n')],
    ['AMQP 1.0', Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 1, 0, 0])],
    ['AMQP 0-9-2', Buffer.from([0x41, 0x4d, 0x51, 0x50, 0, 0, 9, 2])],
    ['a TLS hello', Buffer.from([0x16, 3, 1, 0, 5])],
  ])('%s is answered with the header, then closed', (_case, bytes) => {
    const peer = new Lab().stranger();
    peer.bytes(bytes);
    expect(peer.rawBytes).toEqual([Buffer.from(HEADER)]);
    expect(peer.ended).toBe('end');
  });

  test('the header may come byte by byte, and AMQP 0-9 is accepted', () => {
    for (const header of [HEADER, [0x41, 0x4d, 0x51, 0x50, 1, 1, 0, 9]]) {
      const peer = new Lab().stranger();
      for (const byte of header) peer.bytes(Buffer.from([byte]));
      expect(peer.take()).toMatchObject([
        { name: 'connection.start', args: { versionMajor: 0, versionMinor: 9 } },
      ]);
    }
  });

  test('the broker calls itself RabbitMQ and says what it can', () => {
    const peer = new Lab().stranger();
    peer.bytes(Buffer.from(HEADER));
    const [start] = peer.take();
    expect(start?.args).toMatchObject({
      mechanisms: 'PLAIN AMQPLAIN',
      locales: 'en_US',
      serverProperties: {
        product: { value: 'RabbitMQ' },
        capabilities: { value: { 'basic.nack': { value: true }, direct_reply_to: { value: true } } },
      },
    });
  });

  test('a wrong password is refused with a reply where the client understands it, and in silence after a while', () => {
    const polite = new Lab().stranger();
    polite.bytes(Buffer.from(HEADER));
    polite.startOk({ password: 'wrong' });
    const got = polite.take();
    expect(refusal(got)).toBe(
      'connection 403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.',
    );
    expect(got.at(-1)?.args).toMatchObject({ classId: 0, methodId: 0 });
    const lab = new Lab();
    const plain = lab.stranger();
    plain.bytes(Buffer.from(HEADER));
    plain.startOk({ password: 'wrong', capabilities: [] });
    expect(plain.ended).toBe(undefined);
    lab.advance(1000);
    expect(plain.ended).toBe('destroy');
  });

  test.each(['nobody', ''])('user %o and an empty password never log in', (user) => {
    const lab = new Lab();
    lab.core.users.put({ name: 'bare', passwordHash: '', tags: [] });
    for (const credentials of [
      { user, password: 'x' },
      { user: 'bare', password: '' },
    ]) {
      const peer = lab.stranger();
      peer.bytes(Buffer.from(HEADER));
      peer.startOk(credentials);
      expect(refusal(peer.take())).toContain('403');
    }
  });

  test('guest comes from this machine only', () => {
    const lab = new Lab();
    lab.addUser('other');
    for (const [user, expected] of [
      ['guest', 'connection.close'],
      ['other', 'connection.tune'],
    ]) {
      const far = lab.stranger(false);
      far.bytes(Buffer.from(HEADER));
      far.take();
      far.startOk({ user: user as string });
      expect(far.take()[0]?.name).toBe(expected);
    }
  });

  test('AMQPLAIN logs in as well', () => {
    const peer = new Lab().stranger();
    peer.bytes(Buffer.from(HEADER));
    peer.take();
    const response = Buffer.from('\x05LOGINS\0\0\0\x05guest\x08PASSWORDS\0\0\0\x05guest', 'latin1');
    peer.send(
      'connection.start-ok',
      { clientProperties: {}, mechanism: 'AMQPLAIN', response, locale: '' },
      0,
    );
    expect(peer.take()[0]?.name).toBe('connection.tune');
  });

  test.each([
    [{ vhost: 'nope' }, '530 NOT_ALLOWED - vhost nope not found'],
    [{ vhost: '/v' }, "530 NOT_ALLOWED - access to vhost '/v' refused for user 'guest'"],
    [
      { frameMax: 1000 },
      '530 NOT_ALLOWED - negotiated frame_max = 1000 is lower than the minimum allowed value (4096)',
    ],
    [
      { frameMax: 0 },
      '530 NOT_ALLOWED - negotiated frame_max = 0 is higher than the maximum allowed value (131072)',
    ],
    [
      { channelMax: 3000 },
      '530 NOT_ALLOWED - negotiated channel_max = 3000 is higher than the maximum allowed value (2047)',
    ],
  ])('%o', (options, text) => {
    const lab = new Lab();
    lab.core.addVhost('/v');
    const peer = lab.stranger();
    peer.shakeHands(options);
    expect(refusal(peer.take())).toBe(`connection ${text}`);
  });

  test('the channels that were agreed are all there are', () => {
    const peer = new Lab().connect({ channelMax: 2 });
    peer.open(2);
    expect(refusal(peer.call('channel.open', {}, 3))).toBe(
      'connection 530 NOT_ALLOWED - number of channels opened (2) has reached the negotiated channel_max (2)',
    );
  });

  test('who does not finish in ten seconds is gone, whatever it sends', () => {
    const lab = new Lab();
    const [silent, slow] = [lab.stranger(), lab.stranger()];
    for (const byte of HEADER.slice(0, 7)) {
      lab.advance(1400);
      slow.bytes(Buffer.from([byte]));
    }
    expect([silent.ended, slow.ended]).toEqual([undefined, undefined]);
    lab.advance(200);
    expect([silent.ended, slow.ended]).toEqual(['destroy', 'destroy']);
  });

  test('before login a frame of more than 8 KiB is refused', () => {
    const peer = new Lab().stranger();
    peer.bytes(Buffer.from(HEADER));
    peer.rawFrame(1, 0, Buffer.alloc(9000));
    expect(refusal(peer.take())).toContain(
      '501 FRAME_ERROR - type 1, all octets = <<>>: {frame_too_large,9000',
    );
  });
});
