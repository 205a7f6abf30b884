// What runs inside a child: opens its handles, calls its function, tells how that went, and ends with its parent.

import { isMainThread, parentPort } from 'node:worker_threads';
import { NaruError } from '../errors/index.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { tryNative } from '../native/index.ts';
import { reportOf } from './error-report.ts';
import type { ChildReport, Order, StartOrder } from './messages.ts';

/** What the function of a child gets beside its handles. */
export interface ChildContext<D = unknown> {
  /** What the parent gave as `data`. */
  readonly data: D;
  /** Fires when the child shall end: stop() was called, or its parent is gone. */
  readonly signal: AbortSignal;
  /** How many starts there were before this one. */
  readonly restarts: number;
}

/** Opens one kind of handle. */
export type OpenHandle = (handle: SharedHandle) => Promise<{ close(): unknown }>;

type ChildFunction = (shared: Record<string, unknown>, context: ChildContext) => unknown;

/** A child whose function has returned and that does not end by itself (a timer, an open socket) is ended. */
const LINGER_MS = 2_000;

/** Waits for the start order and does what it says. */
export function runChild(openHandle: OpenHandle): void {
  const stop = new AbortController();
  const port = isMainThread ? processPort() : workerPort();
  const hear = (order: Order): void => {
    if (order.say === 'stop') stop.abort(new NaruError('NARU_CLOSED', 'the parent asked this child to stop'));
    else void work(order, openHandle, stop.signal, port);
  };
  port.listen(hear, () => {
    stop.abort(new NaruError('NARU_PEER_GONE', 'the parent of this child is gone'));
    setTimeout(() => process.exit(1), LINGER_MS).unref();
  });
  process.on('uncaughtException', (error) => port.fail(error));
}

/** The way to the parent. */
interface Port {
  listen(hear: (order: Order) => void, gone: () => void): void;
  say(report: ChildReport): void;
  /** Says what went wrong and ends this process or thread with code 1. */
  fail(error: unknown): void;
  /** Lets the process end by itself. */
  release(): void;
}

function processPort(): Port {
  const send = (report: ChildReport, sent: () => void): void => {
    if (process.connected) process.send?.(report, undefined, undefined, sent);
    else sent();
  };
  return {
    listen: (hear, gone) => {
      process.on('message', hear);
      process.on('disconnect', gone);
    },
    say: (report) => send(report, () => undefined),
    fail: (error) => send({ say: 'failed', error: reportOf(error) }, () => process.exit(1)),
    release: () => {
      if (process.connected) process.disconnect();
    },
  };
}

function workerPort(): Port {
  const port = parentPort as NonNullable<typeof parentPort>;
  return {
    listen: (hear) => port.on('message', hear),
    say: (report) => port.postMessage(report),
    fail: (error) => {
      port.postMessage({ say: 'failed', error: reportOf(error) } satisfies ChildReport);
      process.exit(1);
    },
    release: () => port.close(),
  };
}

async function work(
  order: StartOrder,
  openHandle: OpenHandle,
  signal: AbortSignal,
  port: Port,
): Promise<void> {
  const opened: { close(): unknown }[] = [];
  try {
    if (isMainThread) dieWith(order.parentPid);
    const shared: Record<string, unknown> = {};
    for (const [name, handle] of order.handles) {
      const live = await openHandle(handle);
      opened.push(live);
      shared[name] = live;
    }
    const run = await loadFunction(order.module);
    port.say({ say: 'ready' });
    await untilStopped(run(shared, { data: order.data, signal, restarts: order.attempt }), signal);
    for (const live of opened) await live.close();
    port.release();
    setTimeout(() => process.exit(), LINGER_MS).unref();
  } catch (error) {
    port.fail(error);
  }
}

/** A function that ends with the reason it was stopped for has done as it was told. */
async function untilStopped(running: unknown, signal: AbortSignal): Promise<void> {
  try {
    await running;
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  }
}

/** The kernel kills this process with its parent, though it sleeps in a call. Without the addon only the channel tells. */
function dieWith(parentPid: number): void {
  const stillThere = tryNative()?.dieWithParent(parentPid);
  if (stillThere === false) process.exit(1);
}

async function loadFunction(module: string): Promise<ChildFunction> {
  const loaded = (await import(module)) as { default?: unknown };
  if (typeof loaded.default === 'function') return loaded.default as ChildFunction;
  throw new NaruError(
    'NARU_INVALID_ARGUMENT',
    `${module} has no default export that is a function: export default async ({ … }, { signal }) => { … }`,
  );
}
