// One started process or worker, as its keeper (child.ts) sees it: messages, the end, and the last means.

import { fork } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import type { ChildReport, Order } from './messages.ts';

/** How it ended: `code` of an exit, or the `signal` that killed it. */
export interface VesselEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the runtime says where the child could not: it could not be started, or ran out of memory. */
  readonly error: Error | undefined;
}

export interface VesselEvents {
  readonly report: (report: ChildReport) => void;
  readonly end: (end: VesselEnd) => void;
}

/** One start. */
export interface Vessel {
  /** Of a process; undefined for a worker. */
  readonly pid: number | undefined;
  /** Does nothing when it has ended. */
  order(order: Order): void;
  /** Ends it at once: SIGKILL or another signal; a worker is terminated. */
  kill(signal: NodeJS.Signals): void;
}

/** What a child is started with beside its orders. */
export interface VesselOptions {
  /** The module that runs in it first: src/spawned.ts. */
  readonly runtime: URL;
  readonly env: NodeJS.ProcessEnv | undefined;
  readonly execArgv: readonly string[] | undefined;
}

export function startProcess(options: VesselOptions, events: VesselEvents): Vessel {
  const { runtime, env, execArgv } = options;
  const child = fork(runtime, [], {
    serialization: 'advanced',
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
    ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
  });
  let failure: Error | undefined;
  let ended = false;
  const end = (code: number | null, signal: NodeJS.Signals | null): void => {
    if (ended) return;
    ended = true;
    events.end({ code, signal, error: failure });
  };
  child.on('message', (report) => events.report(report as ChildReport));
  child.on('error', (error) => {
    failure = error;
    if (child.pid === undefined) end(null, null);
  });
  // Not at 'exit': what it said last may still be in the channel then.
  child.on('close', end);
  return {
    pid: child.pid,
    order: (order) => {
      if (child.connected) child.send(order, () => undefined);
    },
    kill: (signal) => child.kill(signal),
  };
}

export function startWorker(options: VesselOptions, events: VesselEvents): Vessel {
  const { runtime, env, execArgv } = options;
  const worker = new Worker(runtime, {
    ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
    ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
  });
  let failure: Error | undefined;
  worker.on('message', (report: ChildReport) => events.report(report));
  worker.on('error', (error) => {
    failure = error instanceof Error ? error : new Error(String(error));
  });
  worker.on('exit', (code) => events.end({ code, signal: null, error: failure }));
  return {
    pid: undefined,
    order: (order) => worker.postMessage(order),
    kill: () => void worker.terminate(),
  };
}
