// A torture run: producers and consumers in processes and workers that are killed and stopped at random moments and at random
// steps under load, and replaced at once; then everything that is left is received, and the histories are judged. What happens
// is chosen by the seed; when it happens the machine decides, so a seed finds a fault again often, not always.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { readLog } from '../../ring/history-log.fixture.ts';
import { type ActorLog, checkHistory, type Violation } from '../../ring/history.fixture.ts';
import type { Driver } from '../../mailbox/driver.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { openShm } from './index.ts';
import { type PeerOrders, shmOptions } from './peer.fixture.ts';
import { randomOf } from '../../ring/random.fixture.ts';
import { Testimony, TortureConsumer, tortureHooks, type TortureOrders } from './torture-peer.fixture.ts';

const PEER = new URL('./torture-peer.fixture.js', import.meta.url);
const MODES = ['exclusive', 'competing', 'topic', 'lossy'] as const;
export type TortureMode = (typeof MODES)[number];
export const TORTURE_MODES: readonly TortureMode[] = MODES;

export const SHAPES: Record<TortureMode, Omit<PeerOrders, 'role' | 'name'>> = {
  exclusive: { relation: 'N:1', levels: 3, laneBytes: 16_384 },
  competing: { relation: 'N:N', levels: 3, laneBytes: 16_384 },
  topic: { relation: 'N:N', deliver: 'all', laneBytes: 16_384 },
  lossy: { relation: 'N:N', deliver: 'all', lossy: true, laneBytes: 16_384 },
};

/** Where a process may be told to kill itself; how often it is there before is chosen too. */
const FATAL: Record<'producer' | 'consumer', readonly [string, number][]> = {
  producer: [
    ['seat:fifo-made', 1],
    ['seat:slot-filled', 1],
    ['lane:allocated', 3],
    ['lane:owned', 1],
    ['offer:before-tail', 60],
    ['offer:after-tail', 60],
    ['offer:after-ring', 60],
    ['ring:before-bell', 30],
    ['ring:before-mark', 30],
    ['floor:ordinal-stored', 20],
    ['floor:stored', 20],
    ['park:before-look', 10],
  ],
  consumer: [
    ['seat:fifo-locked', 1],
    ['consumer:seated', 1],
    ['claim:held', 60],
    ['claim:claimed', 60],
    ['claim:taken', 60],
    ['claim:let-go', 60],
    ['take:taken', 60],
    ['settle:before-head', 60],
    ['settle:after-head', 60],
    ['settle:let-go', 60],
    ['return:flagged', 8],
    ['identity:head-at-record', 4],
    ['identity:half-written', 4],
    ['recover:proved-dead', 2],
    ['recover:leaving', 2],
    ['recover:held', 3],
    ['recover:claim-returned', 4],
    ['recover:let-go', 3],
    ['recover:consumer-freed', 2],
    ['recover:bell-removed', 2],
    ['park:before-look', 10],
  ],
};

/** Most time between two blows: long enough that most of the newcomers get to work first. */
const HURT_MS = 150;
/** So long a machine may take to start a process and let it work. */
const START_MS = 20_000;

export interface TortureOptions {
  readonly mode: TortureMode;
  readonly seed: number;
  /** Ends at whichever comes first. */
  readonly seconds: number;
  readonly deaths: number;
  readonly progress?: (text: string) => void;
}

export interface TortureReport {
  readonly mode: TortureMode;
  readonly seed: number;
  readonly deaths: Readonly<Record<string, number>>;
  readonly stops: number;
  readonly published: number;
  readonly received: number;
  readonly violations: readonly Violation[] | readonly { readonly rule: string; readonly text: string }[];
  /** The histories; removed by the caller. */
  readonly folder: string;
}

interface Actor {
  readonly id: number;
  readonly role: 'producer' | 'consumer';
  readonly path: string;
  readonly process: ChildProcess | undefined;
  readonly worker: Worker | undefined;
  readonly gone: Promise<void>;
  isGone: boolean;
  isStopped: boolean;
}

/** It has something in its history. */
function isAtWork(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
}

/** @throws never: what goes wrong is in the report */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  const run = new TortureRun(options);
  try {
    return await run.run();
  } finally {
    await run.end();
  }
}

class TortureRun {
  readonly #options: TortureOptions;
  readonly #random: (below: number) => number;
  readonly #folder: string;
  readonly #before = process.env['NARU_RUNTIME_DIR'];
  readonly #actors: Actor[] = [];
  readonly #deaths: Record<string, number> = {};
  readonly #violations: { rule: string; text: string }[] = [];
  #drivers: Driver[] = [];
  #stops = 0;

  constructor(options: TortureOptions) {
    this.#options = options;
    this.#random = randomOf(options.seed);
    this.#folder = mkdtempSync('/dev/shm/naru-torture-');
    process.env['NARU_RUNTIME_DIR'] = join(this.#folder, 'run');
  }

  get #orders(): Omit<PeerOrders, 'role'> {
    return { ...SHAPES[this.#options.mode], name: 'm', owner: 'system' };
  }

  get #count(): number {
    return Object.values(this.#deaths).reduce((sum, one) => sum + one, 0);
  }

  async run(): Promise<TortureReport> {
    const { mode, seed, seconds, deaths, progress } = this.#options;
    const isTopic = mode === 'topic' || mode === 'lossy';
    const keeper = await this.#keeper(isTopic);
    let end = performance.now() + seconds * 1000;
    const lastStart = performance.now() + START_MS;
    let said = 0;
    while (performance.now() < end && this.#count < deaths) {
      // The time counts from when somebody is at work, however busy the machine is.
      if (
        performance.now() < lastStart &&
        !this.#actors.some(({ role, path }) => role === 'consumer' && isAtWork(path))
      )
        end = performance.now() + seconds * 1000;
      this.#refill();
      await pause(this.#random(HURT_MS));
      await this.#hurt();
      if (progress !== undefined && performance.now() > said + 500) {
        said = performance.now();
        progress(
          `${mode}: ${this.#count} deaths, ${this.#stops} stops, ${keeper.consumer?.got ?? 0} received by the keeper`,
        );
      }
    }
    for (const actor of this.#actors) await this.#kill(actor, 'end');
    await this.#drain(keeper, isTopic);
    const history = this.#history(isTopic);
    const published = history.producers.reduce((sum, { entries }) => {
      const last = entries.findLast(({ kind }) => kind === 'published');
      return sum + (last?.kind === 'published' ? last.count : 0);
    }, 0);
    const received = history.consumers.reduce(
      (sum, { entries }) => sum + entries.filter(({ kind }) => kind === 'received').length,
      0,
    );
    const violations = [...this.#violations, ...checkHistory(history)];
    await this.#checkCapacity(violations);
    return {
      mode,
      seed,
      deaths: this.#deaths,
      stops: this.#stops,
      published,
      received,
      violations,
      folder: this.#folder,
    };
  }

  /** Whatever happened: nobody is left, and nothing but the histories. */
  async end(): Promise<void> {
    for (const actor of this.#actors) await this.#kill(actor, 'end');
    for (const driver of this.#drivers) await driver.close();
    rmSync(join(this.#folder, 'run'), { recursive: true, force: true });
    if (this.#before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = this.#before;
  }

  /** A handle in this process that lives to the end; of a topic it is a consumer from the start. */
  async #keeper(isTopic: boolean): Promise<{ driver: Driver; consumer: TortureConsumer | undefined }> {
    const testimony = new Testimony(join(this.#folder, 'keeper'));
    const hooks = tortureHooks(testimony);
    const driver = await openShm(
      shmOptions({ ...this.#orders, role: 'opener' }),
      {},
      undefined,
      hooks,
      defaultEdges('shm://'),
    );
    this.#drivers.push(driver);
    const keeper: { driver: Driver; consumer: TortureConsumer | undefined } = { driver, consumer: undefined };
    const consume = async (): Promise<void> => {
      const receiver = await driver.attachReceiver();
      const consumer = new TortureConsumer(receiver, testimony.log, 1, false);
      keeper.consumer = consumer;
      hooks.onReadable = (): void => {
        consumer.turn();
        consumer.settle(0);
        receiver.want(32);
      };
      receiver.want(32);
    };
    if (isTopic) await consume();
    else this.#startDraining = consume;
    return keeper;
  }

  #startDraining: () => Promise<void> = async () => undefined;

  #refill(): void {
    const living = (role: Actor['role']): number =>
      this.#actors.filter((actor) => !actor.isGone && actor.role === role).length;
    while (living('producer') < 3) this.#start('producer');
    while (living('consumer') < (this.#options.mode === 'exclusive' ? 1 : 3)) this.#start('consumer');
  }

  #start(role: Actor['role']): void {
    const id = this.#actors.length + 1;
    const path = join(this.#folder, `h${id}`);
    const isWorker = this.#random(5) === 0;
    const [failpoint, most] = FATAL[role][this.#random(FATAL[role].length)] as [string, number];
    // Half of the processes carry the place of their death in them.
    const fate = isWorker || this.#random(2) === 0 ? {} : { failpoint, nth: 1 + this.#random(most) };
    const orders: TortureOrders = {
      ...this.#orders,
      ...fate,
      role,
      id,
      seed: this.#options.seed * 1000 + id,
      log: path,
      from: 'now',
    };
    const worker = isWorker ? new Worker(PEER, { workerData: orders }) : undefined;
    const child = isWorker
      ? undefined
      : spawn(process.execPath, [fileURLToPath(PEER), 'torture', JSON.stringify(orders)], {
          stdio: ['ignore', 'ignore', 'inherit'],
        });
    const gone = new Promise<void>((resolve) => {
      child?.on('exit', (code, signal) => {
        if (!actor.isGone)
          this.#note(signal === 'SIGKILL' ? 'itself' : code === 4 ? 'refused' : `exit ${code}`);
        actor.isGone = true;
        resolve();
      });
      worker?.on('error', (error) =>
        this.#violations.push({ rule: 'error', text: `worker ${id}: ${error.message}` }),
      );
      worker?.on('exit', () => {
        actor.isGone = true;
        resolve();
      });
    });
    const actor: Actor = { id, role, path, process: child, worker, gone, isGone: false, isStopped: false };
    this.#actors.push(actor);
  }

  #note(how: string): void {
    if (how.startsWith('exit')) this.#violations.push({ rule: 'error', text: `a process ended with ${how}` });
    if (how !== 'refused') this.#deaths[how] = (this.#deaths[how] ?? 0) + 1;
  }

  async #hurt(): Promise<void> {
    // Mostly those who have begun: on a busy machine nobody would ever get to work.
    const living = this.#actors.filter(
      ({ isGone, path }) => !isGone && (isAtWork(path) || this.#random(8) === 0),
    );
    const victim = living[this.#random(living.length)];
    const choice = this.#random(10);
    if (victim === undefined || choice < 3) return;
    if (victim.isStopped && choice < 8) {
      victim.process?.kill('SIGCONT');
      victim.isStopped = false;
    } else if (choice < 5 && victim.process !== undefined) {
      victim.process.kill('SIGSTOP');
      victim.isStopped = true;
      this.#stops += 1;
    } else await this.#kill(victim, victim.worker === undefined ? victim.role : 'worker');
  }

  async #kill(actor: Actor, how: string): Promise<void> {
    if (actor.isGone) return;
    actor.isGone = true;
    actor.process?.kill('SIGKILL');
    await actor.worker?.terminate();
    await actor.gone;
    this.#note(how);
  }

  /** Receives all that is left. */
  async #drain(
    keeper: { driver: Driver; consumer: TortureConsumer | undefined },
    isTopic: boolean,
  ): Promise<void> {
    if (!isTopic) await this.#startDraining();
    const end = performance.now() + 20_000;
    for (;;) {
      const { depth, unsettled, producers, consumers } = await keeper.driver.stats();
      if (depth === 0 && unsettled === 0 && producers === 0 && consumers === 1) return;
      if (performance.now() > end) {
        const text = `left after 20 s: ${depth} waiting, ${unsettled} unsettled, ${producers} producers, ${consumers} consumers`;
        this.#violations.push({ rule: 'stuck', text });
        return;
      }
      await pause(5);
    }
  }

  #history(isTopic: boolean): Parameters<typeof checkHistory>[0] {
    const logOf = (id: number, path: string, isDead: boolean): ActorLog => {
      if (existsSync(`${path}.err`))
        for (const text of readFileSync(`${path}.err`, 'utf8').trim().split('\n'))
          this.#violations.push({ rule: 'error', text: `${id}: ${text}` });
      return { id, isDead, entries: existsSync(path) ? readLog(readFileSync(path)) : [] };
    };
    const of = (role: Actor['role']): ActorLog[] =>
      this.#actors.filter((actor) => actor.role === role).map(({ id, path }) => logOf(id, path, true));
    const keeper = { ...logOf(0, join(this.#folder, 'keeper'), false), isFromStart: isTopic };
    return {
      deliver: isTopic ? 'all' : 'one',
      producers: of('producer'),
      consumers: [keeper, ...of('consumer')],
      unpublished: 12,
    };
  }

  /** All seats can be taken, and every lane takes as much as ever. */
  async #checkCapacity(violations: { rule: string; text: string }[]): Promise<void> {
    const { mode } = this.#options;
    const fail = (text: string): number => violations.push({ rule: 'capacity', text });
    for (const driver of this.#drivers) await driver.close();
    this.#drivers = [];
    const ignored = tortureHooks(new Testimony(join(this.#folder, 'capacity')));
    const drivers: Driver[] = [];
    const open = async (): Promise<Driver> => {
      const driver = await openShm(
        shmOptions({ ...this.#orders, role: 'opener' }),
        {},
        undefined,
        ignored,
        defaultEdges('shm://'),
      );
      drivers.push(driver);
      return driver;
    };
    try {
      const consumers = mode === 'exclusive' ? 1 : 32;
      for (let i = 0; i < consumers; i += 1) await (await open()).attachReceiver();
      for (let i = 0; i < 16; i += 1) {
        const sender = await (await open()).attachSender();
        const message = {
          body: new Uint8Array(1000),
          sequence: 1,
          time: 1,
          fields: undefined,
          confirm: undefined,
          done: undefined,
        };
        const placed = sender.offer(
          Array.from({ length: 40 }, () => message),
          0,
        );
        if (placed < 12) fail(`seat ${i} takes ${placed} messages of 1000 bytes in 16 KiB`);
      }
    } catch (error) {
      fail(String(error));
    }
    await drivers[0]?.unlink();
    for (const driver of drivers) await driver.close();
  }
}
