// What needs no ActiveMQ: options, servers of another kind, and messages there and back. What holds for every place is in the conformance
// suite, what only a real server shows in activemq.engine.test.ts.

import { createServer, type Server } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { importPackage } from '../../client/optional-package.ts';
import { Broker } from '../../broker/index.ts';
import { open } from '../../index.ts';
import { activemqError, managementError } from './failures.ts';
import { decodeMessage, encodeMessage } from './message.ts';
import type { RheaPackage } from './protocol.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

test('what ActiveMQ cannot do is refused at open, with what can', async () => {
  const url = 'activemq://127.0.0.1:1?queue=refused';
  const refused = [
    { retain: 5 },
    { capacityBytes: 1_000 },
    { capacityMessages: 10 },
    { owner: 'process' },
    { leaseMs: 100 },
    { relation: '1:1' },
    { nobody: 'fail' },
  ] as const;
  for (const options of refused)
    await expect(open(url, options)).rejects.toMatchObject({ code: 'NARU_UNSUPPORTED' });
  await expect(open(url, { needs: ['lease'] })).rejects.toThrow('memory://');
  const wrong = [
    `${url}&topic=x`,
    'activemq://127.0.0.1:1?topic=x&deliver=one',
    'activemq://127.0.0.1:1?queue=x&group=g',
    `${url}&heartbeat=0`,
    'activemq://127.0.0.1:1/jobs',
  ];
  for (const one of wrong) await expect(open(one)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
});

test("a server of another AMQP is told by name: Naru's broker speaks 0-9-1", async () => {
  const broker = await Broker.start({ port: 0 });
  try {
    const { port } = new URL(broker.url);
    const refused = await open(`activemq://naru:s3cret-w0rd@127.0.0.1:${port}?queue=x`).catch(
      (e: unknown) => e,
    );
    expect(refused).toMatchObject({ code: 'NARU_UNSUPPORTED' });
    expect(String(refused)).toContain('amqp://');
    expect(String(refused)).not.toContain('s3cret-w0rd');
  } finally {
    await broker.stop();
  }
});

test('a server that speaks no AMQP, or says nothing, is no mystery', { timeout: 20_000 }, async () => {
  for (const [answer, code] of [
    ['HTTP/1.1 400 Bad Request\r\n\r\n', 'NARU_UNSUPPORTED'],
    ['', 'NARU_DISCONNECTED'],
  ] as const) {
    const server = createServer((socket) => {
      socket.on('error', () => undefined).once('data', () => socket.end(answer));
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await expect(open(`activemq://127.0.0.1:${port}?queue=x`)).rejects.toMatchObject({ code });
  }
});

test('what the management refuses is no lost connection, and who may not is told so', () => {
  const text = 'activemq://127.0.0.1?queue=x';
  const denied = "AMQ229032: User: joe does not have permission='DELETE_ADDRESS' on address x";
  for (const [said, code, advice] of [
    [denied, 'NARU_DENIED', 'this user may not do that'],
    ['AMQ229205: Address x has bindings', 'NARU_LIMIT', 'refused it (AMQ229205'],
    [undefined, 'NARU_TIMEOUT', 'no answer'],
  ] as const) {
    const error = activemqError(managementError(said, text), text);
    expect(error).toMatchObject({ code, place: 'activemq', mailbox: text });
    expect(error.message).toContain(advice);
  }
});

test('the longest time to live behind the longest delay still fits', async () => {
  const { default: rhea } = (await importPackage('rhea', 'rhea', 'activemq')) as RheaPackage;
  const longest = 2 ** 31 - 1;
  const message = {
    body: Buffer.from('x'),
    sequence: 1,
    time: 1,
    fields: { ttlMs: longest, delayMs: longest },
    confirm: undefined,
    done: undefined,
  };
  const bytes = encodeMessage(message, { durable: true, identity: '1.2.3/4' });
  expect(decodeMessage(rhea.message, bytes).fields).toMatchObject({ ttlMs: 2 * longest });
});

test('every field and header arrives, also those that AMQP 1.0 or a server would take for something else', async () => {
  const { default: rhea } = (await importPackage('rhea', 'rhea', 'activemq')) as RheaPackage;
  const round = (fields: object) => {
    const message = {
      body: Buffer.from([0, 255, 7]),
      sequence: 7,
      time: 1_700_000_000_123,
      fields,
      confirm: undefined,
      done: undefined,
    };
    const settings = { durable: true, identity: '1.2.3/4' };
    return decodeMessage(rhea.message, encodeMessage(message, settings));
  };
  const all = {
    id: 'i'.repeat(300),
    contentType: 'text/plain',
    correlationId: 'c',
    replyTo: 'somewhere',
    type: '12',
    priority: 9,
    ttlMs: 1_000,
  };
  for (const fields of [
    { ...all, headers: { tenant: 'blue', ä: 'ö' } },
    {
      ...all,
      contentType: 'text/é',
      headers: { JMSXGroupID: 'x', _AMQ_SCHED: 'y', naru: 'z', '7': 'first' },
    },
  ]) {
    const { body, sender, sequence, time, fields: got } = round(fields);
    expect([...body]).toEqual([0, 255, 7]);
    expect({ sender, sequence, time }).toEqual({ sender: '1.2.3/4', sequence: 7, time: 1_700_000_000_123 });
    expect(got).toEqual(fields);
  }
});
