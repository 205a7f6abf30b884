// process.send() between a parent and its child, with both serializations. JSON has no bytes, so there the body travels as a
// text of 64 characters, which suits it better than anything else that carries 64 bytes.

import type { ChildProcess } from 'node:child_process';
import { Bodies, BODY_BYTES, Check, pingPong, sequenceOf } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearContext, NearEnd } from '../harness/duel.ts';

type Serialization = 'json' | 'advanced';

/** Sequence numbers as characters that JSON leaves as they are, 6 bits each. */
const FILLER = 'x'.repeat(BODY_BYTES - 4);
const BASE = 48;

function textOf(body: Uint8Array): string {
  const sequence = sequenceOf(body);
  const first = BASE + (sequence & 63);
  const second = BASE + ((sequence >>> 6) & 63);
  const third = BASE + ((sequence >>> 12) & 63);
  const fourth = BASE + ((sequence >>> 18) & 63);
  return String.fromCharCode(first, second, third, fourth) + FILLER;
}

function touchText(check: Check, text: string): void {
  const code = (index: number): number => text.charCodeAt(index) - BASE;
  const sequence = code(0) | (code(1) << 6) | (code(2) << 12) | (code(3) << 18);
  check.touchFields(sequence, text.length === BODY_BYTES ? 1 : 0);
}

/** Node's channel answers false when much is waiting; then a good sender waits until its next message is written. */
async function sendAll(count: number, make: (sequence: number) => unknown): Promise<void> {
  let hasRoom: boolean | undefined = true;
  for (let sequence = 0; sequence < count; sequence += 1) {
    const data = make(sequence);
    if (hasRoom === true) {
      hasRoom = process.send?.(data);
    } else {
      await new Promise((resolve) => process.send?.(data, undefined, undefined, resolve));
      hasRoom = true;
    }
  }
}

function openConsumer(context: NearContext, serialization: Serialization): NearEnd {
  const check = new Check();
  context.onData(
    serialization === 'json'
      ? (data) => touchText(check, data as string)
      : (data) => check.touch(data as Uint8Array),
  );
  return { address: '', run: (count) => check.expect(count), close: () => Promise.resolve() };
}

function openProducer(serialization: Serialization): FarEnd {
  const bodies = new Bodies();
  const make =
    serialization === 'json'
      ? (sequence: number) => textOf(bodies.make(sequence))
      : (sequence: number) => bodies.make(sequence);
  return { run: (count) => sendAll(count, make), close: () => Promise.resolve() };
}

function openPing(context: NearContext, serialization: Serialization): NearEnd {
  const child = context.far as ChildProcess;
  const body = new Bodies().make(0);
  const ball = serialization === 'json' ? textOf(body) : body;
  let back = (): void => undefined;
  context.onData(() => back());
  const roundTrip = (): Promise<void> =>
    new Promise((resolve) => {
      back = resolve;
      child.send(ball);
    });
  return { address: '', run: (count) => pingPong(count, roundTrip), close: () => Promise.resolve() };
}

function openEcho(): FarEnd {
  process.on('message', (data) => {
    if (typeof data === 'string' || data instanceof Uint8Array) process.send?.(data);
  });
  return { run: () => Promise.resolve(), close: () => Promise.resolve() };
}

const common = { isNaru: false, far: 'process' } as const;

export const processSend: readonly Duel[] = (['json', 'advanced'] as const).flatMap((serialization) => [
  {
    ...common,
    id: `process.send-${serialization}`,
    kind: 'throughput',
    label: `process.send, serialization '${serialization}'`,
    serialization,
    openNear: (context) => Promise.resolve(openConsumer(context, serialization)),
    openFar: () => Promise.resolve(openProducer(serialization)),
  } satisfies Duel,
  {
    ...common,
    id: `process.send-${serialization}-ping`,
    kind: 'latency',
    label: `process.send, serialization '${serialization}'`,
    serialization,
    openNear: (context) => Promise.resolve(openPing(context, serialization)),
    openFar: () => Promise.resolve(openEcho()),
  } satisfies Duel,
]);
