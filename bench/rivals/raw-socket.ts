// A Unix socket of Node's own with length-prefixed frames: what one would write by hand instead of using a library. Two
// variants: one write for each message, and one write for many.

import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { Bodies, Check, pingPong } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearContext, NearEnd } from '../harness/duel.ts';
import { FrameReader, writeBatched, writeEach } from './frames.ts';

async function listen(context: NearContext, onSocket: (socket: Socket) => void): Promise<[Server, string]> {
  const path = join(context.folder, `${context.name}.sock`);
  const server = createServer(onSocket);
  server.listen(path);
  await once(server, 'listening');
  return [server, path];
}

function closing(server: Server): () => Promise<void> {
  return async () => {
    server.close();
    await Promise.resolve();
  };
}

async function openConsumer(context: NearContext): Promise<NearEnd> {
  const check = new Check();
  const [server, address] = await listen(context, (socket) => {
    const reader = new FrameReader(check.touch);
    socket.on('data', (chunk) => reader.push(chunk));
  });
  return { address, run: (count) => check.expect(count), close: closing(server) };
}

async function openProducer(address: string, write: typeof writeEach): Promise<FarEnd> {
  const socket = connect(address);
  await once(socket, 'connect');
  const bodies = new Bodies();
  return {
    run: (count) => write(socket, count, (sequence) => bodies.make(sequence)),
    close: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

async function openPing(context: NearContext): Promise<NearEnd> {
  let peer: Socket | undefined;
  let back = (): void => undefined;
  const [server, address] = await listen(context, (socket) => {
    peer = socket;
    const reader = new FrameReader(() => back());
    socket.on('data', (chunk) => reader.push(chunk));
  });
  const body = new Bodies().make(0);
  const roundTrip = (): Promise<void> =>
    new Promise((resolve, reject) => {
      back = resolve;
      if (peer === undefined) reject(new Error('nobody connected'));
      else writeEach(peer, 1, () => body).catch(reject);
    });
  return { address, run: (count) => pingPong(count, roundTrip), close: closing(server) };
}

async function openEcho(address: string): Promise<FarEnd> {
  const socket = connect(address);
  await once(socket, 'connect');
  const reader = new FrameReader((body) => {
    void writeEach(socket, 1, () => body);
  });
  socket.on('data', (chunk) => reader.push(chunk));
  return {
    run: () => Promise.resolve(),
    close: () => {
      socket.destroy();
      return Promise.resolve();
    },
  };
}

const common = { isNaru: false, far: 'process', serialization: 'json' } as const;

export const rawSocket: readonly Duel[] = [
  {
    ...common,
    id: 'raw-socket-each',
    kind: 'throughput',
    label: 'raw Unix socket, a write per message',
    openNear: openConsumer,
    openFar: (_, address) => openProducer(address, writeEach),
  },
  {
    ...common,
    id: 'raw-socket-batched',
    kind: 'throughput',
    label: 'raw Unix socket, batched writes',
    openNear: openConsumer,
    openFar: (_, address) => openProducer(address, writeBatched),
  },
  {
    ...common,
    id: 'raw-socket-ping',
    kind: 'latency',
    label: 'raw Unix socket',
    openNear: openPing,
    openFar: (_, address) => openEcho(address),
  },
];
