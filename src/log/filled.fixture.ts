// A log with a few segments and something of everything, for the tests of damage and of the format.

import { SimClock, settled } from './clock.fixture.ts';
import { Log, type LogOptions } from './index.ts';
import { seeded, SimDisk } from './sim-disk.fixture.ts';

export const SEGMENT_BYTES: number = 1 << 16;

export function optionsFor(clock: SimClock, seed = 1): LogOptions {
  const random = seeded(seed);
  return {
    clock,
    segmentBytes: SEGMENT_BYTES,
    random: (bytes) => {
      for (let at = 0; at < bytes.length; at += 1) bytes[at] = Math.floor(random() * 256);
    },
  };
}

/** A body that tells which record it belongs to. */
export function bodyOf(sequence: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, at) => (sequence * 31 + at * 7) & 255);
}

export interface Filled {
  readonly disk: SimDisk;
  readonly clock: SimClock;
  /** Live references, `stream/sequence`, to the body's length. */
  readonly live: ReadonlyMap<string, number>;
  readonly log: Log;
}

/** Appends `count` records of `bytes` bytes, some for two streams, and removes every third. */
export async function filled(count: number, bytes: number): Promise<Filled> {
  const disk = new SimDisk();
  const clock = new SimClock();
  const log = await Log.open(disk, optionsFor(clock));
  const live = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    const sequence = log.next;
    const extraStreams = sequence % 5 === 0 ? [9] : [];
    log.append([
      {
        stream: sequence % 4,
        extraStreams,
        note: sequence,
        stamp: sequence / 2,
        body: bodyOf(sequence, bytes),
      },
    ]);
    for (const stream of [sequence % 4, ...extraStreams]) live.set(`${stream}/${sequence}`, bytes);
    if (index % 10 === 9) await log.commit('disk');
  }
  for (let sequence = 3; sequence < log.next; sequence += 3) {
    log.remove(sequence % 4, sequence);
    live.delete(`${sequence % 4}/${sequence}`);
  }
  await log.writeSnapshot('state', bodyOf(0, 100));
  await log.commit('disk');
  await settled();
  return { disk, clock, live, log };
}

/** Opens a disk and reads everything that lives. @returns what was found, bodies checked */
export async function readAll(
  disk: SimDisk,
  options: Partial<LogOptions> = {},
): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  const notes: [number, number, number][] = [];
  const log = await Log.open(disk, {
    ...optionsFor(new SimClock(), 2),
    ...options,
    live: (sequence, stream, note, _stamp, bodyBytes) => {
      found.set(`${stream}/${sequence}`, bodyBytes);
      notes.push([sequence, note, bodyBytes]);
    },
  });
  try {
    for (const [sequence, note, bodyBytes] of notes) {
      const record = await log.read(sequence);
      const expected = bodyOf(sequence, bodyBytes);
      if (
        record === undefined ||
        Buffer.compare(record.body, expected) !== 0 ||
        note !== sequence ||
        record.note !== sequence
      ) {
        throw new Error(`record ${sequence} is wrong, and nobody noticed`);
      }
    }
    await log.readSnapshot('state');
    return found;
  } finally {
    await log.close();
  }
}
