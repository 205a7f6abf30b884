// What the clients of @platformatic/kafka must bear: version 1 would end the process.

import { expect, test } from 'vitest';
import { loadPackage, optionsOf, tamed } from './package.ts';

const target = {
  text: 'kafka://',
  brokers: ['127.0.0.1:1'],
  sasl: undefined,
  tls: undefined,
  client: undefined,
};

/** What a pool answers, as its package takes it: errors have a method that says what they are. */
type Answer = (Error & { findBy?(property: string, value: unknown): unknown }) | null | undefined;

test('a broker that the cluster does not name, and a pool that is closed, are errors that somebody hears', async () => {
  const loaded = await loadPackage();
  const admin = tamed(new loaded.Admin(optionsOf(target)), loaded);
  const ask = (broker: object | undefined): Promise<Answer> =>
    new Promise((resolve) => {
      admin.connections.get(broker, (error) => resolve(error));
    });
  const unnamed = await ask(undefined);
  expect(unnamed?.findBy?.('hasStaleMetadata', true)).toBeTruthy();
  await admin.close();
  const closed = await ask({ host: '127.0.0.1', port: 1 });
  expect(closed?.findBy?.('canRetry', false)).toBeTruthy();
});
