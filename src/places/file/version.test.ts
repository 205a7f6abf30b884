// What makes a value a new one, and when it is whole, told from stat(2) alone.

import { describe, expect, test } from 'vitest';
import { Missed } from './notices.ts';
import { type FileVersion, Judge, QUIET_MS } from './version.ts';

const MS = 1_000_000n;
const NOW = 1_000_000;

function version(changes: Partial<FileVersion> = {}): FileVersion {
  const at = BigInt(NOW - 5) * MS;
  return { dev: 1n, ino: 7n, size: 10n, mtimeNs: at, ctimeNs: at, ...changes };
}

describe('a look at a file', () => {
  test('trusts what was renamed after it was written, and what was left alone', () => {
    const renamed = version({ ctimeNs: BigInt(NOW) * MS });
    expect(new Judge().judge(renamed, NOW, 0)).toBe('new');
    expect(new Judge().judge(version(), NOW + QUIET_MS, 0)).toBe('new');
  });

  test('does not trust what may still be written, until two looks find it untouched for long enough', () => {
    const judge = new Judge();
    // The clock stands: only the steady one tells that time went by.
    expect(judge.judge(version(), NOW, 100)).toBe('unsettled');
    expect(judge.judge(version(), NOW, 100 + QUIET_MS - 1)).toBe('unsettled');
    expect(judge.judge(version({ size: 11n }), NOW, 100 + QUIET_MS)).toBe('unsettled');
    expect(judge.judge(version({ size: 11n }), NOW, 100 + 2 * QUIET_MS)).toBe('new');
  });

  test('waits for an empty file, which is what a writer in place begins with', () => {
    const empty = version({ size: 0n, ctimeNs: BigInt(NOW) * MS });
    expect(new Judge().judge(empty, NOW, 0)).toBe('unsettled');
    expect(new Judge().judge(empty, NOW + QUIET_MS, 0)).toBe('new');
  });

  test('knows the value it read, whatever is done to its mode and names, until it is written or replaced', () => {
    const judge = new Judge();
    judge.know(version());
    const later = NOW + 1_000;
    expect(judge.judge(version(), later, 0)).toBe('known');
    expect(judge.judge(version({ ctimeNs: BigInt(later) * MS }), later, 0)).toBe('known');
    expect(judge.judge(version({ ino: 8n }), later, 0)).toBe('new');
    expect(judge.judge(version({ dev: 2n }), later, 0)).toBe('new');
    expect(judge.judge(version({ mtimeNs: BigInt(NOW) * MS }), later, 0)).toBe('new');
    judge.know(undefined);
    expect(judge.judge(version(), later, 0)).toBe('new');
  });

  test('a clock that was set back does not make a file look old', () => {
    const judge = new Judge();
    expect(judge.judge(version(), NOW - 3_600_000, 0)).toBe('unsettled');
    expect(judge.judge(version(), NOW - 3_600_000, QUIET_MS)).toBe('new');
  });
});

describe('missed values', () => {
  test('are those that came and were not read, each told once', () => {
    const missed = new Missed();
    missed.read();
    expect(missed.settle(3)).toBe(2);
    expect(missed.settle(3)).toBe(0);
    // Read before its notice came.
    missed.read();
    expect(missed.settle(3)).toBe(0);
    expect(missed.settle(4)).toBe(0);
    expect(missed.settle(6)).toBe(2);
    expect(missed.total).toBe(4);
  });

  test('one that was fetched and replaced unseen is told at once, and not again', () => {
    const missed = new Missed();
    missed.read();
    missed.lose(true);
    missed.read();
    expect(missed.settle(2)).toBe(0);
    missed.read();
    missed.unread();
    missed.read();
    expect(missed.settle(4)).toBe(1);
    // One that was there from the start never arrived.
    const first = new Missed();
    first.lose(false);
    first.read();
    expect(first.settle(1)).toBe(0);
    expect(first.settle(2)).toBe(1);
  });
});
