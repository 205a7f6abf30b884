// Several producers and several consumers on one shm:// mailbox, each in a process of its own (fan-member.ts): sendMany() on one
// side, batches() with acks on the other. The near end starts and directs them; the far end has nothing to do.

import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { native } from '#naru/native/index';
import type { Duel, DuelContext, NearEnd, Sample } from '../harness/duel.ts';
import type { MemberAnswer, MemberCommand, MemberStart } from './fan-member.ts';

const MEMBER_PROGRAM = fileURLToPath(new URL('./fan-member.js', import.meta.url));
const COUNTER_BYTES = 4096;
/** How often the counters are looked at. */
const LOOK_MS = 2;

class Member {
  readonly #child: ChildProcess;
  #pending: { resolve: (answer: MemberAnswer) => void; reject: (error: Error) => void } | undefined;
  #failure: Error | undefined;

  constructor() {
    this.#child = fork(MEMBER_PROGRAM);
    this.#child.on('message', (message) => {
      const answer = message as MemberAnswer;
      if (answer.fan === 'failed') this.#fail(new Error(answer.message));
      else this.#pending?.resolve(answer);
    });
    this.#child.on('exit', (code, signal) => this.#fail(new Error(`a member ended (${signal ?? code})`)));
  }

  /** What it failed with outside of a command. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  call(command: MemberCommand): Promise<MemberAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      if (this.#failure !== undefined) return reject(this.#failure);
      this.#child.send(command, (error) => {
        if (error !== null) reject(error);
      });
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#pending?.reject(error);
  }
}

interface Crowd {
  readonly producers: readonly Member[];
  readonly consumers: readonly Member[];
  readonly deliver: 'one' | 'all';
  /** Messages that each consumer has had. */
  readonly counters: Int32Array;
}

/** Sends `count` messages in all. */
async function run({ producers, consumers, deliver, counters }: Crowd, count: number): Promise<Sample> {
  await Promise.all([...producers, ...consumers].map((member) => member.call({ fan: 'begin' })));
  const before = consumers.map((_, index) => Atomics.load(counters, index));
  const shares = producers.map((_, index) => {
    return (
      Math.floor((count * (index + 1)) / producers.length) - Math.floor((count * index) / producers.length)
    );
  });
  const produced = producers.map((member, index) =>
    member.call({ fan: 'produce', count: shares[index] as number }),
  );
  // Heard at once when one fails, not only after the others.
  let failure: unknown;
  const all = Promise.all(produced).catch((error: unknown) => {
    failure = error;
    return [];
  });
  const isComplete = (): boolean => {
    const got = consumers.map((_, index) => (Atomics.load(counters, index) - (before[index] as number)) | 0);
    if (deliver === 'all') return got.every((number) => number >= count);
    return got.reduce((sum, number) => sum + number, 0) >= count;
  };
  while (!isComplete()) {
    const failed = failure ?? consumers.find((member) => member.failure !== undefined)?.failure;
    if (failed !== undefined) throw failed;
    await setTimeout(LOOK_MS);
  }
  const done = await all;
  const reports = await Promise.all(consumers.map((member) => member.call({ fan: 'report' })));
  return sampleOf(count, done, reports);
}

function sampleOf(
  count: number,
  produced: readonly MemberAnswer[],
  consumed: readonly MemberAnswer[],
): Sample {
  let [first, last, near, far] = [0n, 0n, 0, 0];
  for (const answer of produced) if (answer.fan === 'done') far += answer.cpuMicros;
  for (const answer of consumed) {
    if (answer.fan !== 'figures') continue;
    near += answer.cpuMicros;
    const [from, to] = [BigInt(answer.first), BigInt(answer.last)];
    if (from > 0n && (first === 0n || from < first)) first = from;
    if (to > last) last = to;
  }
  const perMessage = 1000 / count;
  const cpu = { near: near * perMessage, far: far * perMessage };
  return { kind: 'throughput', messages: count, nanoseconds: Number(last - first), cpu };
}

async function openCrowd(context: DuelContext, spec: FanSpec): Promise<NearEnd> {
  const file = join(context.folder, `${context.name}.counters`);
  const fd = openSync(file, 'wx+', 0o600);
  ftruncateSync(fd, COUNTER_BYTES);
  const counters = new Int32Array(native('the benchmark of crowds').map(fd, COUNTER_BYTES, false));
  closeSync(fd);
  const members: Member[] = [];
  const start = async (role: MemberStart['role'], index: number): Promise<Member> => {
    const member = new Member();
    members.push(member);
    const url = `shm://${context.name}`;
    await member.call({
      fan: 'start',
      role,
      url,
      deliver: spec.deliver,
      index,
      counters: file,
      counterBytes: COUNTER_BYTES,
    });
    return member;
  };
  const kill = (): void => {
    for (const member of members) member.kill();
  };
  process.once('exit', kill);
  try {
    const consumers: Member[] = [];
    const producers: Member[] = [];
    // One after the other: the first one makes the mailbox, and what one cannot do stops the rest.
    for (let index = 0; index < spec.consumers; index += 1) consumers.push(await start('consumer', index));
    for (let index = 0; index < spec.producers; index += 1)
      producers.push(await start('producer', index + 1));
    const crowd: Crowd = { producers, consumers, deliver: spec.deliver, counters };
    return {
      address: '',
      run: (count) => run(crowd, count),
      close: async () => {
        await Promise.all(producers.map((member) => member.call({ fan: 'close' })));
        await Promise.all(consumers.map((member) => member.call({ fan: 'close' })));
        rmSync(file, { force: true });
      },
    };
  } catch (error) {
    kill();
    throw error;
  }
}

export interface FanSpec {
  readonly producers: number;
  readonly consumers: number;
  readonly deliver: 'one' | 'all';
}

function several(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

export function fanId({ producers, consumers, deliver }: FanSpec): string {
  return `naru-fan-${deliver}-${producers}-${consumers}`;
}

export function naruFan(spec: FanSpec): Duel {
  return {
    id: fanId(spec),
    kind: 'throughput',
    label: `${several(spec.producers, 'producer')}, ${several(spec.consumers, 'consumer')}`,
    isNaru: true,
    far: 'same',
    serialization: 'json',
    firstCount: 10_000,
    openNear: (context) => openCrowd(context, spec),
    openFar: async () => ({ run: async () => undefined, close: async () => undefined }),
  };
}
