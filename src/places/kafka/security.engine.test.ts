// Users, passwords and certificates of a real node, through each package: each mechanism with and without TLS, and what is said when one of
// them is wrong.

import { generate } from 'selfsigned';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Running, startEngine } from '../../engines/engine.fixture.ts';
import { encrypted, guardedUrl, kafka } from '../../engines/kafka.fixture.ts';
import { onlyWith } from '../../engines/only-with.fixture.ts';
import type { NaruError } from '../../errors/index.ts';
import { open } from '../../index.ts';
import { loadFirst } from './loaded.fixture.ts';
import { CLIENTS, MECHANISMS } from './options.ts';

const WAIT = { timeoutMs: 20_000 };
const WRONG = 'c4n4ry';

async function refused(call: Promise<unknown>): Promise<NaruError> {
  return (await call.then(
    () => undefined,
    (error: unknown) => error,
  )) as NaruError;
}

loadFirst();

for (const isEncrypted of [false, true]) {
  onlyWith(kafka, `users on kafka:// ${isEncrypted ? 'over TLS' : 'without TLS'}`, () => {
    let running: Running;
    let secured: { readonly tls?: { readonly ca: string } };

    beforeAll(async () => {
      const made = await generate([{ name: 'commonName', value: 'naru' }], {
        extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
      });
      secured = isEncrypted ? { tls: { ca: made.cert } } : {};
      running = await startEngine(kafka, isEncrypted ? encrypted(made.cert, made.private) : []);
    }, 180_000);
    afterAll(() => running.stop());

    const address = (password?: string): string => {
      const url = guardedUrl(running.site);
      return password === undefined ? url : url.replace(/:[^:@]+@/, `:${password}@`);
    };

    for (const client of CLIENTS)
      for (const sasl of MECHANISMS)
        test(`${client}: ${sasl} lets in who knows the password, and nobody else; no message has it`, async () => {
          const query = `topic=${client}-${sasl}&client=${client}&sasl=${sasl}`;
          await using good = await open(`${address()}?${query}`, {
            create: 'if-missing',
            ...secured,
          });
          await good.send('in');
          expect((await good.receive(WAIT)).data).toBe('in');
          expect(good.address).not.toMatch(/k4fk4/);
          const { code, message } = await refused(open(`${address(WRONG)}?${query}`, secured));
          expect(code).toBe('NARU_DENIED');
          expect(message).toMatch(/refuses user or password/);
          expect(message).not.toContain(WRONG);
        }, 120_000);

    for (const client of CLIENTS)
      test.skipIf(!isEncrypted)(
        `${client}: a certificate of nobody it knows is said to be that`,
        async () => {
          const untrusting = `${address()}?topic=t&client=${client}&tls=1`;
          const { code, message } = await refused(open(untrusting));
          expect(code).toBe('NARU_DISCONNECTED');
          expect(message).toMatch(/certificate/);
        },
        120_000,
      );
  });
}
