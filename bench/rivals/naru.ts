// Naru through its public API: every way to send and to receive that the documentation shows.

import { join } from 'node:path';
import { open } from '#naru/index';
import type { Mailbox } from '#naru/index';
import { Bodies, Check, pingPong } from '../harness/bodies.ts';
import type { Duel, DuelContext, FarEnd, NearEnd } from '../harness/duel.ts';

type Scheme = 'memory' | 'shm' | 'mmap' | 'unix' | 'tcp' | 'fifo-raw' | 'fifo-envelope';
type Way = 'sendMany' | 'trySend' | 'send';
type Taking = 'for await' | 'batches';
type Bytes = Mailbox<Uint8Array, Uint8Array, 'trySync'>;

function urlOf(scheme: Scheme, { name, folder }: DuelContext, suffix = ''): string {
  if (scheme === 'unix') return `unix://${join(folder, `${name}${suffix}.sock`)}`;
  if (scheme === 'tcp') return 'tcp://127.0.0.1:0?listen';
  // The folder is on the disk, where such files belong.
  if (scheme === 'mmap') return `mmap://${join(folder, `${name}${suffix}`)}`;
  const fifo = `fifo://${join(folder, `${name}${suffix}.fifo`)}`;
  if (scheme === 'fifo-raw') return `${fifo}?frame=length`;
  if (scheme === 'fifo-envelope') return `${fifo}?format=envelope`;
  return `${scheme}://${name}${suffix}`;
}

function placeOf(scheme: Scheme): string {
  if (scheme === 'fifo-raw') return 'fifo://, raw';
  return scheme === 'fifo-envelope' ? 'fifo://, envelopes' : `${scheme}://`;
}

async function openBytes(url: string, role: 'producer' | 'consumer', way?: Way): Promise<Bytes> {
  const needs: readonly 'trySync'[] = way === 'trySend' ? ['trySync'] : [];
  return await open(url, { codec: 'bytes', role, needs });
}

async function consume(mailbox: Bytes, taking: Taking, check: Check): Promise<void> {
  if (taking === 'batches') {
    for await (const messages of mailbox.batches()) {
      for (const message of messages) check.touch(message.data);
    }
  } else {
    for await (const message of mailbox) check.touch(message.data);
  }
}

export async function openConsumer(url: string, taking: Taking): Promise<NearEnd> {
  const mailbox = await openBytes(url, 'consumer');
  const check = new Check();
  const consumed = consume(mailbox, taking, check);
  return {
    address: mailbox.address,
    run: (count) => check.expect(count),
    close: async () => {
      await mailbox.close();
      await consumed;
    },
  };
}

async function produce(mailbox: Bytes, way: Way, bodies: Bodies, count: number): Promise<void> {
  if (way === 'sendMany') {
    await mailbox.sendMany(bodies.first(count));
    return;
  }
  for (let sequence = 0; sequence < count; sequence += 1) {
    const body = bodies.make(sequence);
    if (way === 'send' || !mailbox.trySend(body)) await mailbox.send(body);
  }
}

export async function openProducer(url: string, way: Way): Promise<FarEnd> {
  const mailbox = await openBytes(url, 'producer', way);
  const bodies = new Bodies();
  return {
    run: (count) => produce(mailbox, way, bodies, count),
    close: async () => {
      await mailbox.close();
    },
  };
}

const SEPARATOR = ' ';

async function openPing(scheme: Scheme, context: DuelContext): Promise<NearEnd> {
  const there = await openBytes(urlOf(scheme, context, '-there'), 'producer');
  const back = await openBytes(urlOf(scheme, context, '-back'), 'consumer');
  const body = new Bodies().make(0);
  const roundTrip = async (): Promise<void> => {
    await there.send(body);
    await back.receive();
  };
  return {
    address: [there.address, back.address].join(SEPARATOR),
    run: (count) => pingPong(count, roundTrip),
    close: async () => {
      await there.close();
      await back.close();
    },
  };
}

async function openEcho(address: string): Promise<FarEnd> {
  const [thereUrl = '', backUrl = ''] = address.split(SEPARATOR);
  const there = await openBytes(thereUrl, 'consumer');
  const back = await openBytes(backUrl, 'producer');
  const echo = async (): Promise<void> => {
    for await (const message of there) await back.send(message.data);
  };
  const echoed = echo();
  return {
    run: () => Promise.resolve(),
    close: async () => {
      await there.close();
      await echoed;
      await back.close();
    },
  };
}

function throughput(scheme: Scheme, way: Way, taking: Taking): Duel {
  const how = way === 'sendMany' ? 'sendMany()' : way === 'trySend' ? 'trySend()' : 'await send()';
  return {
    id: `naru-${scheme}-${way}-${taking.replace(' ', '-')}`,
    kind: 'throughput',
    label: `Naru ${placeOf(scheme)}, ${how} → ${taking === 'batches' ? 'batches()' : taking}`,
    isNaru: true,
    far: scheme === 'memory' ? 'same' : 'process',
    serialization: 'json',
    openNear: (context) => openConsumer(urlOf(scheme, context), taking),
    openFar: (_, address) => openProducer(address, way),
  };
}

function latency(scheme: Scheme): Duel {
  return {
    id: `naru-${scheme}-ping`,
    kind: 'latency',
    label: `Naru ${placeOf(scheme)}, await send(), await receive()`,
    isNaru: true,
    far: 'process',
    serialization: 'json',
    openNear: (context) => openPing(scheme, context),
    openFar: (_, address) => openEcho(address),
  };
}

export const naru: readonly Duel[] = [
  throughput('memory', 'sendMany', 'for await'),
  throughput('memory', 'sendMany', 'batches'),
  throughput('shm', 'sendMany', 'batches'),
  throughput('shm', 'sendMany', 'for await'),
  throughput('shm', 'trySend', 'batches'),
  throughput('shm', 'trySend', 'for await'),
  throughput('shm', 'send', 'for await'),
  throughput('unix', 'sendMany', 'batches'),
  throughput('tcp', 'sendMany', 'batches'),
  latency('shm'),
  latency('unix'),
];

/** The ring in a mapped file beside that in shared memory. */
export const mappedFlows: readonly Duel[] = [
  throughput('shm', 'sendMany', 'batches'),
  throughput('mmap', 'sendMany', 'batches'),
];
export const mappedPings: readonly Duel[] = [latency('shm'), latency('mmap')];

/** Over named pipes. */
export const naruPipes: readonly Duel[] = [
  throughput('fifo-raw', 'sendMany', 'batches'),
  throughput('fifo-raw', 'send', 'for await'),
  throughput('fifo-envelope', 'sendMany', 'batches'),
  throughput('fifo-envelope', 'send', 'for await'),
  latency('fifo-raw'),
  latency('fifo-envelope'),
];
