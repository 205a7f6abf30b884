// Brokers that are killed with SIGKILL at random moments under load: four producers with confirms, four consumers with acks, three
// durable queues. No confirmed message is lost, none comes from nowhere, none comes again without the mark.
// Longer: NARU_CRASH_ROUNDS (kills), NARU_CRASH_SEED (the moments).

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as after } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { seeded } from '../../log/sim-disk.fixture.ts';
import { BrokerProcess } from './broker-process.fixture.ts';
import { Ledger, loadOn, settle } from './ledger.fixture.ts';

const ROUNDS = Number(process.env['NARU_CRASH_ROUNDS'] ?? 4);
const SEED = Number(process.env['NARU_CRASH_SEED'] ?? 1);

test.each(['disk', 'os'])(
  `killed ${ROUNDS} times at random under load, at level %s`,
  async (sync) => {
    const folder = mkdtempSync(join(tmpdir(), 'naru-broker-kill-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const random = seeded(SEED);
    const ledger = new Ledger();
    for (let round = 0; round < ROUNDS; round += 1) {
      await using broker = await BrokerProcess.start(folder, sync);
      const confirmed = new Promise<void>((resolve) => {
        ledger.onConfirm = resolve;
      });
      const work = loadOn(broker.url, ledger);
      if (round % 4 > 0) await confirmed;
      // How long it lives is chance, not a deadline: nothing waits for this.
      await after(Math.floor(random() * 400));
      await broker.kill();
      await work;
      expect([round, ledger.wrong]).toEqual([round, []]);
    }
    await using last = await BrokerProcess.start(folder, sync);
    expect(last.recovered).toMatchObject({ isClean: false, damaged: [] });
    await settle(last.url, ledger);
    expect(ledger.wrong).toEqual([]);
    expect(ledger.confirmed.size).toBeGreaterThan(0);
  },
  60_000 + ROUNDS * 10_000,
);
