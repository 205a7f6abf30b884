// The program of one member of a crowd (naru-fan.ts): a producer or a consumer of one shm:// mailbox, on command.

import { closeSync, openSync } from 'node:fs';
import { native } from '#naru/native/index';
import { open } from '#naru/index';
import { Bodies, sequenceOf } from '../harness/bodies.ts';
import { textOf } from '../harness/channel.ts';

export interface MemberStart {
  readonly role: 'producer' | 'consumer';
  readonly url: string;
  readonly deliver: 'one' | 'all';
  readonly index: number;
  /** A file of 32-bit words, one for each consumer: how many messages it has had in all. */
  readonly counters: string;
  readonly counterBytes: number;
}

export type MemberCommand =
  | ({ readonly fan: 'start' } & MemberStart)
  /** A consumer forgets the last run. */
  | { readonly fan: 'begin' }
  | { readonly fan: 'produce'; readonly count: number }
  | { readonly fan: 'report' }
  | { readonly fan: 'close' };

export type MemberAnswer =
  | { readonly fan: 'done'; readonly cpuMicros: number }
  /** Times of process.hrtime, which all processes of a machine share; '0' where nothing came. */
  | { readonly fan: 'figures'; readonly first: string; readonly last: string; readonly cpuMicros: number }
  | { readonly fan: 'failed'; readonly message: string };

/** Where a body carries its producer. */
const PRODUCER_BYTE = 4;

interface Member {
  begin(): void;
  produce(count: number): Promise<void>;
  figures(): { first: bigint; last: bigint };
  close(): Promise<void>;
}

async function startProducer({ url, deliver, index }: MemberStart): Promise<Member> {
  const mailbox = await open(url, { codec: 'bytes', role: 'producer', deliver, needs: [] });
  const bodies = new Bodies((size) => new Uint8Array(size).fill(1));
  let sequence = 0;
  function* some(count: number): Generator<Uint8Array, undefined> {
    for (let left = count; left > 0; left -= 1, sequence = (sequence + 1) >>> 0) {
      const body = bodies.make(sequence);
      body[PRODUCER_BYTE] = index;
      yield body;
    }
    return undefined;
  }
  return {
    begin: () => undefined,
    produce: async (count) => {
      await mailbox.sendMany(some(count));
    },
    figures: () => ({ first: 0n, last: 0n }),
    close: async () => {
      await mailbox.close();
    },
  };
}

async function startConsumer({ url, deliver, index, counters, counterBytes }: MemberStart): Promise<Member> {
  const mailbox = await open(url, { codec: 'bytes', role: 'consumer', deliver, needs: [] });
  const fd = openSync(counters, 'r+');
  const words = new Int32Array(native('the benchmark of crowds').map(fd, counterBytes, false));
  closeSync(fd);
  const nextOf = new Map<number, number>();
  let first = 0n;
  let last = 0n;
  let total = 0;
  const touch = (body: Uint8Array): void => {
    const producer = body[PRODUCER_BYTE] as number;
    const sequence = sequenceOf(body) >>> 0;
    // A topic brings every message; of a shared mailbox somebody else may have got those between. Both keep their order.
    const expected = nextOf.get(producer) ?? 0;
    const isWrong = deliver === 'all' ? sequence !== expected : sequence < expected;
    if (isWrong || body.at(-1) !== 1) {
      throw new Error(`message ${sequence} of producer ${producer} where ${expected} was next`);
    }
    nextOf.set(producer, sequence + 1);
  };
  const consume = async (): Promise<void> => {
    for await (const messages of mailbox.batches()) {
      if (first === 0n) first = process.hrtime.bigint();
      for (const message of messages) touch(message.data);
      last = process.hrtime.bigint();
      total += messages.length;
      Atomics.store(words, index, total);
    }
  };
  const consumed = consume().catch(fail);
  return {
    begin: () => {
      first = 0n;
    },
    produce: () => Promise.resolve(),
    figures: () => ({ first, last: first === 0n ? 0n : last }),
    close: async () => {
      await mailbox.close();
      await consumed;
    },
  };
}

function answer(message: MemberAnswer): void {
  process.send?.(message);
}

function fail(error: unknown): void {
  answer({ fan: 'failed', message: textOf(error) });
}

let member: Member | undefined;
let cpuBefore = process.cpuUsage();

function cpuMicros(): number {
  const { user, system } = process.cpuUsage(cpuBefore);
  return user + system;
}

async function obey(command: MemberCommand): Promise<void> {
  if (command.fan === 'start') {
    member = await (command.role === 'producer' ? startProducer(command) : startConsumer(command));
  } else if (command.fan === 'begin') {
    cpuBefore = process.cpuUsage();
    member?.begin();
  } else if (command.fan === 'produce') {
    await member?.produce(command.count);
  } else if (command.fan === 'report') {
    const { first, last } = member?.figures() ?? { first: 0n, last: 0n };
    answer({ fan: 'figures', first: String(first), last: String(last), cpuMicros: cpuMicros() });
    return;
  } else {
    await member?.close();
  }
  answer({ fan: 'done', cpuMicros: cpuMicros() });
  if (command.fan === 'close') process.disconnect();
}

process.on('message', (command) => void obey(command as MemberCommand).catch(fail));
process.on('disconnect', () => process.exit());
