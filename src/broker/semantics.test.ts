// What happens to messages in queues: order, who gets them, what becomes of them when nobody does.

import { describe, expect, test } from 'vitest';
import { bench, drain } from './bench.fixture.ts';
import { Lab, Peer } from './peer.fixture.ts';

describe('consumers', () => {
  test('take turns, whatever connection they are on', () => {
    const b = bench();
    b.peer.queue('q');
    const others = [b.lab.connect(), b.lab.connect(), b.lab.connect()];
    for (const other of others) other.call('basic.consume', { queue: 'q' });
    b.put('q', ...'123456'.split(''));
    expect(others.map((other) => other.bodies().join(''))).toEqual(['14', '25', '36']);
  });

  test('who comes is served behind those that are there', () => {
    const b = bench();
    b.peer.queue('q');
    const peer = b.lab.connect();
    peer.call('basic.consume', { queue: 'q', consumerTag: 'a', noAck: true });
    b.put('q', '1');
    peer.take();
    peer.call('basic.consume', { queue: 'q', consumerTag: 'b', noAck: true });
    b.put('q', '2', '3');
    expect(peer.take().map(({ args }) => args['consumerTag'])).toEqual(['a', 'b']);
  });

  test('with a higher priority come first, while they have credit', () => {
    const b = bench();
    b.peer.queue('q');
    const [low, high] = [b.lab.connect(), b.lab.connect()];
    low.call('basic.consume', { queue: 'q' });
    high.call('basic.qos', { prefetchCount: 2 });
    high.call('basic.consume', { queue: 'q', args: { 'x-priority': 5 } });
    b.put('q', ...'1234'.split(''));
    expect([high.bodies(), low.bodies()]).toEqual([
      ['1', '2'],
      ['3', '4'],
    ]);
    high.send('basic.ack', { deliveryTag: 1 });
    b.put('q', '5');
    expect(high.bodies()).toEqual(['5']);
  });

  test('prefetch for each consumer, and for the channel', () => {
    const b = bench();
    b.peer.queue('q');
    const each = b.lab.connect();
    each.call('basic.qos', { prefetchCount: 1 });
    each.call('basic.consume', { queue: 'q', consumerTag: 'a' });
    each.call('basic.consume', { queue: 'q', consumerTag: 'b' });
    b.put('q', ...'1234'.split(''));
    expect(each.bodies()).toEqual(['1', '2']);
    const all = b.lab.connect();
    all.call('basic.qos', { prefetchCount: 1, global: true });
    all.call('basic.consume', { queue: 'q', consumerTag: 'a' });
    expect(all.bodies()).toEqual([]);
    expect(all.call('basic.consume', { queue: 'q', consumerTag: 'b' })).toHaveLength(1);
    all.send('basic.ack', { deliveryTag: 1 });
    expect(all.bodies()).toEqual(['4']);
  });

  test('only one is active where the queue says so; the next takes over', () => {
    const b = bench();
    b.peer.queue('q', { 'x-single-active-consumer': true });
    const [first, second] = [b.lab.connect(), b.lab.connect()];
    for (const other of [first, second]) other.call('basic.consume', { queue: 'q', consumerTag: 't' });
    b.put('q', ...'12'.split(''));
    expect([first.bodies(), second.bodies()]).toEqual([['1', '2'], []]);
    first.send('basic.cancel', { consumerTag: 't' });
    b.put('q', '3');
    expect(second.bodies()).toEqual(['3']);
  });

  test('are told when their queue goes', () => {
    const b = bench();
    b.peer.queue('q');
    const [told, silent] = [b.lab.connect(), b.lab.connect({ capabilities: [] })];
    for (const other of [told, silent]) other.call('basic.consume', { queue: 'q', consumerTag: 't' });
    b.peer.call('queue.delete', { queue: 'q' });
    expect(told.take()).toMatchObject([{ name: 'basic.cancel', args: { consumerTag: 't', nowait: true } }]);
    expect(silent.take()).toEqual([]);
  });

  test('who deletes the queue of a consumer of its own is answered first', () => {
    const b = bench();
    b.peer.queue('q');
    b.peer.call('basic.consume', { queue: 'q', consumerTag: 't' });
    const got = b.peer.call('queue.delete', { queue: 'q' });
    expect(got.map(({ name }) => name)).toEqual(['queue.delete-ok', 'basic.cancel']);
  });

  test('who does not read gets no more, and holds up nobody', () => {
    const b = bench();
    b.peer.queue('q');
    const [stuck, other] = [b.lab.connect(), b.lab.connect()];
    for (const peer of [stuck, other]) peer.call('basic.consume', { queue: 'q', noAck: true });
    stuck.pendingBytes = 10_000_000;
    b.put('q', ...'1234'.split(''));
    expect([stuck.bodies(), other.bodies()]).toEqual([[], ['1', '2', '3', '4']]);
    stuck.pendingBytes = 0;
    stuck.session.drained();
    b.put('q', ...'56'.split(''));
    expect([...stuck.bodies(), ...other.bodies()].sort()).toEqual(['5', '6']);
  });

  test('a queue that deletes itself does so with its last consumer, or unused for its time', () => {
    const b = bench();
    b.peer.queue('auto', {}, { autoDelete: true });
    b.peer.call('basic.consume', { queue: 'auto', consumerTag: 't' });
    b.peer.call('basic.cancel', { consumerTag: 't' });
    b.peer.queue('short', { 'x-expires': 1000 });
    const vhost = b.lab.core.vhosts.get('/');
    expect(vhost?.queue('auto')).toBe(undefined);
    b.lab.advance(900);
    b.counts('short');
    b.lab.advance(900);
    expect(vhost?.queue('short')).not.toBe(undefined);
    b.lab.advance(200);
    expect(vhost?.queue('short')).toBe(undefined);
  });

  test('an exclusive queue goes with its connection', () => {
    const b = bench();
    const other = b.lab.connect();
    other.queue('mine', {}, { exclusive: true });
    other.session.disconnected();
    expect(b.lab.core.vhosts.get('/')?.queue('mine')).toBe(undefined);
  });
});

describe('settling', () => {
  test('what comes back goes where it was, marked', () => {
    const b = bench();
    b.peer.queue('q');
    b.put('q', ...'12345'.split(''));
    const other = b.lab.connect();
    other.call('basic.qos', { prefetchCount: 3 });
    expect(
      other
        .call('basic.consume', { queue: 'q' })
        .slice(1)
        .map(({ body }) => body),
    ).toEqual(['1', '2', '3']);
    other.send('basic.ack', { deliveryTag: 2 });
    expect(other.bodies()).toEqual(['4']);
    other.session.disconnected();
    const third = b.lab.connect();
    const got = third.call('basic.consume', { queue: 'q', noAck: true }).slice(1);
    expect(got.map(({ body, args }) => `${body ?? ''}${args['redelivered'] === true ? '!' : ''}`)).toEqual([
      '1!',
      '3!',
      '4!',
      '5',
    ]);
  });

  test('nack of several, requeued and not', () => {
    const b = bench();
    b.peer.queue('q');
    b.put('q', ...'1234'.split(''));
    const take = (): void => {
      for (let i = 0; i < 4; i += 1) b.peer.send('basic.get', { queue: 'q' });
    };
    take();
    b.peer.send('basic.nack', { deliveryTag: 3, multiple: true, requeue: true });
    expect(b.counts('q')[0]).toBe(3);
    b.peer.send('basic.reject', { deliveryTag: 4, requeue: false });
    expect(drain(b, 'q')).toEqual(['1', '2', '3']);
    expect(b.lab.core.messages.count).toBe(0);
  });

  test('ack of several settles up to the tag, across queues', () => {
    const b = bench();
    for (const queue of ['a', 'b']) b.peer.queue(queue);
    b.put('a', '1', '3');
    b.put('b', '2');
    for (const queue of ['a', 'b', 'a']) b.peer.send('basic.get', { queue });
    b.peer.send('basic.ack', { deliveryTag: 2, multiple: true });
    b.peer.send('basic.recover');
    expect([b.counts('a')[0], b.counts('b')[0]]).toEqual([1, 0]);
  });

  test('a transaction publishes and settles at its commit, and nothing at rollback', () => {
    const b = bench();
    for (const queue of ['in', 'out']) b.peer.queue(queue);
    b.put('in', '1', '2');
    b.peer.call('tx.select');
    b.peer.send('basic.get', { queue: 'in' });
    b.peer.send('basic.ack', { deliveryTag: 1 });
    b.put('out', 'lost');
    expect(b.counts('out')[0]).toBe(0);
    b.peer.call('tx.rollback');
    b.peer.send('basic.ack', { deliveryTag: 1 });
    b.put('out', 'kept');
    b.peer.call('tx.commit');
    expect([drain(b, 'out'), drain(b, 'in')]).toEqual([['kept'], ['2']]);
    expect(b.lab.core.messages.count).toBe(0);
  });
});

describe('publisher confirms', () => {
  test('a burst is answered with one cumulative ack', () => {
    const b = bench();
    b.peer.queue('q');
    b.peer.call('confirm.select');
    b.peer.take();
    b.peer.bytes(
      Buffer.concat(Array.from({ length: 100 }, () => Peer.publication({ routingKey: 'q' }, 'x'))),
    );
    expect(b.peer.take()).toMatchObject([{ name: 'basic.ack', args: { deliveryTag: 100, multiple: true } }]);
    expect(b.peer.publish({ routingKey: 'q' }, 'x')).toMatchObject([
      { name: 'basic.ack', args: { deliveryTag: 101, multiple: false } },
    ]);
  });

  test('a mandatory message that reaches no queue is returned before its ack', () => {
    const b = bench();
    b.peer.call('confirm.select');
    expect(b.peer.publish({ routingKey: 'nowhere', mandatory: true }, 'back')).toMatchObject([
      {
        name: 'basic.return',
        args: { replyCode: 312, replyText: 'NO_ROUTE', routingKey: 'nowhere' },
        body: 'back',
      },
      { name: 'basic.ack' },
    ]);
  });

  test('a full queue that rejects is a nack, in its place between acks', () => {
    const b = bench();
    b.peer.queue('full', { 'x-max-length': 1, 'x-overflow': 'reject-publish' });
    b.peer.queue('q');
    b.peer.call('confirm.select');
    const keys = ['full', 'q', 'full', 'q', 'full', 'q'];
    b.peer.bytes(Buffer.concat(keys.map((routingKey) => Peer.publication({ routingKey }, 'x'))));
    expect(b.peer.take().map(({ name, args }) => [name, args['deliveryTag'], args['multiple']])).toEqual([
      ['basic.ack', 2, true],
      ['basic.nack', 3, false],
      ['basic.ack', 4, false],
      ['basic.nack', 5, false],
      ['basic.ack', 6, false],
    ]);
  });

  test('tests can make the next publish fail', () => {
    const b = bench();
    b.peer.queue('q');
    b.peer.call('confirm.select');
    b.lab.core.failingPublishes = 1;
    expect(b.peer.publish({ routingKey: 'q' }, 'x')[0]?.name).toBe('basic.nack');
    expect(b.peer.publish({ routingKey: 'q' }, 'x')[0]?.name).toBe('basic.ack');
  });
});

describe('limits of a queue', () => {
  test('length and bytes: the oldest go, or the newest are refused', () => {
    const b = bench();
    b.peer.queue('head', { 'x-max-length': 2 });
    b.peer.queue('bytes', { 'x-max-length-bytes': 6 });
    b.peer.queue('reject', { 'x-max-length': 2, 'x-overflow': 'reject-publish' });
    for (const queue of ['head', 'bytes', 'reject']) b.put(queue, 'aaa', 'bbb', 'ccc');
    expect([drain(b, 'head'), drain(b, 'bytes'), drain(b, 'reject')]).toEqual([
      ['bbb', 'ccc'],
      ['bbb', 'ccc'],
      ['aaa', 'bbb'],
    ]);
  });

  test('what goes back to a full queue that refuses is not dropped', () => {
    const b = bench();
    b.peer.queue('reject', { 'x-max-length': 2, 'x-overflow': 'reject-publish' });
    b.put('reject', 'aaa', 'bbb');
    const other = b.lab.connect();
    other.call('basic.get', { queue: 'reject', noAck: false });
    b.put('reject', 'ccc');
    other.send('basic.nack', { deliveryTag: 1, requeue: true });
    expect(drain(b, 'reject')).toEqual(['aaa', 'bbb', 'ccc']);
  });

  test('a message that alone is larger than the queue may be is refused', () => {
    const b = bench();
    b.peer.queue('q', { 'x-max-length-bytes': 4, 'x-overflow': 'reject-publish' });
    b.put('q', '12345', '1234', '');
    expect(drain(b, 'q')).toEqual(['1234', '']);
  });

  test('what comes back to a full queue is dropped only where the oldest go', () => {
    const b = bench();
    for (const overflow of ['drop-head', 'reject-publish']) {
      b.peer.queue(overflow, { 'x-max-length': 1, 'x-overflow': overflow });
      const other = b.lab.connect();
      b.put(overflow, '1');
      other.call('basic.get', { queue: overflow });
      b.put(overflow, '2');
      other.call('basic.reject', { deliveryTag: 1, requeue: true });
    }
    expect([drain(b, 'drop-head'), drain(b, 'reject-publish')]).toEqual([['2'], ['1', '2']]);
  });

  test('a message a consumer can have is not dropped, however short the queue', () => {
    const b = bench();
    b.peer.queue('q', { 'x-max-length': 0 });
    const other = b.lab.connect();
    other.call('basic.consume', { queue: 'q', noAck: true });
    b.peer.bytes(Buffer.concat('123'.split('').map((body) => Peer.publication({ routingKey: 'q' }, body))));
    expect(other.bodies()).toEqual(['1', '2', '3']);
  });

  test('time to live, of the queue and of the message, at the head only', () => {
    const b = bench();
    b.peer.queue('q', { 'x-message-ttl': 1000 });
    b.put('q', 'slow');
    b.peer.publish({ routingKey: 'q' }, 'fast', { expiration: '100' });
    b.lab.advance(500);
    expect(b.counts('q')[0]).toBe(2);
    b.lab.advance(500);
    expect(b.counts('q')[0]).toBe(0);
    b.peer.publish({ routingKey: 'q' }, 'never', { expiration: '0' });
    expect(b.get('q')).toBe(undefined);
  });

  test('what comes back too old is gone, and what comes back later dies at its time', () => {
    const b = bench();
    b.peer.queue('q', { 'x-message-ttl': 100 });
    b.put('q', 'a', 'b');
    for (const _ of 'ab') b.peer.call('basic.get', { queue: 'q' });
    b.lab.advance(60);
    b.peer.call('basic.reject', { deliveryTag: 1, requeue: true });
    expect(b.counts('q')).toEqual([1, 0]);
    b.lab.advance(40);
    expect(b.counts('q')).toEqual([0, 0]);
    b.peer.call('basic.reject', { deliveryTag: 2, requeue: true });
    expect(b.counts('q')).toEqual([0, 0]);
    expect(b.lab.core.messages.count).toBe(0);
  });

  test('priorities', () => {
    const b = bench();
    b.peer.queue('q', { 'x-max-priority': 5 });
    for (const [body, priority] of [
      ['a', 0],
      ['b', 5],
      ['c', 9],
      ['d', 2],
    ] as const) {
      b.peer.publish({ routingKey: 'q' }, body, { priority });
    }
    expect(drain(b, 'q')).toEqual(['b', 'c', 'd', 'a']);
  });

  test('a message that came back too often is dead', () => {
    const b = bench();
    b.peer.queue('dead');
    const args = {
      'x-queue-type': 'quorum',
      'x-delivery-limit': 2,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'dead',
    };
    b.peer.queue('q', args, { durable: true });
    b.put('q', 'x');
    const counts: unknown[] = [];
    for (let i = 1; i <= 3; i += 1) {
      const [got] = b.peer.call('basic.get', { queue: 'q' });
      counts.push(got?.properties?.headers?.['x-delivery-count']?.value);
      b.peer.send('basic.reject', { deliveryTag: i, requeue: true });
    }
    expect(counts).toEqual([undefined, 1, 2]);
    expect(b.counts('q')[0]).toBe(0);
    expect(b.get('dead')?.properties?.headers).toMatchObject({
      'x-first-death-reason': { value: 'delivery_limit' },
    });
  });
});

describe('dead letters', () => {
  test('carry when, where and why they died', () => {
    const b = bench();
    b.peer.queue('dead');
    b.peer.queue('q', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'dead' });
    b.peer.publish({ routingKey: 'q' }, 'x', {
      expiration: '50',
      contentType: 't',
      headers: b.lab.table({ mine: 1 }),
    });
    b.lab.advance(50);
    const got = b.get('dead');
    expect(got?.args).toMatchObject({ exchange: '', routingKey: 'dead' });
    expect(got?.properties).toMatchObject({ contentType: 't' });
    expect(got?.properties?.expiration).toBe(undefined);
    const { headers = {} } = got?.properties ?? {};
    expect(headers).toMatchObject({
      mine: { value: 1 },
      'x-first-death-queue': { value: 'q' },
      'x-first-death-reason': { value: 'expired' },
      'x-first-death-exchange': { value: '' },
      'x-last-death-queue': { value: 'q' },
    });
    expect(headers['x-death']).toMatchObject({
      type: 'A',
      value: [
        {
          type: 'F',
          value: {
            count: { type: 'l', value: 1 },
            reason: { value: 'expired' },
            queue: { value: 'q' },
            time: { type: 'T', value: 1_700_000_000 },
            exchange: { value: '' },
            'routing-keys': { value: [{ value: 'q' }] },
            'original-expiration': { value: '50' },
          },
        },
      ],
    });
  });

  test('keep their routing key where the queue sets none, and come from every kind of death', () => {
    const b = bench();
    b.peer.queue('dead');
    b.peer.call('queue.bind', { queue: 'dead', exchange: 'amq.fanout' });
    b.peer.queue('q', { 'x-dead-letter-exchange': 'amq.fanout', 'x-max-length': 1 });
    b.put('q', 'dropped', 'rejected');
    b.peer.send('basic.get', { queue: 'q' });
    b.peer.send('basic.reject', { deliveryTag: 1, requeue: false });
    const [first, second] = [b.get('dead'), b.get('dead')];
    expect([first?.body, first?.args['routingKey'], second?.body]).toEqual(['dropped', 'q', 'rejected']);
    expect(first?.properties?.headers?.['x-first-death-reason']?.value).toBe('maxlen');
    expect(second?.properties?.headers?.['x-first-death-reason']?.value).toBe('rejected');
  });

  test('go round in a circle only when somebody rejects them; then they are counted', () => {
    const b = bench();
    b.peer.queue('a', {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'b',
      'x-message-ttl': 10,
    });
    b.peer.queue('b', {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'a',
      'x-message-ttl': 10,
    });
    b.put('a', 'x');
    for (let i = 0; i < 10; i += 1) b.lab.advance(10);
    expect(b.lab.core.messages.count).toBe(0);
    b.peer.queue('work', { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': 'wait' });
    b.peer.queue('wait', {
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'work',
      'x-message-ttl': 10,
    });
    b.put('work', 'x');
    for (let round = 1; round <= 3; round += 1) {
      const [got] = b.peer.call('basic.get', { queue: 'work' });
      const deaths = got?.properties?.headers?.['x-death'];
      const newest = deaths?.type === 'A' && deaths.value[0]?.type === 'F' ? deaths.value[0].value : {};
      if (round > 1) expect([newest['queue']?.value, newest['count']?.value]).toEqual(['wait', round - 1]);
      b.peer.send('basic.reject', { deliveryTag: round, requeue: false });
      b.lab.advance(10);
    }
    expect(b.counts('work')[0]).toBe(1);
  });

  test('a chain of a thousand queues does not nest, and the list of deaths has an end', () => {
    const b = bench();
    for (let i = 0; i < 1000; i += 1) {
      const next = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': `q${i + 1}` };
      b.peer.queue(`q${i}`, { ...next, 'x-max-length': 0 });
    }
    b.peer.queue('q1000');
    b.put('q0', 'x');
    // One turn does so much and no more; the next goes on.
    for (let i = 0; i < 20; i += 1) b.lab.core.endTurn();
    const deaths = b.get('q1000')?.properties?.headers?.['x-death'];
    expect(deaths?.type === 'A' && deaths.value.length).toBe(128);
  }, 120_000);
});

describe('the connection', () => {
  test('requests and replies with no queue between', () => {
    const b = bench();
    const server = b.lab.connect();
    server.queue('rpc');
    server.call('basic.consume', { queue: 'rpc', noAck: true });
    b.peer.call('basic.consume', { queue: 'amq.rabbitmq.reply-to', noAck: true, consumerTag: 'r' });
    b.peer.publish({ routingKey: 'rpc' }, 'ask', { replyTo: 'amq.rabbitmq.reply-to', correlationId: '7' });
    const [asked] = server.take();
    const replyTo = asked?.properties?.replyTo ?? '';
    expect(replyTo).toMatch(/^amq\.rabbitmq\.reply-to\../);
    server.publish({ routingKey: replyTo }, 'answer', { correlationId: '7' });
    expect(b.peer.take()).toMatchObject([
      { name: 'basic.deliver', args: { consumerTag: 'r', routingKey: replyTo }, body: 'answer' },
    ]);
    b.peer.call('basic.cancel', { consumerTag: 'r' });
    expect(server.publish({ routingKey: replyTo, mandatory: true }, 'late')).toMatchObject([
      { name: 'basic.return' },
    ]);
    expect(b.lab.core.messages.count).toBe(0);
  });

  test('heartbeats are sent at half the interval; two intervals of silence end it', () => {
    const lab = new Lab();
    const peer = lab.connect({ heartbeat: 2 });
    // In the first half interval the handshake's bytes were sent: none is needed.
    for (let i = 0; i < 3; i += 1) lab.advance(1000);
    expect(peer.heartbeats).toBe(2);
    peer.rawFrame(8, 0, Buffer.alloc(0));
    for (let i = 0; i < 4; i += 1) lab.advance(1000);
    expect(peer.ended).toBe(undefined);
    lab.advance(1000);
    expect(peer.ended).toBe('destroy');
  });

  test('publishers are told and not read from while blocked; consumers go on', () => {
    const b = bench();
    b.peer.queue('q');
    const consumer = b.lab.connect();
    consumer.call('basic.consume', { queue: 'q', noAck: true });
    b.put('q', '1');
    consumer.take();
    b.lab.core.force('test');
    b.lab.core.endTurn();
    expect(b.peer.take()).toMatchObject([{ name: 'connection.blocked', args: { reason: 'test' } }]);
    expect([b.peer.paused, consumer.paused]).toEqual([true, false]);
    expect(consumer.take()).toEqual([]);
    b.lab.core.force(undefined);
    b.lab.core.endTurn();
    expect(b.peer.take()).toMatchObject([{ name: 'connection.unblocked' }]);
    expect(b.peer.paused).toBe(false);
  });

  test('messages over the memory limit block publishers until enough are taken', () => {
    const lab = new Lab({ limits: { memoryBytesMax: 1_000_000 } });
    const peer = lab.connect();
    peer.queue('q');
    for (let i = 0; i < 20; i += 1) peer.publish({ routingKey: 'q' }, Buffer.alloc(100_000));
    expect(peer.paused).toBe(true);
    lab.connect().call('queue.purge', { queue: 'q' });
    expect(peer.paused).toBe(false);
  });

  test('a message larger than a frame is cut into frames of the size agreed', () => {
    const lab = new Lab();
    const peer = lab.connect({ frameMax: 4096 });
    peer.queue('q');
    const body = 'x'.repeat(100_000);
    const [got] = (() => {
      lab.connect().publish({ routingKey: 'q' }, body);
      return peer.call('basic.get', { queue: 'q', noAck: true });
    })();
    expect(got?.body).toBe(body);
  });

  test('properties and headers of any type arrive as the bytes that were sent', () => {
    const b = bench();
    b.peer.queue('q');
    const headers = b.lab.table({
      text: 'ü',
      list: [1, 'a', null, { deep: true }],
      big: { type: 'l', value: 2n ** 62n },
    });
    const properties = { contentType: 'a/b', headers, deliveryMode: 2, timestamp: 7, appId: 'me' };
    b.peer.publish({ routingKey: 'q' }, 'x', properties);
    expect(b.get('q')?.properties).toEqual(properties);
  });

  test('a closed connection leaves nothing behind', () => {
    const b = bench();
    b.peer.queue('q', {}, { exclusive: true });
    b.peer.call('basic.consume', { queue: 'q' });
    b.put('q', '1', '2');
    b.peer.send('basic.publish', { routingKey: 'q' });
    b.peer.rawFrame(2, 1, Buffer.from([0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0]));
    b.peer.session.disconnected();
    expect(b.lab.core.messages.count).toBe(0);
    expect(b.lab.core.counters).toMatchObject({ connections: 0, channels: 0 });
    expect(b.lab.clock.timers).toBe(0);
  });
});
