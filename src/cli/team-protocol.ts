// What `team.ts` and its processes (`team-worker.ts`) say to each other. URLs travel here and never on a command line.

import type { NaruErrorJson } from '../errors/index.ts';

/** How fast probes are sent: flat out, or so many a second. */
export type Pace = number | 'flat-out';

/** To a worker. */
export type Order =
  | {
      readonly type: 'open';
      readonly url: string;
      readonly bodyBytes: number;
      /** Numbers of the producers that live in this worker. */
      readonly producers: readonly number[];
      readonly consumers: number;
    }
  /** Every producer sends: `count` probes each, or until `pause` when there is no count. */
  | { readonly type: 'produce'; readonly phase: number; readonly pace: Pace; readonly count: number | null }
  | { readonly type: 'pause' }
  /** Asks for a `report`. */
  | { readonly type: 'report' }
  | { readonly type: 'stop' };

/** What a worker's consumers have so far. */
export interface Report {
  readonly type: 'report';
  readonly sent: number;
  readonly received: number;
  readonly sum: number;
  readonly disordered: number;
  readonly broken: number;
  readonly depth: number;
  /** By consumer and phase. */
  readonly phases: readonly {
    readonly index: number;
    readonly received: number;
    readonly lastAtMs: number;
    readonly latency: [number, number][];
  }[];
}

/** From a worker. */
export type Answer =
  /** `made`: the worker made the mailbox, and it would stay there for ever. */
  | { readonly type: 'opened'; readonly address: string; readonly made: boolean }
  /** Every producer is done with its phase. Totals since the start, and when this phase's first probe was sent. */
  | { readonly type: 'paused'; readonly sent: number; readonly sum: number; readonly firstAtMs: number }
  | Report
  | { readonly type: 'failed'; readonly error: NaruErrorJson };
