// The scene of the process tests: a runtime folder of its own, children that are always reaped, a driver-level peer in this
// process, and waiting on conditions instead of sleeping.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Delivery, Driver, DriverHooks, Receiver, Sender } from '../../mailbox/driver.ts';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { openShm } from './index.ts';
import { numbered, type PeerOrders, readNumbered, shmOptions } from './peer.fixture.ts';

const PEER = fileURLToPath(new URL('./peer.fixture.js', import.meta.url));

/** A child that plays a peer. */
export interface PeerProcess {
  readonly child: ChildProcess;
  readonly lines: string[];
  /** Exit code or signal. */
  readonly exit: Promise<number | string>;
}

export class Scene {
  /** The program that plays a peer; its orders are its argument. */
  static readonly peerFile: string = PEER;
  readonly folder: string;
  readonly #children = new Set<ChildProcess>();
  readonly #peers: LocalPeer[] = [];
  readonly #before: string | undefined;

  constructor() {
    this.folder = mkdtempSync('/dev/shm/naru-test-');
    this.#before = process.env['NARU_RUNTIME_DIR'];
    process.env['NARU_RUNTIME_DIR'] = this.folder;
  }

  /** Names of the mailboxes that lie in the folder. */
  get mailboxes(): string[] {
    return readdirSync(this.folder);
  }

  static peerArguments(orders: PeerOrders): string[] {
    return [PEER, JSON.stringify(orders)];
  }

  start(orders: PeerOrders): PeerProcess {
    return this.run([process.execPath, ...Scene.peerArguments(orders)]);
  }

  /** Starts any program in this scene. */
  run([program = '', ...args]: readonly string[]): PeerProcess {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#children.add(child);
    const lines: string[] = [];
    let rest = '';
    child.stdout.setEncoding('latin1').on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    });
    const exit = new Promise<number | string>((resolve) => {
      child.on('close', (code, signal) => {
        this.#children.delete(child);
        resolve(signal ?? code ?? -1);
      });
    });
    return { child, lines, exit };
  }

  async peer(
    orders: Omit<PeerOrders, 'role'>,
    edges: RingEdges = defaultEdges('shm://'),
  ): Promise<LocalPeer> {
    const peer = new LocalPeer();
    await peer.open(orders, edges);
    this.#peers.push(peer);
    return peer;
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const peer of this.#peers) await peer.driver.close();
    if (this.#before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = this.#before;
    for (const name of readdirSync(dirname(this.folder)).filter((one) =>
      one.startsWith(basename(this.folder)),
    ))
      rmSync(join(dirname(this.folder), name), { recursive: true, force: true });
  }
}

const BATCHES_A_TURN = 64;

/** A handle in this process, at the level of its driver. */
export class LocalPeer {
  readonly events: string[] = [];
  readonly got: { id: number; sequence: number; deliveries: number; sender: string; at: number }[] = [];
  readonly #sequences = new Map<number, number[]>();
  /** Settles what it receives; false: keeps it. */
  settles = true;
  #driver: Driver | undefined;
  #receiver: Receiver | undefined;
  #sender: Sender | undefined;
  #writable = (): void => undefined;
  failure: Error | undefined;

  get driver(): Driver {
    if (this.#driver === undefined) throw new Error('not open');
    return this.#driver;
  }

  async open(orders: Omit<PeerOrders, 'role'>, edges: RingEdges): Promise<void> {
    const hooks: DriverHooks = {
      readable: () => this.drain(),
      writable: () => this.#writable(),
      peers: () => undefined,
      reply: () => undefined,
      event: (type) => this.events.push(type),
      failed: (error) => {
        this.failure = error;
        this.#writable();
      },
    };
    this.#driver = await openShm(shmOptions({ ...orders, role: 'opener' }), {}, undefined, hooks, edges);
  }

  /** Receives and settles from now on. */
  async consume(): Promise<Receiver> {
    this.#receiver = await this.driver.attachReceiver();
    this.#receiver.want(64);
    return this.#receiver;
  }

  drain(): void {
    const receiver = this.#receiver;
    if (receiver === undefined) return;
    const out: Delivery[] = [];
    for (let batch = 0; receiver.take(64, out) > 0; batch += 1) {
      const at = performance.now();
      for (const delivery of out) this.#note(delivery, at);
      if (this.settles) receiver.ackAll(out);
      out.length = 0;
      if (batch < BATCHES_A_TURN) continue;
      // A producer that is faster than this would keep the event loop, and with it the test, from ever turning.
      setImmediate(() => this.drain());
      return;
    }
    receiver.want(64);
  }

  #note(delivery: Delivery, at: number): void {
    const { id, sequence } = readNumbered(delivery);
    this.got.push({ id, sequence, deliveries: delivery.deliveries, sender: delivery.sender, at });
    const known = this.#sequences.get(id);
    if (known === undefined) this.#sequences.set(id, [sequence]);
    else known.push(sequence);
  }

  /** Sends messages `from` to `to - 1` of producer `id`, waiting for room. */
  async send(id: number, from: number, to: number): Promise<void> {
    this.#sender ??= await this.driver.attachSender();
    const sender = this.#sender;
    const batch = Array.from({ length: to - from }, (_, i) => numbered(id, from + i));
    let at = 0;
    await new Promise<void>((resolve, reject) => {
      this.#writable = (): void => {
        try {
          if (this.failure !== undefined) throw this.failure;
          at += sender.offer(batch, at);
          if (at === batch.length) resolve();
        } catch (error) {
          reject(error);
        }
      };
      this.#writable();
    });
  }

  /** Sequences received from producer `id`, in order. */
  sequences(id: number): readonly number[] {
    return this.#sequences.get(id) ?? [];
  }
}

/** Between two looks at a condition. */
const LOOK_MS = 2;

/** Waits for a condition; fails after so many looks as `ms` have on a machine that is not busy. */
export async function until(condition: () => boolean, what: string, ms = 10_000): Promise<void> {
  for (let looks = ms / LOOK_MS; !condition(); looks -= 1) {
    if (looks <= 0) throw new Error(`${what}: did not happen within ${ms} ms`);
    await new Promise((resolve) => {
      setTimeout(resolve, LOOK_MS);
    });
  }
}

/** 0, 1, … count - 1 */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
