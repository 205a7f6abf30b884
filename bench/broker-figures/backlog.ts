// A backlog on a folder: how fast a million stored messages come in, what memory each takes beyond the bodies, how long a start
// with them takes after a clean stop and after a kill, and how fast they go out again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AmqpLoad } from '#naru/cli/amqp-load';
import { LIMITS } from '#naru/broker/limits';
import { heldBytes, rssBytes, type Running, settle, start, stop } from './running.ts';

const QUEUE = 'backlog';
const BODY_BYTES = 1024;

/** How long a start took, and how much processor time. */
export type Start = Pick<Running, 'readyMs' | 'cpuMs'>;

export interface Backlog {
  readonly messages: number;
  readonly filledPerSecond: number;
  readonly drainedPerSecond: number;
  /** Memory that a message holds beyond what bodies may take: all that the broker has got for it, garbage collected. */
  readonly heldEach: number;
  /** The same by how much larger the process became: with what the allocator keeps of memory that was freed. */
  readonly residentEach: number;
  readonly cleanStart: Start;
  readonly dirtyStart: Start;
}

export async function backlogOf(messages: number): Promise<Backlog> {
  const folder = mkdtempSync(join(tmpdir(), 'naru-figures-'));
  try {
    let running = await start(folder, true);
    await settle();
    const [held, resident] = [await heldBytes(running), rssBytes(running)];
    const filledPerSecond = await fill(running, messages);
    await settle();
    const bodies = Math.min(messages * BODY_BYTES, LIMITS.storedBytesInMemoryMax.default);
    const residentEach = (rssBytes(running) - resident - bodies) / messages;
    const heldEach = ((await heldBytes(running)) - held - bodies) / messages;
    await stop(running);
    running = await start(folder);
    const dirtyStart = startOf(running);
    await stop(running, 'SIGTERM');
    running = await start(folder);
    const cleanStart = startOf(running);
    const drainedPerSecond = await drain(running, messages);
    await stop(running);
    return {
      messages,
      filledPerSecond,
      drainedPerSecond,
      heldEach,
      residentEach,
      cleanStart,
      dirtyStart,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function startOf({ readyMs, cpuMs }: Running): Start {
  return { readyMs, cpuMs };
}

/** Publishes, confirmed. @returns messages a second */
async function fill({ port }: Running, messages: number): Promise<number> {
  const client = await AmqpLoad.connect(port);
  await client.declare(QUEUE, true);
  await client.askForConfirms();
  const body = new Uint8Array(BODY_BYTES).fill(1);
  const since = performance.now();
  await client.publish(QUEUE, messages, () => body);
  const ms = performance.now() - since;
  client.close();
  return (messages * 1000) / ms;
}

/** Consumes and settles. @returns messages a second */
async function drain({ port }: Running, messages: number): Promise<number> {
  const client = await AmqpLoad.connect(port);
  const waiting = await client.declare(QUEUE, true);
  if (waiting !== messages) throw new Error(`${waiting} messages wait instead of ${messages}`);
  let count = 0;
  const all = new Promise<void>((resolve) => {
    client.onBody = () => {
      count += 1;
      if (count === messages) resolve();
    };
  });
  const since = performance.now();
  await client.consumeAndSettle(QUEUE);
  await all;
  const ms = performance.now() - since;
  // The last settles are on their way: an answer comes behind them.
  await client.declare(QUEUE, true);
  client.close();
  return (messages * 1000) / ms;
}
