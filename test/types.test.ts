// Capabilities at compile time. Nothing here runs: each function is compiled, and every @ts-expect-error must be an error.
// That the lines compile is the test; `npm run build` fails when one of them changes its mind.

import { number, object, pipe, string, transform } from 'valibot';
import { expect, expectTypeOf, test } from 'vitest';
import { z } from 'zod';
import { open, type Codec, type FeaturesOfUrl, type Mailbox, type Message, type MessageView } from 'naru';

const compiled: ((...args: never[]) => unknown)[] = [];
const compiles = (program: (...args: never[]) => unknown): void => {
  compiled.push(program);
};

compiles(async () => {
  const memory = await open('memory://jobs');
  await memory.send('x', { priority: 3, ttlMs: 10, delayMs: 5, key: 'k', headers: { a: 'b' } });
  await memory.send('x', { confirm: 'received' });
  memory.trySend('x', { priority: 1 });
  (await memory.claim(64, { priority: 1, headers: { a: 'b' } })).commit(32);
  memory.tryClaim(64)?.abort();
  const view = await memory.receiveView({ timeoutMs: 5 });
  expectTypeOf(view.data).toEqualTypeOf<Uint8Array>();
  expectTypeOf(view).toExtend<Message<Uint8Array>>();
  expectTypeOf(memory.tryReceiveView()).toEqualTypeOf<MessageView | undefined>();
  // @ts-expect-error memory:// cannot block the thread that would have to wake it
  memory.receiveSync();
  // @ts-expect-error nothing in memory survives a power cut
  await memory.send('x', { confirm: 'durable' });
});

compiles(async () => {
  const shm = await open('shm://jobs');
  shm.receiveSync({ timeoutMs: 5 });
  shm.sendSync('x');
  await shm.send('x', { headers: { a: 'b' }, confirm: 'received', ttlMs: 5 });
  await shm.send('x', { priority: 3 });
  // @ts-expect-error shm:// has no delay
  await shm.send('x', { delayMs: 3 });
  // @ts-expect-error shm:// has no ordering key
  await shm.send('x', { key: 'k' });
  // @ts-expect-error the same with parameters in the URL
  await (await open('shm://jobs?capacity=1MiB&slot=64')).send('x', { delayMs: 3 });
});

compiles(async () => {
  const unix = await open('unix:///run/x.sock');
  await unix.send('x', { priority: 3 });
  await unix.request({ any: 'thing' });
  // @ts-expect-error the answer comes from the host: nothing is synchronous
  unix.trySend('x');
  // @ts-expect-error the same
  unix.tryReceive();
  // @ts-expect-error nothing is written in place behind a socket
  await unix.claim(64);
  // @ts-expect-error the same
  unix.tryClaim(64);
  // @ts-expect-error nor read
  await unix.receiveView();
  // @ts-expect-error the same
  unix.tryReceiveView();
});

compiles(async () => {
  const raw = await open('unix:///run/x.sock?format=raw');
  await raw.send('x');
  // @ts-expect-error strangers know no headers
  await raw.send('x', { headers: { a: 'b' } });
  // @ts-expect-error nor priorities
  await raw.send('x', { priority: 1 });
  // @ts-expect-error nor replies
  await raw.request('x');
  const late = await open('tcp://host:1?listen&format=raw');
  // @ts-expect-error the same, wherever the parameter stands
  await late.send('x', { headers: { a: 'b' } });
});

compiles(async (url: 'memory://a' | 'shm://b') => {
  const either = await open(url);
  await either.send('x', { headers: { both: 'have it' }, ttlMs: 1 });
  either.trySend('x');
  // @ts-expect-error only one of the two has delays
  await either.send('x', { delayMs: 1 });
  // @ts-expect-error only the other can block
  either.receiveSync();
  expectTypeOf<FeaturesOfUrl<'memory://a' | 'shm://b'>>().toExtend<
    FeaturesOfUrl<'memory://a'> & FeaturesOfUrl<'shm://b'>
  >();
});

compiles(async (url: string) => {
  const unknown = await open(url);
  await unknown.send('x', { timeoutMs: 5 });
  // @ts-expect-error a URL known only at run time promises nothing
  await unknown.send('x', { priority: 1 });
  // @ts-expect-error nothing
  unknown.trySend('x');
  const checked = await open(url, { needs: ['priority', 'trySync'] });
  await checked.send('x', { priority: 1 });
  checked.trySend('x', { priority: 1 });
  // @ts-expect-error needs gives what it names and no more
  await checked.claim(64);
  const placed = await open(url, { needs: ['claim', 'views'] });
  (await placed.claim(64)).commit();
  await (await placed.receiveView()).ack();
  // @ts-expect-error a claim has the options of a send
  await placed.claim(64, { priority: 1 });
  // @ts-expect-error needs gives what it names and no more
  await checked.send('x', { delayMs: 1 });
  // @ts-expect-error not a feature
  await open(url, { needs: ['magic'] });
  const template = await open(`elsewhere://${url}`);
  // @ts-expect-error a place that is not known at compile time promises nothing
  await template.send('x', { headers: {} });
});

compiles(async () => {
  const jobs = await open('shm://jobs', {
    schema: z.object({ id: z.number(), at: z.coerce.date().optional() }),
  });
  await jobs.send({ id: 1 });
  // @ts-expect-error the schema wants a number
  await jobs.send({ id: '1' });
  const { data } = await jobs.receive();
  expectTypeOf(data).toEqualTypeOf<{ id: number; at?: Date | undefined }>();
  for await (const message of jobs) expectTypeOf(message).toEqualTypeOf<Message<typeof data>>();
  for await (const batch of jobs.batches()) expectTypeOf(batch).toEqualTypeOf<Message<typeof data>[]>();
  const answer = await jobs.request({ id: 2 });
  expectTypeOf(answer.data).toEqualTypeOf<typeof data>();
});

compiles(async () => {
  const schema = object({ id: pipe(string(), transform(Number)), size: number() });
  const jobs = await open('memory://jobs', { schema });
  await jobs.send({ id: '7', size: 1 });
  // @ts-expect-error what goes in is the text, what comes out the number
  await jobs.send({ id: 7, size: 1 });
  const { data } = await jobs.receive();
  expectTypeOf(data).toEqualTypeOf<{ id: number; size: number }>();
  jobs.consume((message) => expectTypeOf(message.data.id).toEqualTypeOf<number>());
});

compiles(async (own: Codec<{ custom: true }>) => {
  const bytes = await open('shm://a', { codec: 'bytes' });
  await bytes.send(new Uint8Array(1));
  // @ts-expect-error bytes are a Uint8Array
  await bytes.send('text');
  expectTypeOf((await bytes.receive()).data).toEqualTypeOf<Uint8Array>();
  const text = await open('shm://a', { codec: 'text' });
  // @ts-expect-error text is a string
  await text.send(5);
  expectTypeOf((await text.receive()).data).toEqualTypeOf<string>();
  const custom = await open('shm://a', { codec: own });
  // @ts-expect-error what the codec takes
  await custom.send({ custom: false });
  const json = await open('shm://a');
  expectTypeOf((await json.receive()).data).toEqualTypeOf<unknown>();
});

compiles(async () => {
  // @ts-expect-error options have names
  await open('shm://a', { capcity: 5 });
  // @ts-expect-error and values
  await open('shm://a', { role: 'boss' });
  // @ts-expect-error levels too
  await (await open('memory://a')).send(1, { confirm: 'certainly' });
});

compiles(async (generic: Mailbox<number, number, 'headers'>) => {
  await generic.send(1, { headers: {} });
  // @ts-expect-error a function that asks for headers may use no more
  await generic.send(1, { ttlMs: 1 });
  await using scoped = await open('memory://a');
  await scoped.send(1);
});

test('capabilities are known at compile time', () => {
  expect(compiled).toHaveLength(11);
});
