// What the writer process of the crash tests was told, and what its folder holds afterwards.

import { expect } from 'vitest';
import type { Log } from '../log/index.ts';
import { openLog } from './index.ts';

export interface Told {
  readonly confirmed: number;
  readonly removed: number;
  readonly snapshot: number | undefined;
}

/** The last word of each kind; a line that was cut off does not count. */
export function toldBy(output: string): Told {
  const last = (word: string): number | undefined => {
    const lines = [...output.matchAll(new RegExp(`^${word} (\\d+)\\n`, 'gm'))];
    return lines.length === 0 ? undefined : Number(lines.at(-1)?.[1]);
  };
  return { confirmed: last('confirmed') ?? 0, removed: last('removed') ?? 0, snapshot: last('snapshot') };
}

/** Opens the folder and checks everything against what was told. */
export async function checkAftermath(folder: string, told: Told, where: string): Promise<void> {
  const live = new Set<number>();
  const log: Log = await openLog(folder, { segmentBytes: 1 << 16, live: (sequence) => live.add(sequence) });
  try {
    expect(log.next, where).toBeGreaterThan(told.confirmed);
    for (let sequence = 1; sequence < log.next; sequence += 1) {
      const isLive = live.has(sequence);
      // The writer removes in order, and leaves every sixteenth.
      const mayBeGone = sequence % 16 !== 0;
      if (!isLive && !mayBeGone) throw new Error(`${where}: ${sequence} is lost`);
      if (isLive && mayBeGone && sequence <= told.removed) throw new Error(`${where}: ${sequence} is back`);
      if (!isLive) continue;
      const record = await log.read(sequence);
      if (
        record === undefined ||
        record.body.length !== 1500 ||
        record.body.some((byte) => byte !== (sequence & 255))
      ) {
        throw new Error(`${where}: ${sequence} has another body`);
      }
    }
    // Gone is only a run from the begin on, but for those that stay.
    const removed = Array.from({ length: log.next - 1 }, (_, index) => index + 1).filter(
      (each) => each % 16 !== 0 && !live.has(each),
    );
    const firstLive = Array.from({ length: log.next - 1 }, (_, index) => index + 1).find(
      (each) => each % 16 !== 0 && live.has(each),
    );
    expect(
      removed.every((each) => firstLive === undefined || each < firstLive),
      `${where}: a hole`,
    ).toBe(true);
    const snapshot = await log.readSnapshot('state');
    if (told.snapshot !== undefined) expect(snapshot?.length, where).toBe(1500);
    log.append([{ stream: 2, body: new Uint8Array(10) }]);
    await log.commit('disk');
  } finally {
    await log.close();
  }
}
