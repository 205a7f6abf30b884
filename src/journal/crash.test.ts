// file:///folder under a loss of power and a kill at every operation of its disk, a disk that is full, and one that fails: on the
// simulated disk. NARU_JOURNAL_SEEDS makes it longer.

import { describe, expect, test } from 'vitest';
import { settled } from '../log/clock.fixture.ts';
import { seeded, SimDisk, SimError } from '../log/sim-disk.fixture.ts';
import { drain, numberIn, Run, Story, type StoryOptions } from './story.fixture.ts';

const SEEDS = Number(process.env['NARU_JOURNAL_SEEDS'] ?? 1);
const STEPS = 40;
type How = 'power' | 'kill';

/** Plays a story until the n-th operation of the disk. @returns false when it ended before */
async function playUntil(disk: SimDisk, story: Story, operation: number): Promise<boolean> {
  const isCut = new Promise<boolean>((resolve) => {
    disk.faults.after = () => {
      if (disk.operations < operation) return;
      disk.isOff = true;
      resolve(true);
    };
  });
  const isDone = story.play(disk, STEPS).then(
    () => false,
    (error: unknown) => {
      // Its next operation would wait for ever.
      if (disk.isOff) return true;
      throw error;
    },
  );
  return Promise.race([isCut, isDone]);
}

/** One crash. @returns what is wrong afterwards, and whether the story had come so far */
async function crashAt(
  options: StoryOptions,
  how: How,
  operation: number,
  prepare: (disk: SimDisk) => void = () => undefined,
): Promise<[wrong: string[], isCut: boolean]> {
  const disk = new SimDisk();
  prepare(disk);
  const story = new Story(options);
  const isCut = await playUntil(disk, story, operation);
  const { placed, durable } = story;
  const left = how === 'power' ? disk.cut(seeded(options.seed * 7919 + operation)) : disk.kill();
  const boot = how === 'power' ? 'second boot' : 'first boot';
  const run = await Run.open(left, options, boot);
  const wrong = story.wrongWith(await drain(run), how === 'power' ? durable : placed);
  // It goes on, and what it had then is there after a clean stop too.
  const next = story.sent + 1;
  run.send(next, 'durable', 10);
  await settled();
  if (run.journal.durable !== run.journal.taken) wrong.push('nothing can be sent any more');
  await run.close();
  const again = await Run.open(left, options, boot);
  const found = (await drain(again)).map(numberIn);
  if (found.length !== 1 || found[0] !== next) wrong.push(`then ${found.join()} instead of ${next}`);
  await again.close();
  return [wrong.map((text) => `${how}, seed ${options.seed}, operation ${operation}: ${text}`), isCut];
}

describe.each(['one', 'all'] as const)('deliver %s', (deliver) => {
  test.each(['power', 'kill'] as const)(
    'a loss by %s at any operation loses nothing within its receipt, and brings nothing back that was noted as settled',
    async (how) => {
      for (let seed = 1; seed <= SEEDS; seed += 1) {
        for (let operation = 1; ; operation += 1) {
          const [wrong, isCut] = await crashAt({ deliver, seed }, how, operation);
          expect(wrong).toEqual([]);
          if (!isCut) break;
        }
      }
    },
    300_000,
  );

  test('this harness notices a disk that does not sync', async () => {
    const all: string[] = [];
    for (let operation = 20; all.length === 0; operation += 1) {
      const lies = (disk: SimDisk): void => {
        // The folder is there; from then on nothing is kept.
        disk.faults.before = () => {
          disk.ignoresSync = disk.operations > 15;
        };
      };
      const [wrong, isCut] = await crashAt({ deliver, seed: 1 }, 'power', operation, lies).catch(
        (error: unknown): [string[], boolean] => [[String(error)], true],
      );
      all.push(...wrong);
      if (!isCut) break;
    }
    expect(all).not.toEqual([]);
  }, 120_000);
});

const QUEUE: StoryOptions = { deliver: 'one', seed: 3 };

describe('a disk that is full', () => {
  test('nothing counts as placed that is not, taking goes on, and with room again all of it is there, in order', async () => {
    const disk = new SimDisk();
    const run = await Run.open(disk, QUEUE, 'boot');
    for (let number = 1; number <= 20; number += 1) run.send(number, 'durable', 500);
    await settled();
    expect(run.journal.durable).toBe(20);
    // What the segment has preallocated is still there: it is filled first.
    disk.capacityBytes = disk.usedBytes;
    let sent = 20;
    while (run.journal.room().messages > 0 && sent < 2_000) {
      sent += 1;
      expect(run.send(sent, 'durable', 500)).toBe('taken');
      await settled(20);
    }
    expect(run.send(sent + 1, 'durable', 500)).toBe('full');
    expect(run.errors).toEqual([]);
    const taken = run.take(10);
    expect(taken.map(numberIn)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    for (const { token } of taken) run.subscription.settle(token, 'ack', 0);
    disk.capacityBytes = Infinity;
    for (let turn = 0; turn < 20 && run.rooms === 0; turn += 1) {
      run.clock.advance(1_000);
      await settled();
    }
    expect(run.rooms).toBe(1);
    expect(run.journal.durable).toBe(sent);
    const rest = await drain(run);
    expect(rest.map(numberIn)).toEqual(Array.from({ length: sent - 10 }, (_, at) => at + 11));
    await run.close();
  }, 60_000);

  test('a kill while it is full keeps what had a receipt', async () => {
    const disk = new SimDisk();
    const run = await Run.open(disk, QUEUE, 'boot');
    disk.capacityBytes = disk.usedBytes;
    let sent = 0;
    while (run.journal.room().messages > 0 && sent < 2_000) {
      sent += 1;
      run.send(sent, 'durable', 500);
      await settled(20);
    }
    const { durable } = run.journal;
    expect(durable).toBeGreaterThan(0);
    const left = disk.kill();
    left.capacityBytes = Infinity;
    const next = await Run.open(left, QUEUE, 'boot');
    const found = (await drain(next)).map(numberIn);
    expect(found.slice(0, durable)).toEqual(Array.from({ length: durable }, (_, at) => at + 1));
    await next.close();
  }, 60_000);
});

describe('a disk that fails', () => {
  test.each(['write', 'sync'] as const)(
    'EIO at a %s ends the mailbox with NARU_STORAGE; what had a receipt is there at the next start',
    async (failing) => {
      for (let at = 1; at <= 6; at += 1) {
        const disk = new SimDisk();
        const run = await Run.open(disk, QUEUE, 'boot');
        let count = 0;
        disk.faults.before = (operation) => {
          if (operation === failing) count += 1;
          if (operation === failing && count >= at) throw new SimError('EIO', 'the device');
        };
        let sent = 0;
        for (; sent < 100 && run.errors.length === 0; sent += 10) {
          for (let number = sent + 1; number <= sent + 10; number += 1) run.send(number, 'durable', 100);
          await settled();
        }
        const { durable } = run.journal;
        expect(run.errors[0]).toMatchObject({
          code: 'NARU_STORAGE',
          message: expect.stringContaining('EIO'),
        });
        expect(durable).toBeLessThan(sent);
        expect(() => run.send(sent + 1, 'durable', 100)).toThrow(/EIO/);
        await expect(run.journal.flush('durable')).rejects.toMatchObject({ code: 'NARU_STORAGE' });
        const next = await Run.open(disk.cut(seeded(at)), QUEUE, 'next boot');
        const found = (await drain(next)).map(numberIn);
        expect(found.slice(0, durable)).toEqual(Array.from({ length: durable }, (_, each) => each + 1));
        await next.close();
      }
    },
    60_000,
  );
});

describe('damage', () => {
  test('a flipped bit anywhere in a batch is found, with its file named', async () => {
    const disk = new SimDisk();
    const run = await Run.open(disk, QUEUE, 'boot');
    for (let number = 1; number <= 5; number += 1) run.send(number, 'durable', 40);
    await settled();
    await run.close();
    const name = disk.names.find((each) => each.endsWith('.seg')) ?? '';
    const bytes = Buffer.from(disk.bytesOf(name));
    const start = bytes.indexOf('sender');
    const end = bytes.lastIndexOf('5       ');
    expect(start).toBeGreaterThan(0);
    for (let at = start - 5; at < end; at += 1) {
      const copy = disk.copy();
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] as number) ^ (1 << (at % 8));
      copy.put(name, damaged);
      await expect(Run.open(copy, QUEUE, 'boot'), `byte ${at}`).rejects.toMatchObject({
        code: 'NARU_CORRUPT',
        message: expect.stringContaining(name),
      });
    }
  }, 60_000);
});
