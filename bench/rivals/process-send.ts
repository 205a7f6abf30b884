// process.send() between a parent and its child. JSON has no bytes: once the body travels as base64 and is bytes again at the
// consumer, as with all others; and once as a text of 64 characters, for those who have no bytes to send.

import type { ChildProcess } from 'node:child_process';
import { Bodies, BODY_BYTES, Check, pingPong } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearContext, NearEnd } from '../harness/duel.ts';

/** One way to carry a body. */
interface Form {
  readonly id: string;
  readonly label: string;
  readonly serialization: 'json' | 'advanced';
  /** @returns what gives process.send() message `sequence` */
  readonly maker: () => (sequence: number) => string | Uint8Array;
  readonly touch: (check: Check, data: unknown) => void;
}

/** In a text, sequence numbers are characters of 6 bits each that JSON leaves as they are. */
const FIRST_CHARACTER = 48;
const FILLER = 'x'.repeat(BODY_BYTES - 4);

function makeText(sequence: number): string {
  const character = (shift: number): number => FIRST_CHARACTER + ((sequence >>> shift) & 63);
  return String.fromCharCode(character(0), character(6), character(12), character(18)) + FILLER;
}

function touchText(check: Check, text: string): void {
  const bits = (index: number): number => text.charCodeAt(index) - FIRST_CHARACTER;
  const sequence = bits(0) | (bits(1) << 6) | (bits(2) << 12) | (bits(3) << 18);
  check.touchFields(sequence, text.length === BODY_BYTES ? 1 : 0);
}

const FORMS: readonly Form[] = [
  {
    id: 'process.send-json-text',
    label: 'process.send json, 64 characters',
    serialization: 'json',
    maker: () => makeText,
    touch: (check, data) => touchText(check, data as string),
  },
  {
    id: 'process.send-json-base64',
    label: 'process.send json, base64',
    serialization: 'json',
    maker: () => {
      const bodies = new Bodies((sizeBytes) => Buffer.alloc(sizeBytes));
      return (sequence) => bodies.make(sequence).toString('base64');
    },
    touch: (check, data) => check.touch(Buffer.from(data as string, 'base64')),
  },
  {
    id: 'process.send-advanced',
    label: 'process.send advanced, bytes',
    serialization: 'advanced',
    maker: () => {
      const bodies = new Bodies();
      return (sequence) => bodies.make(sequence);
    },
    touch: (check, data) => check.touch(data as Uint8Array),
  },
];

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

function openConsumer(context: NearContext, { touch }: Form): NearEnd {
  const check = new Check();
  context.onData((data) => touch(check, data));
  return { address: '', run: (count) => check.expect(count), close: () => Promise.resolve() };
}

function openProducer({ maker }: Form): FarEnd {
  const make = maker();
  return { run: (count) => sendAll(count, make), close: () => Promise.resolve() };
}

function openPing(context: NearContext, { maker }: Form): NearEnd {
  const child = context.far as ChildProcess;
  const ball = maker()(0);
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

function duels(form: Form): Duel[] {
  const { id, label, serialization } = form;
  const common = { label, serialization, isNaru: false, far: 'process' } as const;
  return [
    {
      ...common,
      id,
      kind: 'throughput',
      openNear: (context) => Promise.resolve(openConsumer(context, form)),
      openFar: () => Promise.resolve(openProducer(form)),
    },
    {
      ...common,
      id: `${id}-ping`,
      kind: 'latency',
      openNear: (context) => Promise.resolve(openPing(context, form)),
      openFar: () => Promise.resolve(openEcho()),
    },
  ];
}

export const processSend: readonly Duel[] = FORMS.flatMap(duels);
