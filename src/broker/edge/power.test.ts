// Real losses of power under a broker: its folder lies on ext4 over a loop device that is shut down, while producers wait for confirms
// and consumers ack. The same notices when strace makes every sync do nothing. Needs root, mkfs.ext4 and loop devices.
// Longer: NARU_POWER_ROUNDS (cuts), NARU_POWER_SEED (the moments).

import { spawnSync } from 'node:child_process';
import { setTimeout as after } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FLUSH_JOURNAL, FLUSH_NOTHING, LoopDisk, obstacle } from '../../disk/loop-disk.fixture.ts';
import { seeded } from '../../log/sim-disk.fixture.ts';
import { BrokerProcess } from './broker-process.fixture.ts';
import { Ledger, loadOn, settle } from './ledger.fixture.ts';

const ROUNDS = Number(process.env['NARU_POWER_ROUNDS'] ?? 4);
const SEED = Number(process.env['NARU_POWER_SEED'] ?? 1);
/** A broker's segments have 32 MiB, and one is made ahead. */
const DISK_BYTES = 256 << 20;
/** Every sync returns 0 and does nothing. */
const NO_SYNC =
  'strace -f -qq -o /dev/null -e trace=fdatasync,fsync -e inject=fdatasync,fsync:retval=0'.split(' ');

const why = obstacle();
const canTrace = spawnSync('strace', ['-f', '-qq', '-o', '/dev/null', 'true']).status === 0;

describe.skipIf(why !== '')(`loss of power under a broker ${why === '' ? '' : `(skipped: ${why})`}`, () => {
  let disk: LoopDisk;
  beforeAll(() => {
    disk = new LoopDisk(DISK_BYTES);
  });
  afterAll(() => disk.end());

  /** A broker works until the power goes; the next one finds what it left, and goes on with it. */
  async function workAndCut(ledger: Ledger, liveMs: number, flag: string, wrapper?: string[]): Promise<void> {
    await using broker = await BrokerProcess.start(disk.folder, 'disk', wrapper);
    expect(broker.port).toBeGreaterThan(0);
    const confirmed = new Promise<void>((resolve) => {
      ledger.onConfirm = resolve;
    });
    const work = loadOn(broker.url, ledger);
    await Promise.race([confirmed, work]);
    // How long it lives is chance, not a deadline: nothing waits for this.
    await after(liveMs);
    await broker.kill();
    await work;
    disk.cut(flag);
  }

  async function settleAll(ledger: Ledger): Promise<void> {
    await using last = await BrokerProcess.start(disk.folder);
    // Whether it could start at all is for the caller: nothing answers on port 0.
    await settle(last.url, ledger);
  }

  test(
    `${ROUNDS} times at random, in both ways: what was confirmed is there`,
    async () => {
      const random = seeded(SEED);
      const ledger = new Ledger();
      disk.begin();
      for (let round = 0; round < ROUNDS; round += 1) {
        const flag = round % 2 === 0 ? FLUSH_NOTHING : FLUSH_JOURNAL;
        await workAndCut(ledger, Math.floor(random() * 400), flag);
        expect([SEED, round, ledger.wrong]).toEqual([SEED, round, []]);
      }
      await settleAll(ledger);
      expect(ledger.wrong).toEqual([]);
      expect(ledger.confirmed.size).toBeGreaterThan(0);
      disk.unmount();
    },
    60_000 + ROUNDS * 10_000,
  );

  test.skipIf(!canTrace)(
    `the same notices when sync does nothing${canTrace ? '' : ' (skipped: needs strace)'}`,
    async () => {
      const found: unknown[] = [];
      for (let round = 0; round < 5 && found.length === 0; round += 1) {
        const ledger = new Ledger();
        disk.begin();
        await workAndCut(ledger, 100, FLUSH_NOTHING, NO_SYNC);
        // What is left may not even open: that is noticed too.
        await settleAll(ledger).catch((error: unknown) => found.push(error));
        found.push(...ledger.wrong);
        disk.unmount();
      }
      expect(found.length).toBeGreaterThan(0);
    },
    120_000,
  );
});
