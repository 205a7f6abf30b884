// What a contestant of a benchmark is: a near end, in whose process the measuring happens, and a far end, which normally
// lives in a process of its own. Both ends of every contestant are driven in the same way. No transport here.

import type { ChildProcess } from 'node:child_process';
import type { Worker } from 'node:worker_threads';

/** Where the far end lives: its own process, a worker thread of the near process, or the near end's own thread. */
export type FarPlace = 'process' | 'thread' | 'same';

/**
 * CPU time of a run in both processes, all threads, in nanoseconds per message: what a message costs, also on a machine that
 * has other things to do.
 */
export interface CpuTime {
  readonly near: number;
  /** 0 where the far end lives in the near process. */
  readonly far: number;
}

/** One measurement: how long a fixed number of messages took, or how long round trips took. */
export type Sample =
  | {
      readonly kind: 'throughput';
      readonly messages: number;
      readonly nanoseconds: number;
      /** Of programs that the near end started, per message; it is added to that of the two ends. */
      readonly cpu?: CpuTime;
    }
  | { readonly kind: 'latency'; readonly roundTrips: number; readonly p50Us: number; readonly p99Us: number };

/** What both ends are given. */
export interface DuelContext {
  /** A name no other contestant of this machine has. */
  readonly name: string;
  /** A folder for sockets, removed after the run. */
  readonly folder: string;
}

/** What the near end is given beside. */
export interface NearContext extends DuelContext {
  /** The process or thread of the far end, for contestants whose data takes the channel that every child has. */
  readonly far: ChildProcess | Worker | undefined;
  /** Registers who gets everything on that channel that is no command of the harness. */
  onData(listener: (data: unknown) => void): void;
}

/** The measuring end: the consumer, or the one who plays the first ball. */
export interface NearEnd {
  /** How the far end finds this one. */
  readonly address: string;
  /** Resolves when `count` messages came, or `count` round trips are over. Rejects when one is missing or out of order. */
  run(count: number): Promise<Sample>;
  close(): Promise<void>;
}

/** The other end: the producer, or the one who plays back. */
export interface FarEnd {
  /** Sends `count` messages, or plays back `count` balls (at once, where it does so anyway). */
  run(count: number): Promise<void>;
  close(): Promise<void>;
}

/** A contestant. */
export interface Duel {
  /** Fixed and short: it stands in the JSON document. */
  readonly id: string;
  readonly kind: Sample['kind'];
  /** What the tables show. */
  readonly label: string;
  readonly isNaru: boolean;
  readonly far: FarPlace;
  /** Of the channel between the two processes; decides something only where data takes it. */
  readonly serialization: 'json' | 'advanced';
  /** Length of every body; BODY_BYTES where it does not say. */
  readonly bodyBytes?: number;
  /** Messages of its first, cold run; 2,000 where it does not say. */
  readonly firstCount?: number;
  /** Builds what it needs, before anything is measured. Rejects where that cannot be done here: the contestant is missing. */
  prepare?(): Promise<void>;
  openNear(context: NearContext): Promise<NearEnd>;
  /** @param data  sends on the channel that the near end listens to with `onData` */
  openFar(context: DuelContext, address: string): Promise<FarEnd>;
}
