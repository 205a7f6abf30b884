// Node's own raw pipe: FIFOs, a net.Socket at each end. There and back without frames and messages, which is the least that waking
// another event loop can cost in plain Node; and one way with a length before each body, as one would write it by hand.

import { constants, openSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { join } from 'node:path';
import { native } from '#naru/native/index';
import { Bodies, BODY_BYTES, Check, pingPong } from '../harness/bodies.ts';
import type { Duel, DuelContext, FarEnd, NearEnd } from '../harness/duel.ts';
import { FrameReader, writeBatched, writeEach } from './frames.ts';

const { O_NONBLOCK, O_RDWR } = constants;

/** The reading end: one small buffer for ever, which is the fastest way that node:net has. */
function read(path: string, onBall: () => void): Socket {
  let missing = BODY_BYTES;
  return new Socket({
    fd: openSync(path, O_RDWR | O_NONBLOCK),
    readable: true,
    writable: false,
    onread: {
      buffer: Buffer.alloc(BODY_BYTES),
      callback: (bytes: number) => {
        missing -= bytes;
        if (missing > 0) return true;
        missing = BODY_BYTES;
        onBall();
        return true;
      },
    },
    // `onread` is an option of every socket; the types know it for connect() only.
  } as SocketConstructorOpts);
}

function writeEnd(path: string): Socket {
  return new Socket({ fd: openSync(path, O_RDWR | O_NONBLOCK), readable: false, writable: true });
}

function paths({ folder, name }: DuelContext): [string, string] {
  return [join(folder, `${name}.there`), join(folder, `${name}.back`)];
}

const ball = Buffer.alloc(BODY_BYTES, 1);

async function openPing(context: DuelContext): Promise<NearEnd> {
  const [there, back] = paths(context);
  for (const path of [there, back]) native('the benchmark of a raw pipe').makeFifo(path, 0o600);
  let returned = (): void => undefined;
  const output = writeEnd(there);
  const input = read(back, () => returned());
  const roundTrip = (): Promise<void> =>
    new Promise((resolve) => {
      returned = resolve;
      output.write(ball);
    });
  return {
    address: '',
    run: (count) => pingPong(count, roundTrip),
    close: async () => {
      input.destroy();
      output.destroy();
    },
  };
}

async function openPong(context: DuelContext): Promise<FarEnd> {
  const [there, back] = paths(context);
  const output = writeEnd(back);
  const input = read(there, () => output.write(ball));
  return {
    run: async () => undefined,
    close: async () => {
      input.destroy();
      output.destroy();
    },
  };
}

export const nodePipePing: Duel = {
  id: 'node-pipe-wake',
  kind: 'latency',
  label: "Node's raw pipe, net.Socket",
  isNaru: false,
  far: 'process',
  serialization: 'json',
  openNear: openPing,
  openFar: openPong,
};

async function openConsumer(context: DuelContext): Promise<NearEnd> {
  const [path] = paths(context);
  native('the benchmark of a raw pipe').makeFifo(path, 0o600);
  const check = new Check();
  const reader = new FrameReader(check.touch);
  const input = new Socket({ fd: openSync(path, O_RDWR | O_NONBLOCK), readable: true, writable: false });
  input.on('data', (chunk) => reader.push(chunk));
  return {
    address: path,
    run: (count) => check.expect(count),
    close: async () => {
      input.destroy();
    },
  };
}

async function openProducer(path: string, write: typeof writeEach): Promise<FarEnd> {
  const output = writeEnd(path);
  const bodies = new Bodies();
  return {
    run: (count) => write(output, count, (sequence) => bodies.make(sequence)),
    close: async () => {
      output.destroy();
    },
  };
}

function flow(id: string, label: string, write: typeof writeEach): Duel {
  return {
    id,
    kind: 'throughput',
    label,
    isNaru: false,
    far: 'process',
    serialization: 'json',
    openNear: openConsumer,
    openFar: (_, address) => openProducer(address, write),
  };
}

export const nodePipeFlows: readonly Duel[] = [
  flow('node-pipe-each', "Node's raw pipe, a write per message", writeEach),
  flow('node-pipe-batched', "Node's raw pipe, batched writes", writeBatched),
];
