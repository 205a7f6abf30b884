// A broker as a process of its own, as `naru broker` starts it: when it is ready, how much memory it takes, and how it ends. And the
// few things that every figure does with it.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { AmqpLoad } from '#naru/cli/amqp-load';
import type { Held } from './held-memory.ts';

const COMMAND = fileURLToPath(new URL('../../../dist/cli/index.js', import.meta.url));
const HELD_MEMORY = new URL('held-memory.js', import.meta.url).href;
/** How long memory is left alone before it is looked at. */
const SETTLE_MS = 1500;

const living = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of living) child.kill('SIGKILL');
});

export interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  /** From the start of the process until it takes connections. */
  readonly readyMs: number;
  /** Processor time that it took for that, all threads. */
  readonly cpuMs: number;
}

/**
 * @param dataDir  where it stores; in memory without one
 * @param tellsHeld  heldBytes() can be asked; loading that makes the start longer
 */
export async function start(dataDir?: string, tellsHeld = false): Promise<Running> {
  const since = performance.now();
  const place = dataDir === undefined ? ['--memory'] : ['--data', dataDir];
  const ports = ['--port', '0', '--http-port', '0', '--max-connections', '15000'];
  const child = spawn(
    process.execPath,
    [...(tellsHeld ? ['--import', HELD_MEMORY] : []), COMMAND, 'broker', '--json', ...place, ...ports],
    { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] },
  );
  living.add(child);
  const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [string];
  const { amqp } = JSON.parse(line) as { readonly amqp: number };
  const readyMs = performance.now() - since;
  return { child, port: amqp, readyMs, cpuMs: cpuMsOf(child) };
}

/** @param signal  SIGTERM: a clean stop */
export async function stop({ child }: Running, signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
  living.delete(child);
}

/** sysconf(_SC_CLK_TCK) is 100 on every Linux. */
const MS_A_TICK = 10;

function cpuMsOf({ pid }: ChildProcess): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * MS_A_TICK;
}

export function rssBytes({ child }: Running): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
}

/** Memory that its objects hold, garbage collected. */
export async function heldBytes({ child }: Running): Promise<number> {
  const answer = once(child, 'message') as Promise<[Held]>;
  child.send('held');
  const [held] = await answer;
  return held.heldBytes;
}

export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, SETTLE_MS);
  });
}

/** Connects, declares, publishes one message and has it back. */
export async function firstMessage(port: number): Promise<AmqpLoad> {
  const client = await AmqpLoad.connect(port);
  const came = new Promise<void>((resolve) => {
    client.onBody = () => resolve();
  });
  await client.declare('first');
  await client.consume('first');
  await client.publish('first', 1, () => new Uint8Array(1));
  await came;
  return client;
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}
