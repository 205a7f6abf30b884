// What the log promises its owner: sequences, levels, removal, reading, room that comes back, a disk that is full or fails.

import { describe, expect, onTestFinished, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { settled, SimClock } from './clock.fixture.ts';
import { bodyOf, optionsFor } from './filled.fixture.ts';
import { type Level, Log, type LogOptions } from './index.ts';
import { SimDisk, SimError } from './sim-disk.fixture.ts';

interface Opened {
  readonly log: Log;
  readonly disk: SimDisk;
  readonly clock: SimClock;
  readonly again: (options?: Partial<LogOptions>) => Promise<Log>;
}

async function opened(options: Partial<LogOptions> = {}, disk = new SimDisk()): Promise<Opened> {
  const clock = new SimClock();
  const again = (more: Partial<LogOptions> = {}): Promise<Log> =>
    Log.open(disk, { ...optionsFor(clock), ...options, ...more });
  const log = await again();
  onTestFinished(() => log.close().catch(() => undefined));
  return { log, disk, clock, again };
}

const one = (stream: number, bytes = 100): Parameters<Log['append']>[0] => [
  { stream, body: new Uint8Array(bytes) },
];

/** Counts calls of an operation on a disk. */
function counted(disk: SimDisk, wanted: string): () => number {
  let count = 0;
  disk.faults.after = (operation) => {
    if (operation === wanted) count += 1;
  };
  return () => count;
}

describe('appending', () => {
  test('records get sequences by ones from 1, and are read back whole', async () => {
    const { log } = await opened();
    const parts = [bodyOf(1, 3), new Uint8Array(), bodyOf(2, 70_000)];
    expect(log.append([{ stream: 7, note: 5, stamp: 1.5, body: parts }, ...one(8)])).toBe(1);
    expect(log.append(one(7), 'os')).toBe(3);
    expect(log.next).toBe(4);
    const record = await log.read(1);
    expect(record).toMatchObject({ stream: 7, note: 5, stamp: 1.5 });
    expect(Buffer.from(record?.body ?? []).equals(Buffer.concat(parts))).toBe(true);
    expect((await log.read(2))?.body.length).toBe(100);
    expect(await log.read(4)).toBeUndefined();
  });

  test('progress tells what is written and what is synced, at the level that was asked for', async () => {
    const seen: [number, number][] = [];
    const { log, disk } = await opened({ progress: (written, synced) => seen.push([written, synced]) });
    await settled();
    const syncs = counted(disk, 'sync');
    log.append(one(1), 'os');
    await settled();
    expect([log.written, log.synced, syncs()]).toEqual([1, 0, 0]);
    log.append(one(1), 'disk');
    await settled();
    expect([log.written, log.synced, syncs()]).toEqual([2, 2, 1]);
    expect(seen).toEqual([
      [1, 0],
      [2, 0],
      [2, 2],
    ]);
  });

  test('what is of level memory is written when its time has come, and never synced', async () => {
    const { log, disk, clock } = await opened();
    await settled();
    const writes = counted(disk, 'write');
    log.append(one(1), 'memory');
    await settled();
    expect([log.written, writes()]).toEqual([0, 0]);
    clock.advance(20);
    await settled();
    expect([log.written, log.synced, writes()]).toEqual([1, 0, 1]);
  });

  test('one sync for all that arrived meanwhile', async () => {
    const { log, disk } = await opened();
    const syncs = counted(disk, 'sync');
    for (let turn = 0; turn < 50; turn += 1) {
      for (let index = 0; index < 20; index += 1) log.append(one(1));
      await Promise.resolve();
    }
    await log.commit();
    expect(log.synced).toBe(1000);
    // A turn of the simulated disk takes some of the loop's turns above.
    expect(syncs()).toBeLessThan(40);
    expect(await log.read(1000)).toBeDefined();
  });

  test('limits are errors before anything is taken', async () => {
    const { log } = await opened({ pendingBytesMax: 1 << 20 });
    const huge = new Uint8Array(1 << 20);
    const tooLarge = [{ stream: 1, body: Array.from({ length: 2048 }, () => huge) }];
    expect(() => log.append(tooLarge)).toThrow(expect.objectContaining({ code: 'NARU_TOO_LARGE' }));
    const manyStreams = [{ stream: 1, extraStreams: Array.from({ length: 65_536 }, () => 1), body: huge }];
    expect(() => log.append(manyStreams)).toThrow(expect.objectContaining({ code: 'NARU_INVALID_ARGUMENT' }));
    log.append(one(1, 900_000));
    expect(() => log.append(one(1, 900_000))).toThrow(
      expect.objectContaining({ code: 'NARU_FULL', retryable: true }),
    );
    expect(log.next).toBe(2);
    await log.commit();
    expect(log.append(one(1, 900_000))).toBe(2);
    await expect(log.writeSnapshot('../x', huge)).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
    await expect(opened({ segmentBytes: 5000 })).rejects.toMatchObject({ code: 'NARU_INVALID_ARGUMENT' });
  });

  test('a record larger than a segment gets a segment of its size', async () => {
    const { log, again } = await opened();
    log.append(one(1, 10));
    log.append([{ stream: 1, body: bodyOf(2, 1_000_000) }]);
    log.append(one(1, 10));
    await log.close();
    const next = await again();
    expect(Buffer.from((await next.read(2))?.body ?? []).equals(Buffer.from(bodyOf(2, 1_000_000)))).toBe(
      true,
    );
    await next.close();
  });
});

describe('a closed log', () => {
  test('closes twice, refuses everything else, and lets go of its folder', async () => {
    const { log, again } = await opened();
    await expect(again()).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    log.append(one(1));
    await Promise.all([log.close(), log.close()]);
    expect(() => log.append(one(1))).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
    expect(() => log.remove(1, 1)).toThrow(expect.objectContaining({ code: 'NARU_CLOSED' }));
    await expect(log.commit()).rejects.toMatchObject({ code: 'NARU_CLOSED' });
    const next = await again();
    expect(next.report).toMatchObject({ isClean: true, records: 1, tornBytes: 0 });
    await next.close();
  });

  test('opening and closing again and again adds nothing', async () => {
    const { log, again } = await opened();
    log.append(one(1));
    await log.close();
    const sizes = new Set<number>();
    for (let round = 0; round < 5; round += 1) {
      const next = await again();
      expect(next.report.isClean).toBe(true);
      sizes.add(next.stats.usedBytes);
      await next.close();
    }
    expect(sizes.size).toBe(1);
  });
});

describe('removing', () => {
  test('a record lives until every one of its streams has removed it', async () => {
    const { log, again } = await opened();
    log.append([{ stream: 1, extraStreams: [2, 3], body: bodyOf(1, 10) }]);
    log.remove(2, 1);
    await log.commit();
    log.remove(1, 1);
    log.remove(1, 1);
    log.remove(4, 1);
    await log.close();
    const live: string[] = [];
    const next = await again({ live: (sequence, stream) => live.push(`${stream}/${sequence}`) });
    expect(live).toEqual(['3/1']);
    next.remove(3, 1);
    expect(next.stats.records).toBe(0);
    await next.close();
  });

  test('a removal before its record is written counts', async () => {
    const { log, again } = await opened();
    log.remove(1, log.append(one(1)));
    await log.close();
    const next = await again();
    expect(next.report.records).toBe(0);
    await next.close();
  });

  test('a log that is filled and emptied over and over stays small, one record that stays included', async () => {
    const { log, disk, again } = await opened();
    const kept = log.append([{ stream: 9, body: bodyOf(1, 500) }]);
    let largest = 0;
    for (let round = 0; round < 60; round += 1) {
      const first = log.append(Array.from({ length: 100 }, () => one(1, 1000)).flat());
      for (let each = 0; each < 100; each += 1) log.remove(1, first + each);
      await log.commit();
      await settled();
      largest = Math.max(largest, disk.usedBytes);
    }
    // 6 MB went through; segments of 64 KiB, those of a batch twice as large, one spare, one being written anew.
    expect(largest).toBeLessThan(1_000_000);
    expect(log.stats.rewrites).toBeGreaterThan(0);
    expect(Buffer.from((await log.read(kept))?.body ?? []).equals(Buffer.from(bodyOf(1, 500)))).toBe(true);
    await log.close();
    const next = await again();
    expect(next.report.records).toBe(1);
    await next.close();
  });

  test('what lives is at least about half of what is used, in whatever order records go', async () => {
    const { log } = await opened();
    const records: number[] = [];
    for (let round = 0; round < 40; round += 1) {
      const first = log.append(Array.from({ length: 60 }, () => one(1, 700)).flat());
      for (let each = 0; each < 60; each += 1) records.push(first + each);
      // Every second one, then every fourth of the older ones.
      for (const sequence of records.splice(0, records.length)) {
        if (sequence % 4 === round % 4) log.remove(1, sequence);
        else records.push(sequence);
      }
      await log.commit();
      await settled();
    }
    for (let turn = 0; turn < 20; turn += 1) await settled();
    const { usedBytes, liveBytes } = log.stats;
    expect(usedBytes).toBeLessThan(2 * liveBytes + 4 * (1 << 17));
    for (const sequence of records) expect(await log.read(sequence)).toBeDefined();
  });
});

describe('a snapshot', () => {
  test('is replaced as a whole, and damage to it is named', async () => {
    const { log, disk } = await opened();
    expect(await log.readSnapshot('state')).toBeUndefined();
    await Promise.all([log.writeSnapshot('state', bodyOf(1, 11)), log.writeSnapshot('state', bodyOf(2, 0))]);
    expect(await log.readSnapshot('state')).toEqual(new Uint8Array());
    await log.writeSnapshot('state', bodyOf(3, 1001));
    expect(await log.readSnapshot('state')).toEqual(bodyOf(3, 1001));
    const bytes = disk.bytesOf('state.snap');
    bytes[500] = (bytes[500] as number) ^ 1;
    await expect(log.readSnapshot('state')).rejects.toThrow('state.snap at byte 64');
  });
});

test('removals that come one by one, and nothing else, go on in the next segment', async () => {
  for (const isSynced of [false, true]) {
    for (let bytes = 40; bytes < 700; bytes += 33) {
      const { log, clock } = await opened({});
      const count = 900;
      for (let record = 0; record < count; record += 1) log.append(one(1, bytes));
      await log.commit();
      const { segments } = log.stats;
      for (let sequence = 1; sequence <= count && log.stats.segments === segments; sequence += 1) {
        log.remove(1, sequence);
        if (isSynced) await log.commit();
        else {
          clock.advance(20);
          await settled(20);
        }
      }
      expect([bytes, isSynced, log.failure]).toEqual([bytes, isSynced, undefined]);
      await log.close();
    }
  }
}, 60_000);

describe('a full disk', () => {
  test('what is appended waits, removals go on, and it goes on by itself when there is room', async () => {
    const full: boolean[] = [];
    const { log, disk, clock } = await opened({ full: (isFull) => full.push(isFull) });
    await settled();
    disk.capacityBytes = disk.usedBytes;
    const level: Level = 'disk';
    let sent = 0;
    while (!log.isFull || log.pendingBytes === 0) {
      log.append(one(1, 1000), level);
      sent += 1;
      await settled();
    }
    expect(full).toEqual([true]);
    const before = log.synced;
    // Less than all is confirmed; nothing is lost, nothing fails.
    expect(before).toBeLessThan(sent);
    for (let sequence = 1; sequence <= 20; sequence += 1) log.remove(1, sequence);
    clock.advance(20);
    await settled();
    expect(log.failure).toBeUndefined();
    expect((await log.read(30))?.body.length).toBe(1000);
    disk.capacityBytes = Infinity;
    clock.advance(500);
    await settled();
    expect(full).toEqual([true, false]);
    expect(log.synced).toBe(sent);
  });

  test.each(['EMFILE', 'ENFILE'])(
    '%s is the same: it goes on when there are descriptors again',
    async (code) => {
      const full: boolean[] = [];
      const { log, disk, clock } = await opened({ full: (isFull) => full.push(isFull) });
      await settled();
      disk.faults.before = (operation, name) => {
        if (['create', 'open'].includes(operation)) throw new SimError(code, name);
      };
      let sent = 0;
      while (!log.isFull || log.pendingBytes === 0) {
        log.append(one(1, 1000));
        sent += 1;
        // What is dropped meanwhile makes work for the folder too.
        log.remove(1, sent - 1);
        await settled();
      }
      expect([log.failure, log.synced < sent]).toEqual([undefined, true]);
      disk.faults.before = undefined;
      clock.advance(500);
      await settled();
      expect([full, log.failure, log.synced]).toEqual([[true, false], undefined, sent]);
      await log.close();
    },
  );

  test('an owner that sends nothing while it is full is told when there is room', async () => {
    const full: boolean[] = [];
    const { log, disk, clock } = await opened({ full: (isFull) => full.push(isFull) });
    await settled();
    disk.capacityBytes = disk.usedBytes;
    while (!log.isFull) {
      log.append(one(1, 1000));
      await settled();
    }
    expect(log.synced).toBe(log.next - 1);
    clock.advance(500);
    await settled();
    disk.capacityBytes = Infinity;
    clock.advance(500);
    await settled();
    expect(full).toEqual([true, false]);
  });

  test('room that removals free is enough to go on', async () => {
    const { log, disk, clock } = await opened();
    await settled();
    disk.capacityBytes = disk.usedBytes + (1 << 17);
    let sent = 0;
    while (!log.isFull || log.pendingBytes === 0) {
      log.append(one(1, 1000));
      sent += 1;
      await settled();
    }
    for (let sequence = 1; sequence <= log.synced; sequence += 1) log.remove(1, sequence);
    for (let turn = 0; turn < 5 && log.synced < sent; turn += 1) {
      clock.advance(500);
      await settled(2000);
    }
    expect(log.synced).toBe(sent);
    expect(log.isFull).toBe(false);
  });

  test('closing does not wait for room: it fails, and what was confirmed is there', async () => {
    const { log, disk, again } = await opened();
    await settled();
    disk.capacityBytes = disk.usedBytes;
    while (!log.isFull || log.pendingBytes === 0) {
      log.append(one(1, 1000));
      await settled();
    }
    const confirmed = log.synced;
    await expect(log.close()).rejects.toMatchObject({ code: 'NARU_STORAGE' });
    disk.capacityBytes = Infinity;
    const next = await again();
    expect(next.report.records).toBeGreaterThanOrEqual(confirmed);
    await next.close();
  });
});

describe('a disk that fails', () => {
  test('the first failed sync stops the log for good, and is never tried again', async () => {
    const failed: unknown[] = [];
    const { log, disk, again } = await opened({ failed: (error) => failed.push(error) });
    log.append(one(1));
    await log.commit();
    await settled();
    let syncs = 0;
    disk.faults.before = (operation, name) => {
      if (operation !== 'sync') return;
      syncs += 1;
      if (syncs > 1) return;
      // As Linux does: the pages are clean afterwards, and not on the disk.
      disk.forgetDirty(name);
      throw new SimError('EIO', name);
    };
    log.append(one(1));
    await expect(log.commit()).rejects.toMatchObject({
      code: 'NARU_STORAGE',
      message: expect.stringContaining('EIO'),
    });
    expect(failed).toHaveLength(1);
    expect(log.synced).toBe(1);
    expect(() => log.append(one(1))).toThrow(expect.objectContaining({ code: 'NARU_STORAGE' }));
    await log.close().catch(() => undefined);
    expect(syncs).toBe(1);

    // The next start sees the second record in the system's memory, and does not believe that it is on the disk.
    const next = await again();
    expect(next.report).toMatchObject({ isClean: false, records: 2 });
    expect(next.synced).toBe(2);
    const afterwards = await Log.open(
      disk.cut(() => 0.1),
      optionsFor(new SimClock()),
    );
    expect(afterwards.report.records).toBe(2);
    await afterwards.close();
  });

  test('an error at any operation is NARU_STORAGE or told, and nothing confirmed is lost', async () => {
    for (let at = 1; at < 160; at += 1) {
      const disk = new SimDisk();
      disk.faults.before = (operation, name) => {
        if (disk.operations === at && operation !== 'read') throw new SimError('EIO', name);
      };
      let confirmed = 0;
      let log: Log | undefined;
      try {
        log = await Log.open(disk, optionsFor(new SimClock()));
        for (let index = 0; index < 60; index += 1) {
          log.append(one(1, 3000));
          await log.commit();
          confirmed = log.synced;
        }
      } catch (error) {
        expect(isNaruError(error, 'NARU_STORAGE'), String(error)).toBe(true);
      }
      await log?.close().catch((error: unknown) => expect(isNaruError(error), String(error)).toBe(true));
      disk.faults.before = undefined;
      const next = await Log.open(disk.kill(), optionsFor(new SimClock()));
      expect(next.report.records).toBeGreaterThanOrEqual(confirmed);
      await next.close();
    }
  });
});
