// zmq:// with programs that know nothing of Naru: C with libzmq and Python with pyzmq, in every pattern, whoever binds.

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { hasClient } from '../../engines/clients.fixture.ts';
import { codeOf, endpointOf, eventually, numbers, texts, ZmqStage } from './peers.fixture.ts';

const ANY = 'zmq://127.0.0.1:0';
const why = (name: string): string => (hasClient(name) ? '' : ` (skipped: npm run test:engines -- ${name})`);

describe('zmq:// with programs that know nothing of Naru:', () => {
  let stage: ZmqStage;
  beforeEach(() => {
    stage = new ZmqStage();
  });
  afterEach(() => stage.end());

  describe.skipIf(!hasClient('libzmq'))(`C${why('libzmq')}`, () => {
    test('a PUSH socket sends 10,000 messages, whole and in order', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const child = stage.c(
        'push',
        String.raw`
        void *out = zmq_socket(context, ZMQ_PUSH);
        if (zmq_connect(out, argv[1]) != 0) fail("zmq_connect");
        char text[64];
        for (int i = 1; i <= 10000; i++) { sprintf(text, "%d", i); tell(out, text); }
        zmq_close(out);`,
        endpointOf(pull),
      );
      const got: unknown[] = [];
      for await (const { data } of pull) if (got.push(data) === 10_000) break;
      expect(got).toEqual(numbers(1, 10_000));
      expect(await child.end()).toMatchObject({ code: 0 });
    });

    test('two PULL sockets share what is sent; the body is all that travels', async () => {
      const push = await stage.open(`${ANY}?pattern=push&bind`);
      const body = String.raw`
        void *in = zmq_socket(context, ZMQ_PULL);
        if (zmq_connect(in, argv[1]) != 0) fail("zmq_connect");
        char text[64];
        do { hear(in, text, sizeof text); say(text); } while (strcmp(text, "end") != 0);
        zmq_close(in);`;
      const children = ['a', 'b'].map((name) => stage.c(name, body, endpointOf(push)));
      await push.ready({ consumers: 2, timeoutMs: 8_000 });
      await push.sendMany([...numbers(1, 100), 'end', 'end']);
      const got = await Promise.all(
        children.map(async (child) => {
          const lines: number[] = [];
          for (let line = await child.line(); line !== 'end'; line = await child.line())
            lines.push(Number(line));
          return lines;
        }),
      );
      expect(got.flat().sort((a, b) => a - b)).toEqual(numbers(1, 100).map(Number));
      expect(got.every((lines) => lines.length > 0)).toBe(true);
    });

    test('SUB sockets: ready() waits for them, each gets everything, and by topic what it asked for', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind&topic=prices.seoul`);
      const body = (topic: string): string => String.raw`
        void *in = zmq_socket(context, ZMQ_SUB);
        zmq_setsockopt(in, ZMQ_SUBSCRIBE, "${topic}", ${topic.length});
        if (zmq_connect(in, argv[1]) != 0) fail("zmq_connect");
        char topic[64], text[64];
        for (int i = 0; i < 500; i++) { hear(in, topic, 64); hear(in, text, 64); }
        printf("%s %s\n", topic, text);
        zmq_close(in);`;
      const children = ['', 'prices.'].map((topic, n) => stage.c(`sub${n}`, body(topic), endpointOf(pub)));
      await pub.ready({ consumers: 2, timeoutMs: 8_000 });
      await pub.sendMany(numbers(1, 500));
      for (const child of children) expect(await child.line()).toBe('prices.seoul 500');
    });

    test('a PUB socket that binds: prefix is what ZeroMQ filters by', async () => {
      const child = stage.c(
        'pub',
        String.raw`
        void *out = zmq_socket(context, ZMQ_XPUB);
        if (zmq_bind(out, "tcp://127.0.0.1:*") != 0) fail("zmq_bind");
        char text[64]; size_t size = sizeof text;
        zmq_getsockopt(out, ZMQ_LAST_ENDPOINT, text, &size);
        say(text);
        hear(out, text, sizeof text);
        tell(out, "weather: rain"); tell(out, "news: one"); tell(out, "news: two");
        zmq_close(out);`,
        '',
      );
      const url = (await child.line()).replace('tcp', 'zmq');
      const sub = await stage.open(`${url}?pattern=sub&prefix=news`);
      expect(await texts(sub, 2)).toEqual(['news: one', 'news: two']);
    });

    test('REQ asks us, REP answers us, a hundred requests in flight', async () => {
      const rep = await stage.open(`${ANY}?pattern=rep&bind`);
      rep.serve(({ data }) => `re: ${String(data)}`);
      const asking = stage.c(
        'req',
        String.raw`
        void *s = zmq_socket(context, ZMQ_REQ);
        if (zmq_connect(s, argv[1]) != 0) fail("zmq_connect");
        char text[64];
        for (int i = 0; i < 100; i++) { tell(s, "hello"); hear(s, text, 64); }
        say(text);
        zmq_close(s);`,
        endpointOf(rep),
      );
      expect(await asking.line()).toBe('re: hello');
      const req = await stage.open(`${ANY}?pattern=req&bind`);
      stage.c(
        'rep',
        String.raw`
        void *s = zmq_socket(context, ZMQ_REP);
        if (zmq_connect(s, argv[1]) != 0) fail("zmq_connect");
        char text[64], answer[80];
        for (;;) { hear(s, text, 64); sprintf(answer, "C says %s", text); tell(s, answer); }`,
        endpointOf(req),
      );
      const answers = await Promise.all(numbers(1, 100).map((n) => req.request(n, { timeoutMs: 8_000 })));
      expect(answers.map(({ data }) => data)).toEqual(numbers(1, 100).map((n) => `C says ${n}`));
    });

    test('PAIR over a Unix socket talks both ways', async () => {
      const pair = await stage.open(`zmq+ipc://${stage.path('socket')}?pattern=pair&bind`);
      stage.c(
        'pair',
        String.raw`
        void *s = zmq_socket(context, ZMQ_PAIR);
        if (zmq_connect(s, argv[1]) != 0) fail("zmq_connect");
        char text[64];
        for (int i = 0; i < 3; i++) { hear(s, text, 64); tell(s, text); }
        zmq_close(s);`,
        endpointOf(pair),
      );
      for (const text of ['one', '', '나루']) {
        await pair.send(text);
        expect(await texts(pair, 1)).toEqual([text]);
      }
    });

    test('a message of several parts is no message of Naru: counted, told, and the next one arrives', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const errors: string[] = [];
      pull.on('error', ({ error }) => errors.push(error.message));
      stage.c(
        'parts',
        String.raw`
        void *out = zmq_socket(context, ZMQ_PUSH);
        if (zmq_connect(out, argv[1]) != 0) fail("zmq_connect");
        zmq_send(out, "a", 1, ZMQ_SNDMORE); zmq_send(out, "b", 1, 0); tell(out, "whole");
        zmq_close(out);`,
        endpointOf(pull),
      );
      expect(await texts(pull, 1)).toEqual(['whole']);
      expect(errors).toHaveLength(1);
      expect((await pull.stats()).place.dropped['undecodable']).toBe(1);
    });

    test('who sends more than maxMessageBytes is cut off; others are served', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind&size=1000`);
      const large = stage.c(
        'large',
        String.raw`
        void *out = zmq_socket(context, ZMQ_PUSH);
        int wait = 0; zmq_setsockopt(out, ZMQ_LINGER, &wait, sizeof wait);
        if (zmq_connect(out, argv[1]) != 0) fail("zmq_connect");
        char *much = calloc(1, 100000000);
        zmq_send(out, much, 100000000, 0);
        say("sent");
        getc(stdin);
        for (;;) zmq_poll(NULL, 0, 1000);`,
        endpointOf(pull),
      );
      expect(await large.line()).toBe('sent');
      const push = await stage.open(pull.address);
      await push.send('small');
      expect(await texts(pull, 1)).toEqual(['small']);
      expect(process.memoryUsage().external).toBeLessThan(80_000_000);
    });
  });

  describe.skipIf(!hasClient('pyzmq'))(`Python${why('pyzmq')}`, () => {
    test('PUSH and PULL', async () => {
      const pull = await stage.open(`${ANY}?pattern=pull&bind`);
      const program = `
s = context.socket(zmq.PUSH)
s.connect(endpoint)
for i in range(1, 1001): s.send_string(str(i))
`;
      const child = stage.python(program, endpointOf(pull));
      expect(await texts(pull, 1_000)).toEqual(numbers(1, 1_000));
      expect(await child.end()).toMatchObject({ code: 0 });
      const push = await stage.open(`${ANY}?pattern=push&bind`);
      const reading = stage.python(
        `
s = context.socket(zmq.PULL)
s.connect(endpoint)
print([s.recv_json() for _ in range(2)])
`,
        endpointOf(push),
      );
      await push.send('{"id":1}');
      await push.send('[2]');
      expect(await reading.line()).toBe("[{'id': 1}, [2]]");
    });

    test('PUB and SUB, with topics', async () => {
      const pub = await stage.open(`${ANY}?pattern=pub&bind&topic=news`);
      const child = stage.python(
        `
s = context.socket(zmq.SUB)
s.subscribe('news')
s.connect(endpoint)
print(s.recv_multipart())
`,
        endpointOf(pub),
      );
      await pub.ready({ consumers: 1, timeoutMs: 8_000 });
      await pub.send('hello');
      expect(await child.line()).toBe("[b'news', b'hello']");
      const sub = await stage.open(`${ANY}?pattern=sub&bind&topic=%23`);
      stage.python(
        `
s = context.socket(zmq.XPUB)
s.connect(endpoint)
s.recv()
s.send_multipart([b'any.topic', b'from python'])
`,
        endpointOf(sub),
      );
      expect(await texts(sub, 1)).toEqual(['from python']);
    });

    test('REQ and REP; the error of a handler reaches it as text', async () => {
      const rep = await stage.open(`${ANY}?pattern=rep&bind`);
      rep.serve(({ data }) => {
        if (data === 'fail') throw new Error('cannot do that');
        return `re: ${String(data)}`;
      });
      const child = stage.python(
        `
s = context.socket(zmq.REQ)
s.connect(endpoint)
s.send_string('ask')
print(s.recv_string())
s.send_string('fail')
print('cannot do that' in s.recv_multipart()[0].decode())
`,
        endpointOf(rep),
      );
      expect(await child.line()).toBe('re: ask');
      expect(await child.line()).toBe('True');
    });

    test('PAIR; its end is seen, and the next one is served', async () => {
      const pair = await stage.open(`${ANY}?pattern=pair&bind`);
      for (let round = 0; round < 3; round += 1) {
        const child = stage.python(
          `
s = context.socket(zmq.PAIR)
s.connect(endpoint)
s.send_string('hello')
print(s.recv_string())
`,
          endpointOf(pair),
        );
        expect(await texts(pair, 1)).toEqual(['hello']);
        await pair.send('welcome');
        expect(await child.line()).toBe('welcome');
        await child.end();
        await eventually('it has gone', () => pair.peers.consumers === 0);
      }
      expect(await codeOf(() => pair.send('x', { timeoutMs: 20 }))).toBe('NARU_TIMEOUT');
    });
  });
});
