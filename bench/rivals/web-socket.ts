// WebSockets: the package ws used by hand against ws:// of Naru, on the same port and settings (no compression). Two patterns: messages
// that nobody answers, and messages whose receipt is waited for.

import type { AddressInfo } from 'node:net';
import { open } from '#naru/index';
import { Bodies, Check } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd } from '../harness/duel.ts';

/** What is used of ws. */
interface Socket {
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  terminate(): void;
  on(event: 'message', listener: (data: Buffer) => void): this;
  once(event: 'open' | 'error', listener: (error?: Error) => void): this;
}

interface SocketServer {
  readonly clients: Set<Socket>;
  address(): AddressInfo;
  close(): void;
  on(event: 'connection', listener: (socket: Socket) => void): this;
  once(event: 'listening' | 'error', listener: (error?: Error) => void): this;
}

interface WsPackage {
  readonly WebSocket: new (url: string, options: object) => Socket;
  readonly WebSocketServer: new (options: object) => SocketServer;
}

/** Not a literal: it has no types. */
const load = async (): Promise<WsPackage> => (await import(String('ws'))) as WsPackage;

const when = (emitter: Socket | SocketServer, event: 'open' | 'listening'): Promise<void> =>
  new Promise((resolve, reject) => {
    emitter.once(event as never, () => resolve());
    emitter.once('error', reject);
  });

/** Sends that wait for their receipts at a time. */
export const UNDER_WAY = 64;
/** Unsent bytes at which a sender by hand stops, as link/ does. */
const CONGESTED_BYTES = 1_048_576;

export const bareId = 'ws-bare';
export const naruId = 'ws-naru';
export const bareReceiptId = 'ws-bare-receipt';
export const naruReceiptId = 'ws-naru-receipt';

/** @param answers  each message is answered with its number */
async function openBareConsumer(answers: boolean): Promise<NearEnd> {
  const check = new Check();
  const { WebSocketServer } = await load();
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await when(server, 'listening');
  server.on('connection', (socket) => {
    socket.on('message', (body: Buffer) => {
      check.touch(body);
      if (answers) socket.send(body.subarray(0, 4));
    });
  });
  return {
    address: `ws://127.0.0.1:${server.address().port}`,
    run: (count) => check.expect(count),
    close: async () => {
      for (const socket of server.clients) socket.terminate();
      server.close();
      await Promise.resolve();
    },
  };
}

async function connectBare(address: string): Promise<Socket> {
  const { WebSocket } = await load();
  const socket = new WebSocket(address, { perMessageDeflate: false });
  await when(socket, 'open');
  return socket;
}

async function openBareProducer(address: string): Promise<FarEnd> {
  const socket = await connectBare(address);
  const bodies = new Bodies();
  return {
    async run(count) {
      for (let sequence = 0; sequence < count; sequence += 1) {
        socket.send(bodies.make(sequence));
        while (socket.bufferedAmount > CONGESTED_BYTES) await new Promise((resolve) => setImmediate(resolve));
      }
    },
    close: () => {
      socket.terminate();
      return Promise.resolve();
    },
  };
}

async function openBareAsker(address: string): Promise<FarEnd> {
  const socket = await connectBare(address);
  const bodies = new Bodies();
  const waiting: (() => void)[] = [];
  socket.on('message', () => waiting.shift()?.());
  const send = (body: Uint8Array): Promise<void> => {
    socket.send(body);
    return new Promise((resolve) => {
      waiting.push(resolve);
    });
  };
  return {
    run: (count) => underWay(count, (sequence) => send(bodies.make(sequence))),
    close: () => {
      socket.terminate();
      return Promise.resolve();
    },
  };
}

async function openNaruConsumer(): Promise<NearEnd> {
  const mailbox = await open('ws://127.0.0.1:0/bench?listen', { codec: 'bytes', role: 'consumer' });
  const check = new Check();
  const consumed = (async () => {
    for await (const messages of mailbox.batches()) for (const { data } of messages) check.touch(data);
  })();
  return {
    address: mailbox.address,
    run: (count) => check.expect(count),
    close: async () => {
      await mailbox.close();
      await consumed;
    },
  };
}

async function openNaruProducer(address: string, waits: boolean): Promise<FarEnd> {
  const mailbox = await open(address, { codec: 'bytes', role: 'producer', needs: [] });
  const bodies = new Bodies();
  return {
    async run(count) {
      if (waits) await underWay(count, (sequence) => mailbox.send(bodies.make(sequence)));
      else await mailbox.sendMany(bodies.first(count));
    },
    close: async () => {
      await mailbox.close();
    },
  };
}

/** Sends in groups, each waited for as a whole. */
async function underWay(count: number, send: (sequence: number) => Promise<unknown>): Promise<void> {
  for (let from = 0; from < count; from += UNDER_WAY) {
    const group: Promise<unknown>[] = [];
    for (let at = from; at < Math.min(count, from + UNDER_WAY); at += 1) group.push(send(at));
    await Promise.all(group);
  }
}

const common = { kind: 'throughput', far: 'process', serialization: 'json' } as const;

export const webSocketFlows: readonly Duel[] = [
  {
    ...common,
    id: bareId,
    isNaru: false,
    label: 'ws, send()',
    openNear: () => openBareConsumer(false),
    openFar: (_, address) => openBareProducer(address),
  },
  {
    ...common,
    id: naruId,
    isNaru: true,
    label: 'Naru ws://, sendMany() → batches()',
    openNear: () => openNaruConsumer(),
    openFar: (_, address) => openNaruProducer(address, false),
  },
];

export const webSocketReceipts: readonly Duel[] = [
  {
    ...common,
    id: bareReceiptId,
    isNaru: false,
    label: `ws, send() and an answer to each, ${UNDER_WAY} under way`,
    openNear: () => openBareConsumer(true),
    openFar: (_, address) => openBareAsker(address),
  },
  {
    ...common,
    id: naruReceiptId,
    isNaru: true,
    label: `Naru ws://, send(), ${UNDER_WAY} under way`,
    openNear: () => openNaruConsumer(),
    openFar: (_, address) => openNaruProducer(address, true),
  },
];
