// A broker's core that keeps what is durable on a simulated disk, for the tests of this folder; not part of the package.

import { settled, SimClock } from '../log/clock.fixture.ts';
import { Log, type Level, type LogOptions } from '../log/index.ts';
import type { SimDisk } from '../log/sim-disk.fixture.ts';
import type { NaruError } from '../errors/index.ts';
import type { CoreInit } from './core.ts';
import type { Got } from './got.fixture.ts';
import { Lab, type Peer } from './peer.fixture.ts';
import { closeStore } from './storage/closing.ts';
import { recover, type RecoveryReport } from './storage/recovery.ts';
import { Store } from './storage/store.ts';

export interface StoredOptions {
  readonly sync?: Level;
  readonly log?: Partial<LogOptions>;
  readonly limits?: CoreInit['limits'];
}

/** A lab on a disk. */
export class StoredLab {
  readonly lab: Lab;
  readonly store: Store;
  readonly logClock: SimClock;
  readonly report: RecoveryReport;
  /** Why storage stopped. */
  readonly failures: readonly NaruError[];

  private constructor(
    lab: Lab,
    store: Store,
    logClock: SimClock,
    report: RecoveryReport,
    failures: readonly NaruError[],
  ) {
    this.lab = lab;
    this.store = store;
    this.logClock = logClock;
    this.report = report;
    this.failures = failures;
  }

  static async start(disk: SimDisk, options: StoredOptions = {}): Promise<StoredLab> {
    const { sync = 'disk', log, limits } = options;
    const logClock = new SimClock();
    let fill = 7;
    const random = (bytes: Uint8Array): void => {
      for (let at = 0; at < bytes.length; at += 1) {
        fill = (fill * 1_103_515_245 + 12_345) & 0x7fffffff;
        bytes[at] = fill >>> 16;
      }
    };
    const open = { segmentBytes: 64 << 10, clock: logClock, random, ...log };
    const store = await Store.open((hooks) => Log.open(disk, { ...open, ...hooks }), sync);
    const failures: NaruError[] = [];
    const lab = new Lab({
      store,
      storageFailed: (error) => failures.push(error),
      later: (fn) => queueMicrotask(fn),
      ...(limits === undefined ? {} : { limits }),
    });
    const report = await recover(lab.core, store);
    return new StoredLab(lab, store, logClock, report, failures);
  }

  connect(): Peer {
    return this.lab.connect();
  }

  /** Sends a method and waits until the disk has done its work. @returns what came by it */
  async call(peer: Peer, name: string, args: Readonly<Record<string, unknown>> = {}): Promise<Got[]> {
    const got = peer.call(name, args);
    await settled();
    return [...got, ...peer.take()];
  }

  /** Lets the disk do its work, and what is written lazily be written. */
  async pass(ms = 30): Promise<void> {
    this.logClock.advance(ms);
    await settled();
  }

  /** A clean stop: connections are lost, everything is written down. */
  async stop(peers: readonly Peer[], keepsTransient = false): Promise<void> {
    for (const peer of peers) peer.session.disconnected();
    await closeStore(this.lab.core, keepsTransient);
  }

  /** Takes all messages off a queue; each with its mark. */
  async drain(peer: Peer, queue: string): Promise<Drained[]> {
    const drained: Drained[] = [];
    for (;;) {
      const [got] = await this.call(peer, 'basic.get', { queue, noAck: true });
      if (got?.name !== 'basic.get-ok') return drained;
      drained.push({ body: got.body ?? '', isRedelivered: got.args['redelivered'] === true });
    }
  }
}

export interface Drained {
  readonly body: string;
  readonly isRedelivered: boolean;
}
