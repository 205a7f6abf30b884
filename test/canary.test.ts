// A password in a URL is seen by the peer that needs it and by nobody else: not in errors, logs, events, diagnostics, JSON,
// inspection or the process title.

import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:net';
import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { open } from 'naru';

const CANARY = 'c4n4ry-p4ssw0rd';

/** Every text a value can show of itself. */
function texts(value: unknown): string {
  const error = value instanceof Error ? value : undefined;
  return [
    inspect(value, { depth: 8, showHidden: true, getters: true }),
    error?.message ?? '',
    error?.stack ?? '',
    JSON.stringify(value) ?? '',
    String(value),
  ].join('\n');
}

async function failure(act: () => unknown): Promise<Error> {
  try {
    await act();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was expected to fail');
}

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

test.each([
  ['an unknown place', `nowhere://user:${CANARY}@host/x`],
  ['an unknown parameter', `tcp://user:${CANARY}@127.0.0.1:1?colour=blue`],
  ['a wrong value', `tcp://user:${CANARY}@127.0.0.1:1?role=boss`],
  ['a wrong port', `tcp://user:${CANARY}@127.0.0.1:99999`],
  ['no port', `tcp://user:${CANARY}@127.0.0.1:`],
  ['a slash in the password', `tcp://user:${CANARY}/x@127.0.0.1:1`],
  ['a quote in the password', `tcp://user:'${CANARY}"@127.0.0.1:1?role=boss`],
  ['a missing feature', `tcp://user:${CANARY}@127.0.0.1:1?survives=restart`],
  ['a format that is not there', `memory://user:${CANARY}@name?format=raw`],
  ['a name that is none', `shm://user:${CANARY}@a%2Fb`],
  ['a secret parameter', `tcp://127.0.0.1:1?token=${CANARY}`],
  ['nobody who listens', `tcp://user:${CANARY}@127.0.0.1:1`],
  ['an option that does not exist', `memory://user:${CANARY}@name?capcity=1`],
])('the error of open() with %s', async (_what, url) => {
  const error = await failure(async () => {
    const mailbox = await open(url, { timeoutMs: 300 });
    await mailbox.close({ flushMs: 0 });
    // Some places take no notice of a user: then there is nothing to show either.
    throw new Error(`opened ${mailbox.address} ${inspect(mailbox)}`);
  });
  expect(texts(error)).not.toContain(CANARY);
});

test('a host that cuts every connection', async () => {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  closers.push(() => new Promise((resolve) => server.close(resolve)));
  const { port } = server.address() as { port: number };
  const error = await failure(() => open(`tcp://user:${CANARY}@127.0.0.1:${port}`, { timeoutMs: 300 }));
  expect(texts(error)).not.toContain(CANARY);
});

test('a live mailbox, its events, warnings and diagnostics', async () => {
  const heard: unknown[] = [];
  const hear = (message: unknown): unknown => heard.push(message);
  const channels = ['naru:send', 'naru:receive', 'naru:process', 'naru:settle'];
  for (const name of channels) subscribe(name, hear);
  process.on('warning', hear);
  closers.push(() => {
    for (const name of channels) unsubscribe(name, hear);
    process.off('warning', hear);
  });

  const deadLetter = `nowhere://user:${CANARY}@host/grave`;
  const url = `tcp://user:${CANARY}@127.0.0.1:0?listen`;
  const host = await open(url, { deadLetter, settle: 'manual', retry: { attempts: 1, delayMs: 1 } });
  closers.push(() => host.close({ flushMs: 0 }));
  for (const event of ['error', 'drop', 'full', 'close', 'disconnect', 'orphan'] as const)
    host.on(event, hear);
  await host.send('x');
  const message = await host.receive({ timeoutMs: 5_000 });
  heard.push(await failure(() => message.reject('to a grave that does not exist')));
  heard.push(host, host.address, host.toString(), host.toJSON(), await host.stats(), message);
  heard.push(await failure(() => host.send(undefined)), await failure(() => host.receive({ timeoutMs: 5 })));
  heard.push(await failure(() => structuredClone(host)));
  await host.unlink();
  heard.push(await failure(() => host.send('late')));
  await new Promise(setImmediate);
  expect(heard.length).toBeGreaterThan(10);
  for (const one of heard) expect(texts(one)).not.toContain(CANARY);
  expect(process.title).not.toContain(CANARY);
});
