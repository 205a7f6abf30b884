// amqps://: whom a handle trusts, against Naru's broker with TLS.

import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import { open } from '../../index.ts';
import { BrokerProcess } from './broker.fixture.ts';

async function certificate(): Promise<{ readonly cert: string; readonly key: string }> {
  const names = { name: 'subjectAltName' as const, altNames: [{ type: 7 as const, ip: '127.0.0.1' }] };
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keySize: 2048,
    extensions: [names],
  });
  return { cert, key };
}

test('messages travel encrypted to a server whose certificate is trusted, and to no other', {
  timeout: 60_000,
}, async () => {
  const [own, other] = await Promise.all([certificate(), certificate()]);
  await using broker = new BrokerProcess(own);
  await broker.start();
  const url: string = `amqps://guest:s3cret-w0rd@127.0.0.1:${broker.tlsPort}/?queue=tls`;
  const right = url.replace('s3cret-w0rd', 'guest');
  await using mailbox = await open(right, { tls: { ca: own.cert } });
  await mailbox.sendMany(Array.from({ length: 2_000 }, (_, n) => n));
  let next = 0;
  for await (const { data } of mailbox) {
    expect(data).toBe(next);
    next += 1;
    if (next === 2_000) break;
  }
  const back = new Promise((resolve) => mailbox.on('reconnect', resolve));
  await broker.restart();
  await mailbox.send('after the restart');
  await back;
  const wrong = [{}, { tls: { ca: other.cert } }, { tls: { ca: own.cert, servername: 'elsewhere' } }];
  for (const options of wrong)
    await expect(open(right, options)).rejects.toMatchObject({
      code: 'NARU_DENIED',
      message: expect.stringContaining('certificate'),
    });
  const denied = await open(url, { tls: { ca: own.cert } }).catch((error: unknown) => error);
  expect(denied).toMatchObject({ code: 'NARU_DENIED' });
  expect(JSON.stringify(denied) + String(denied)).not.toContain('s3cret-w0rd');
  const plain = right.replace('amqps:', 'amqp:');
  await expect(open(plain, { tls: { ca: own.cert } })).rejects.toThrow('say amqps://');
  // Who does not speak TLS gets no further than to a broken connection.
  await expect(open(plain)).rejects.toMatchObject({ code: 'NARU_DISCONNECTED' });
  await mailbox.unlink();
});
