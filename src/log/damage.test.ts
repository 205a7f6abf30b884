// Damage to any byte of any file is detected and named, or it changes nothing: never a wrong body, a silent hole, a record that is back.

import { describe, expect, test } from 'vitest';
import { isNaruError } from '../errors/index.ts';
import { SimClock } from './clock.fixture.ts';
import { bodyOf, type Filled, filled, optionsFor, readAll } from './filled.fixture.ts';
import { checkLog, type Damage, Log } from './index.ts';
import { seeded, SimDisk } from './sim-disk.fixture.ts';

/** Random damages. */
const ROUNDS = Number(process.env['NARU_RUNS'] ?? 200);

/** What became of a damaged folder: named, or as if nothing had been. Anything else is a failure. */
async function judge(
  disk: SimDisk,
  file: string,
  live: ReadonlyMap<string, number>,
): Promise<'named' | 'harmless'> {
  try {
    expect(Object.fromEntries(await readAll(disk))).toEqual(Object.fromEntries(live));
    return 'harmless';
  } catch (error) {
    if (!isNaruError(error, 'NARU_CORRUPT')) throw error;
    expect(error.message).toMatch(/\.(seg|snap) at byte \d+/);
    // What is missing names the neighbour that knows; everything else the file itself.
    if (disk.names.includes(file)) expect(error.message).toContain(file);
    return 'named';
  }
}

async function closed(count: number, bytes: number): Promise<Filled> {
  const all = await filled(count, bytes);
  await all.log.close();
  return all;
}

describe('a log that was closed', () => {
  test('one flipped bit in each byte of a small one is named, or changes nothing', async () => {
    const { disk, live } = await closed(10, 16);
    for (const file of disk.names) {
      const bytes = disk.bytesOf(file);
      // The rest is preallocated: a bit there is torn garbage, which the next test has.
      const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
      for (let at = 0; at < end; at += 1) {
        const copy = disk.copy();
        const damaged = copy.bytesOf(file);
        damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
        await judge(copy, file, live);
      }
    }
  }, 200_000);

  test('a flipped bit in what is committed is always named', async () => {
    const { disk, live } = await closed(24, 40);
    const file = '00000001.0.seg';
    // From the first record on; the log ends with a mark of its own.
    const end = Math.floor(disk.bytesOf(file).findLastIndex((byte) => byte !== 0) / 512) * 512;
    let named = 0;
    let padding = 0;
    for (let at = 512; at < end; at += 3) {
      const copy = disk.copy();
      const damaged = copy.bytesOf(file);
      damaged[at] = (damaged[at] as number) ^ 1;
      if ((await judge(copy, file, live)) === 'named') named += 1;
      else padding += 1;
    }
    // Bodies of 40 bytes need no padding; what is left is that of removals.
    expect(padding).toBeLessThan(24);
    expect(named).toBeGreaterThan(700);
  }, 200_000);

  test('bits, sectors of garbage and cuts in a log of many segments are named, or change nothing', async () => {
    const { disk, live } = await closed(900, 300);
    expect(disk.names.filter((name) => name.endsWith('.seg')).length).toBeGreaterThan(3);
    const random = seeded(7);
    const counts = { named: 0, harmless: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const copy = disk.copy();
      const file = copy.names[Math.floor(random() * copy.names.length)] as string;
      const bytes = copy.bytesOf(file);
      const at = Math.floor(random() * bytes.length);
      const fate = random();
      if (fate < 0.7) bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(random() * 8));
      else if (fate < 0.9)
        for (let each = at; each < Math.min(at + 512, bytes.length); each += 1)
          bytes[each] = Math.floor(random() * 256);
      else copy.put(file, bytes.subarray(0, at));
      counts[await judge(copy, file, live)] += 1;
    }
    expect(counts.named).toBeGreaterThan(ROUNDS / 10);
  }, 200_000);

  test('a missing, an exchanged, a doubled and an older segment are named', async () => {
    const { disk, live } = await closed(900, 300);
    const segments = disk.names.filter((name) => name.endsWith('.seg')).slice(0, -1);
    const [first = '', second = ''] = segments;
    const faults: ((copy: SimDisk) => void)[] = [
      (copy) => copy.put(second, undefined),
      (copy) => copy.put(second, disk.bytesOf(first)),
      (copy) => {
        copy.put(first, disk.bytesOf(second));
        copy.put(second, disk.bytesOf(first));
      },
    ];
    for (const fault of faults) {
      const copy = disk.copy();
      fault(copy);
      expect(await judge(copy, second, live)).toBe('named');
    }
  });

  test('a segment of an older backup is named', async () => {
    const { disk, live, log, clock } = await filled(100, 300);
    const older = disk.copy().bytesOf('00000001.0.seg').slice();
    for (let index = 0; index < 600; index += 1) {
      log.append([{ stream: 1, note: log.next, body: bodyOf(log.next, 300) }]);
    }
    await log.commit();
    clock.advance(1000);
    await log.close();
    const copy = disk.copy();
    for (const name of copy.names.filter((each) => each.endsWith('.idx'))) copy.put(name, undefined);
    copy.put('00000001.0.seg', older);
    expect(copy.names).toContain('00000002.0.seg');
    expect(await judge(copy, '00000001.0.seg', live)).toBe('named');
  });

  test('a damaged or missing index costs a scan and nothing else', async () => {
    const { disk, live } = await closed(900, 300);
    const indices = disk.names.filter((name) => name.endsWith('.idx'));
    expect(indices.length).toBeGreaterThan(2);
    const copy = disk.copy();
    copy.put(indices[0] as string, undefined);
    const bytes = copy.bytesOf(indices[1] as string);
    bytes[200] = (bytes[200] as number) ^ 4;
    expect(await judge(copy, '', live)).toBe('harmless');
    const again = disk.copy();
    again.put(indices[0] as string, undefined);
    const log = await Log.open(again, optionsFor(new SimClock()));
    expect(log.report).toMatchObject({ isClean: true, scannedSegments: 1 });
    await log.close();
  });
});

test('with damage: report the other records are told, and the damaged one with its streams', async () => {
  const { disk, live } = await closed(24, 40);
  const file = '00000001.0.seg';
  const bytes = disk.bytesOf(file);
  // The body of record 7.
  const at =
    512 +
    Buffer.from(bytes.subarray(512)).indexOf(
      Buffer.from(Uint8Array.from({ length: 40 }, (_, each) => (7 * 31 + each * 7) & 255)),
    );
  bytes[at + 3] = (bytes[at + 3] as number) ^ 16;
  await expect(Log.open(disk.copy(), optionsFor(new SimClock()))).rejects.toMatchObject({
    code: 'NARU_CORRUPT',
  });

  const damages: Damage[] = [];
  const told: string[] = [];
  const log = await Log.open(disk, {
    ...optionsFor(new SimClock()),
    damage: 'report',
    damaged: (damage) => damages.push(damage),
    live: (sequence, stream) => told.push(`${stream}/${sequence}`),
  });
  expect(log.report.damaged).toEqual([
    expect.objectContaining({ file, offset: at - 40, sequence: 7, streams: [3] }),
  ]);
  expect(told.sort()).toEqual([...live.keys()].sort());
  await expect(log.read(7)).rejects.toMatchObject({ code: 'NARU_CORRUPT' });
  expect(damages).toEqual([expect.objectContaining({ sequence: 7, streams: [3] })]);
  expect((await log.read(8))?.body.length).toBe(40);
  await log.close();
});

describe('checking a log', () => {
  test('tells every damaged body, snapshot and index, and changes nothing', async () => {
    const { disk } = await closed(900, 300);
    expect(await checkLog(disk)).toMatchObject({ isClean: true, tornBytes: 0, damaged: [] });
    const expected: string[] = [];
    for (const file of ['00000001.0.seg', '00000002.0.seg', '00000001.0.idx', 'state.snap']) {
      const bytes = disk.bytesOf(file);
      // In a body, and in the contents of the others.
      const at = file.endsWith('.seg')
        ? 512 + Buffer.from(bytes.subarray(512)).indexOf(bodyOf(file.includes('1.0') ? 1 : 300, 300)) + 9
        : 70;
      bytes[at] = (bytes[at] as number) ^ 1;
      expected.push(file);
    }
    const before = disk.names.map((name) => Buffer.from(disk.bytesOf(name)).toString('base64'));
    const { damaged } = await checkLog(disk);
    expect(damaged.map(({ file }) => file).sort()).toEqual(expected.sort());
    expect(disk.names.map((name) => Buffer.from(disk.bytesOf(name)).toString('base64'))).toEqual(before);
  });

  test('a log that is open is not checked, a folder without one is not found', async () => {
    const { disk, log } = await filled(5, 10);
    await expect(checkLog(disk)).rejects.toMatchObject({ code: 'NARU_EXISTS' });
    await log.close();
    await expect(checkLog(new SimDisk())).rejects.toMatchObject({ code: 'NARU_NOT_FOUND' });
  });
});

test('a log that was killed keeps its committed groups when garbage follows them, and counts it', async () => {
  const { disk, live } = await filled(24, 40);
  const left = disk.kill();
  const bytes = left.bytesOf('00000001.0.seg');
  // Behind the padding of the last mark.
  const end = Math.ceil((bytes.findLastIndex((byte) => byte !== 0) + 1) / 512) * 512;
  bytes.fill(0xa5, end + 104, end + 704);
  const log = await Log.open(left, optionsFor(new SimClock()));
  expect(log.report.isClean).toBe(false);
  expect(log.report.tornBytes).toBeGreaterThan(600);
  await log.close();
  expect(Object.fromEntries(await readAll(left))).toEqual(Object.fromEntries(live));
});

test('files of a later version, with unknown features, or of another log are refused', async () => {
  const { disk } = await closed(24, 40);
  const other = await closed(3, 40);
  // Header checks come before anything else is believed; another log's snapshot is known by its identity.
  other.disk.bytesOf('state.snap')[32] = 1;
  for (const [at, text] of [
    [12, 'checksum'],
    [0, 'not a file of a Naru log'],
    [8, 'byte order'],
  ] as const) {
    const copy = disk.copy();
    const bytes = copy.bytesOf('00000001.0.seg');
    bytes[at] = (bytes[at] as number) ^ 2;
    await expect(Log.open(copy, optionsFor(new SimClock()))).rejects.toThrow(text);
  }
});
