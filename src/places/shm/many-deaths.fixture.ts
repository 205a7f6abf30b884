// Many deaths in little time: participants of this process that go as the dead go, that is, without a word, by giving up their
// proof of life (the FIFO with its lock) and their mapping, and nothing else. What a kernel does for a killed process is just that.

import { mkdtempSync, rmSync } from 'node:fs';
import type { Delivery, Driver, Outgoing } from '../../mailbox/driver.ts';
import { LANE } from '../../ring/layout.ts';
import { laneWord } from '../../ring/memory.ts';
import { listLanes, listParticipants, producerSeat } from '../../ring/participants.ts';
import { attach } from '../../mapped-ring/attach.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { openShm } from './index.ts';
import { releaseObject } from '../../mapped-ring/object-file.ts';
import type { Participation } from '../../mapped-ring/participation.ts';
import { shmOptions } from './peer.fixture.ts';
import { runtimeFolder, siteOf } from './runtime-folder.ts';
import { RingReceiver } from '../../mapped-ring/receiver.ts';
import { claimConsumerSeat, claimProducerSeat } from '../../mapped-ring/seats.ts';
import { RingSender } from '../../mapped-ring/sender.ts';
import { SHAPES, type TortureMode } from './torture.fixture.ts';
import { randomOf } from '../../ring/random.fixture.ts';

const nothing = (): void => undefined;

function message(number: number): Outgoing {
  const body = new Uint8Array(8 + (number % 300));
  return { body, sequence: number + 1, time: 1, fields: undefined, confirm: undefined, done: undefined };
}

/** @returns what is not as it was before */
export async function manyDeaths(mode: TortureMode, deaths: number, seed: number): Promise<string[]> {
  const folder = mkdtempSync('/dev/shm/naru-deaths-');
  const before = process.env['NARU_RUNTIME_DIR'];
  process.env['NARU_RUNTIME_DIR'] = folder;
  let keeper: Driver | undefined;
  try {
    keeper = await openShm(
      shmOptions({ ...SHAPES[mode], name: 'm', owner: 'system', role: 'opener' }),
      {},
      undefined,
      {
        readable: nothing,
        writable: nothing,
        peers: nothing,
        reply: nothing,
        event: nothing,
        failed: nothing,
      },
      defaultEdges('shm://'),
    );
    const random = randomOf(seed);
    for (let i = 0; i < deaths; i += 1) await liveAndDie(mode, random, i);
    const problems = await leftIn(mode);
    await keeper.unlink();
    return problems;
  } finally {
    await keeper?.close();
    if (before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = before;
    rmSync(folder, { recursive: true, force: true });
  }
}

async function join(mode: TortureMode): Promise<Participation> {
  const options = shmOptions({ ...SHAPES[mode], name: 'm', owner: 'system', role: 'opener' });
  const site = siteOf(`${runtimeFolder()}/m`, undefined);
  return (await attach(options, site, {}, undefined, defaultEdges('shm://'))).part;
}

/** The lock goes, the mapping goes; every word in the mailbox stays as it is. */
function die(part: Participation): void {
  part.waiter.abandon();
  part.waiter.close();
  part.bells.close();
  part.health.error = new Error('dead');
  releaseObject(part.object, part.edges);
}

async function receiverOf(part: Participation): Promise<RingReceiver> {
  const events = {
    readable: nothing,
    closed: nothing,
    housekeeping: nothing,
    dropped: nothing,
    gap: nothing,
    error: nothing,
  };
  return new RingReceiver(part, await claimConsumerSeat(part, 'now'), events);
}

async function senderOf(part: Participation): Promise<RingSender> {
  const { seat } = await claimProducerSeat(part);
  return new RingSender(part, seat, {
    writable: nothing,
    closed: nothing,
    dropped: nothing,
    housekeeping: nothing,
  });
}

async function liveAndDie(
  mode: TortureMode,
  random: (below: number) => number,
  number: number,
): Promise<void> {
  const part = await join(mode);
  if (number % 2 === 0) {
    const sender = await senderOf(part);
    sender.offer(
      Array.from({ length: 1 + random(20) }, (_, i) => message(number + i)),
      0,
    );
  } else {
    const receiver = await receiverOf(part);
    const out: Delivery[] = [];
    receiver.take(1 + random(40), out);
    for (const delivery of out) {
      const choice = random(4);
      if (choice === 1) receiver.settle(delivery, 'requeue', 0);
      else if (choice > 1) receiver.settle(delivery, 'ack', 0);
    }
  }
  die(part);
}

/** The last ones empty it; then every seat and every byte must be there again. */
async function leftIn(mode: TortureMode): Promise<string[]> {
  const problems: string[] = [];
  const part = await join(mode);
  const receiver = await receiverOf(part);
  const out: Delivery[] = [];
  while (receiver.take(100, out) > 0) {
    receiver.ackAll(out);
    out.length = 0;
  }
  const { memory } = part;
  const living = listParticipants(memory).length;
  if (living !== 2) problems.push(`${living} participants instead of 2`);
  for (let seat = 0; seat < memory.geometry.maxProducers; seat += 1)
    if (producerSeat(memory, seat) !== 0) problems.push(`producer’s seat ${seat} is taken`);
  for (const lane of listLanes(memory)) {
    const at = (field: number): number => Atomics.load(memory.words, laneWord(lane, field));
    if (memory.geometry.mode !== 'topic' && at(LANE.head) !== at(LANE.tail))
      problems.push(`lane ${lane} is not empty`);
    if (at(LANE.hold) !== 0 || at(LANE.fault) !== 0) problems.push(`lane ${lane} is held or damaged`);
  }
  for (let seat = 0; seat < memory.geometry.maxProducers; seat += 1) {
    const other = await join(mode);
    const placed = (await senderOf(other)).offer(
      Array.from({ length: 40 }, () => ({ ...message(0), body: new Uint8Array(1000) })),
      0,
    );
    if (placed < 12) problems.push(`lane ${seat} takes ${placed} messages of 1000 bytes in 16 KiB`);
    receiver.take(100, out);
    receiver.ackAll(out);
    out.length = 0;
    die(other);
  }
  die(part);
  return problems;
}
