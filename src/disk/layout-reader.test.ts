// A reader in Python that knows a live log from docs/internals/log.md alone: it gets its offsets from the document's tables, checks every
// checksum, and finds every record that lives.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLog } from './index.ts';

/** Offsets of a section of the document, by name. */
function table(section: string): Record<string, number> {
  const text = readFileSync(new URL('../../docs/internals/log.md', import.meta.url), 'utf8');
  const part = text.split(`### ${section}\n`)[1]?.split('\n## ')[0]?.split('\n### ')[0] ?? '';
  const rows = [...part.matchAll(/^\| (\d+) \| \d+ \| (\w+) \|/gm)];
  return Object.fromEntries(rows.map((row) => [row[2] ?? '', Number(row[1])]));
}

const READER = `
import glob, json, struct, sys
doc = json.loads(sys.argv[2])
H, R, M, E = doc['H'], doc['R'], doc['M'], doc['E']
table = []
for n in range(256):
    for _ in range(8): n = n >> 1 ^ 0x82f63b78 if n & 1 else n >> 1
    table.append(n)
def crc(data, seed=0):
    c = seed ^ 0xffffffff
    for b in data: c = c >> 8 ^ table[(c ^ b) & 255]
    return c ^ 0xffffffff
up = lambda n: (n + 7) // 8 * 8
def varints(data):
    value = shift = 0
    for b in data:
        value |= (b & 127) << shift
        shift += 7
        if b < 128:
            yield value
            value = shift = 0
live, marks, known = {}, [], set()
for name in sorted(glob.glob(sys.argv[1] + '/*.seg')):
    m = open(name, 'rb').read()
    u32 = lambda at: struct.unpack_from('<I', m, at)[0]
    assert m[0:8] == b'NARUSLOG' and u32(H['versionMajor']) == 1 and u32(H['requiredFeatures']) == 0
    assert u32(H['crc']) == crc(m[:H['crc']])
    seed = crc(m[H['logId']:H['logId'] + 16])
    at, chain, number = 512, 0, u32(H['number'])
    known.add(number)
    while m[at + R['kind']]:
        kind, extra = struct.unpack_from('<HH', m, at + R['kind'])
        head = 40 + up(4 * extra)
        assert u32(at + R['crc']) == crc(m[at + R['kind']:at + head], seed), (name, at)
        body = m[at + head:at + head + u32(at + R['bodyBytes'])]
        assert u32(at + R['bodyCrc']) == crc(body, seed), (name, at)
        sequence, stamp = struct.unpack_from('<Qd', m, at + R['sequence'])
        stream, note = u32(at + R['stream']), u32(at + R['note'])
        if kind == 1:
            for s in (stream,) + struct.unpack_from('<%dI' % extra, m, at + 40):
                live[s, sequence] = [s, sequence, note, stamp, body.decode()]
        elif kind == 2:
            numbers, before = list(varints(body)), 0
            for z, length in zip(numbers[::2], numbers[1::2]):
                before += -(z + 1) // 2 if z & 1 else z // 2
                for s in range(before, before + length): live.pop((stream, s), None)
        elif kind == 3:
            assert note == chain
            marks.append([number, at, struct.unpack_from('<I', body, M['syncedNumber'])[0], struct.unpack_from('<I', body, M['syncedBytes'])[0]])
        elif kind == 4:
            manifest = [struct.unpack_from('<I', body, e + E['number'])[0] for e in range(0, len(body), 32)]
            assert set(manifest) <= known
        chain = (chain * 31 + u32(at + R['crc'])) & 0xffffffff
        at += head + up(len(body))
print(json.dumps({'live': sorted(live.values()), 'marks': marks}))
`;

test('a Python program reads a live log from the document alone', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'naru-log-'));
  const log = await openLog(folder, { segmentBytes: 1 << 16 });
  try {
    const expected: unknown[] = [];
    for (let index = 1; index <= 300; index += 1) {
      const body = `message ${index} `.repeat(index % 40);
      const extraStreams = index % 4 === 0 ? [7, 8] : [];
      const stream = index % 3;
      log.append([{ stream, extraStreams, note: index, stamp: index + 0.5, body: Buffer.from(body) }]);
      if (index % 50 === 0) await log.commit('disk');
      for (const each of [stream, ...extraStreams]) {
        if (index % 5 === 0 && each === stream) log.remove(each, index);
        else expected.push([each, index, index, index + 0.5, body]);
      }
    }
    await log.commit('disk');
    expect(log.stats.segments).toBeGreaterThan(1);
    const doc = JSON.stringify({
      H: table('Header'),
      R: table('Record'),
      M: table('Mark'),
      E: table('Segment entry'),
    });
    const { stdout, stderr, status } = spawnSync('python3', ['-c', READER, folder, doc], {
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    const read = JSON.parse(stdout) as { live: number[][]; marks: number[][] };
    const order = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
    expect(order(read.live)).toEqual(order(expected));
    // Every mark tells of no more than what stands before it.
    for (const [number = 0, at = 0, syncedNumber = 0, syncedBytes = 0] of read.marks) {
      expect(syncedNumber < number || (syncedNumber === number && syncedBytes <= at)).toBe(true);
    }
    expect(read.marks.length).toBeGreaterThan(5);
  } finally {
    await log.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
