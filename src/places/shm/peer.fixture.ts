// A peer of the crash tests, in a process of its own: opens a mailbox, sends or receives numbered messages, and kills itself
// with SIGKILL (or stops itself) at the n-th call of a failpoint. Its orders are the JSON in argv[2]; its log is standard output, written before
// the next step.

import { writeSync } from 'node:fs';
import type { Delivery, Driver, DriverHooks, Outgoing } from '../../mailbox/driver.ts';
import { addressOf } from './address.ts';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { openShm } from './index.ts';
import type { RingDeliver, RingRelation } from '../../ring/memory.ts';
import type { ShmOptions } from './options.ts';

/** What a peer is told to do. */
export interface PeerOrders {
  readonly name: string;
  readonly role: 'producer' | 'consumer' | 'opener';
  readonly id?: number;
  readonly count?: number;
  readonly batch?: number;
  readonly owner?: 'users' | 'process' | 'system';
  readonly create?: 'if-missing' | 'new' | 'never';
  readonly laneBytes?: number;
  readonly relation?: RingRelation;
  readonly deliver?: RingDeliver;
  readonly lossy?: boolean;
  readonly levels?: number;
  readonly retain?: number;
  readonly from?: 'now' | 'start';
  readonly failpoint?: string;
  readonly nth?: number;
  /** What happens there; SIGKILL unless stated. */
  readonly signal?: 'SIGKILL' | 'SIGSTOP';
  /** Consumer: settle the messages of each take in reverse order. */
  readonly reverse?: boolean;
  /** Consumer: gives every third message back once, before it settles the others. */
  readonly nack?: boolean;
  /** Consumer: receive but never settle. Opener: stay until killed. */
  readonly hold?: boolean;
  /** Writes no log. */
  readonly isQuiet?: boolean;
  /** The group whose mailbox it is. */
  readonly gid?: number;
}

export function shmOptions(orders: PeerOrders): ShmOptions {
  const laneBytes = orders.laneBytes ?? 65_536;
  return {
    name: orders.name,
    gid: orders.gid,
    text: addressOf(orders.name, orders.gid),
    create: orders.create ?? 'if-missing',
    isOwned: false,
    isBackground: false,
    from: orders.from ?? 'start',
    stated: {},
    shape: {
      relation: orders.relation ?? 'N:1',
      deliver: orders.deliver ?? 'one',
      lossy: orders.lossy ?? false,
      levels: orders.levels ?? 1,
      retain: orders.retain ?? 0,
      owner: orders.owner ?? 'users',
      laneBytes,
      slotBytes: 0,
      maxMessageBytes: laneBytes / 8,
    },
  };
}

/** Message `sequence` of producer `id`: 8 bytes that say so, and 0 to 39 more. */
export function numbered(id: number, sequence: number): Outgoing {
  const body = new Uint8Array(8 + ((sequence * 7) % 40)).fill(sequence & 0xff);
  new DataView(body.buffer).setUint32(0, id, true);
  new DataView(body.buffer).setUint32(4, sequence, true);
  return { body, sequence: sequence + 1, time: 1, fields: undefined, confirm: undefined, done: undefined };
}

/** The reverse; throws when the filling is not what was sent. */
export function readNumbered(delivery: Pick<Delivery, 'body'>): { id: number; sequence: number } {
  const { body } = delivery;
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const sequence = view.getUint32(4, true);
  if (body.length !== 8 + ((sequence * 7) % 40))
    throw new Error(`message ${sequence} has ${body.length} bytes`);
  for (const byte of body.subarray(8))
    if (byte !== (sequence & 0xff)) throw new Error(`message ${sequence} is damaged`);
  return { id: view.getUint32(0, true), sequence };
}

/** Set for workers, whose standard output is everybody's. */
let isQuiet = false;

const log = (text: string): void => {
  if (!isQuiet) writeSync(1, `${text}\n`);
};

/** What the driver calls; the roles put their own functions in. */
export interface PeerHooks extends DriverHooks {
  onReadable: () => void;
  onWritable: () => void;
}

export function peerHooks(told: Pick<DriverHooks, 'event' | 'failed'>): PeerHooks {
  const hooks: PeerHooks = {
    onReadable: () => undefined,
    onWritable: () => undefined,
    readable: () => hooks.onReadable(),
    writable: () => hooks.onWritable(),
    peers: () => undefined,
    reply: () => undefined,
    ...told,
  };
  return hooks;
}

/** At the n-th call of its failpoint the process sends itself the signal. */
export function fatalEdges(orders: Pick<PeerOrders, 'failpoint' | 'nth' | 'signal'>): RingEdges {
  let left = orders.nth ?? 1;
  return {
    ...defaultEdges('shm://'),
    failpoint: (name) => {
      if (name !== orders.failpoint) return;
      left -= 1;
      if (left === 0) process.kill(process.pid, orders.signal ?? 'SIGKILL');
    },
  };
}

async function run(orders: PeerOrders): Promise<void> {
  isQuiet = orders.isQuiet ?? false;
  const hooks = peerHooks({
    event: (type) => log(`event ${type}`),
    failed: (error) => {
      log(`failed ${(error as { code?: string }).code}`);
      process.exit(3);
    },
  });
  const driver = await openShm(shmOptions(orders), {}, undefined, hooks, fatalEdges(orders));
  log('open');
  if (orders.role === 'producer') await produce(driver, hooks, orders);
  else if (orders.role === 'consumer') await consume(driver, hooks, orders);
  else if (orders.hold === true) setInterval(() => undefined, 1000);
  else await driver.close();
}

async function produce(driver: Driver, hooks: PeerHooks, orders: PeerOrders): Promise<void> {
  const sender = await driver.attachSender();
  const { id = 0, count = 100, batch: batchSize = 3 } = orders;
  let sent = 0;
  let batch: Outgoing[] = [];
  hooks.onWritable = (): void => {
    while (sent < count) {
      if (batch.length === 0)
        for (let i = 0; i < batchSize && sent + i < count; i += 1) batch.push(numbered(id, sent + i));
      const taken = sender.offer(batch, 0);
      sent += taken;
      batch = batch.slice(taken);
      if (batch.length > 0) return;
    }
    log('sent');
    driver.close().catch(() => undefined);
  };
  hooks.onWritable();
}

async function consume(driver: Driver, hooks: PeerHooks, orders: PeerOrders): Promise<void> {
  const receiver = await driver.attachReceiver();
  // Only now is the mailbox's lock free again: who is to be stopped must not have it.
  log('seated');
  hooks.onReadable = (): void => {
    const out: Delivery[] = [];
    receiver.take(16, out);
    for (const delivery of out) {
      const { id, sequence } = readNumbered(delivery);
      log(`got ${id} ${sequence} ${delivery.deliveries}`);
    }
    if (orders.reverse === true) out.reverse();
    if (orders.hold !== true) {
      for (const delivery of out) {
        if (orders.nack === true && delivery.token % 3 === 0 && delivery.deliveries === 1) {
          receiver.settle(delivery, 'requeue', 0);
          continue;
        }
        receiver.settle(delivery, 'ack', 0);
        const { id, sequence } = readNumbered(delivery);
        log(`acked ${id} ${sequence}`);
      }
    }
    receiver.want(16);
  };
  receiver.want(16);
}

if (process.argv[2]?.startsWith('{') === true) await run(JSON.parse(process.argv[2]) as PeerOrders);
