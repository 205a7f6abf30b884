// A reader in Python that knows a live mailbox from docs/internals/shm-layout.md alone: it gets its offsets from the document's
// tables, and finds header, participants, seats, and every message with its owner.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Delivery } from '../../mailbox/driver.ts';
import { numbered } from './peer.fixture.ts';
import { Scene, upTo } from './scene.fixture.ts';

/** Offsets of a section of the document, by name. */
function table(section: string): Record<string, number> {
  const text = readFileSync(new URL('../../../docs/internals/shm-layout.md', import.meta.url), 'utf8');
  const part = text.split(`### ${section}\n`)[1]?.split('\n## ')[0]?.split('\n### ')[0] ?? '';
  const rows = [...part.matchAll(/^\| (\d+) \| (?:\d+|length) \| (\w+) \|/gm)];
  return Object.fromEntries(rows.map((row) => [row[2] ?? '', Number(row[1])]));
}

const OFFSETS = JSON.stringify({
  H: table('Header'),
  P: table('Participant'),
  L: table('Lane'),
  R: table('Record'),
});

const READER = `
import json, mmap, struct, sys
f = open(sys.argv[1], 'rb')
m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
doc = json.loads(sys.argv[2])
H, P, L, R = doc['H'], doc['P'], doc['L'], doc['R']
u32 = lambda at: struct.unpack_from('<I', m, at)[0]
assert m[0:8] == b'NARURING' and u32(H['byteOrder']) == 0x01020304
assert u32(H['versionMajor']) == 2 and u32(H['requiredFeatures']) == 0
assert u32(H['ready']) == 0x59444552 and u32(H['fileBytes']) == len(m)
data, lane_bytes, levels = u32(H['dataOffset']), u32(H['laneBytes']), u32(H['levels'])
people, slots = [], {}
for slot in range(u32(H['participantCount'])):
    at = u32(H['participantsOffset']) + slot * u32(H['participantStride'])
    if u32(at + P['state']) == 1:
        start = u32(at + P['startLow']) + (u32(at + P['startHigh']) << 32)
        slots[slot] = '%d.%d.%d/%d' % (u32(at + P['pid']), start, u32(at + P['thread']), u32(at + P['handle']))
        people.append(slots[slot])
consumers = [u32(H['consumers'] + 4 * c) for c in range(32) if u32(H['consumerMask']) >> c & 1]
messages = []
for lane in range(u32(H['laneCount'])):
    if not u32(H['levelLanes'] + 4 * (lane % levels)) >> (lane // levels) & 1:
        continue
    at = u32(H['lanesOffset']) + lane * u32(H['laneStride'])
    text = at + L['identity']
    sender = m[text:text + u32(at + L['identityBytes'])].decode()
    position, tail, taken = u32(at + L['head']), u32(at + L['tail']), u32(at + L['taken'])
    while position != tail:
        record = data + lane * lane_bytes + position % (lane_bytes // 8) * 8
        length, flags = u32(record + R['length']), u32(record + R['flags'])
        payload = m[record + R['payload']:record + R['payload'] + length]
        if flags & 0xff == 3:
            sender = payload.decode()
        elif flags & 0xff == 1 and not flags & 0x400:
            version, has_fields, zero, sequence, time = struct.unpack_from('<BBHId', payload)
            assert version == 1 and has_fields == 0
            is_taken = (position - taken) % 2**32 >= 2**31
            owner = slots.get((flags >> 24) - 1) if is_taken else None
            messages.append([sender, sequence, time, payload[16:].hex(), owner])
        position = (position + (8 + length + 7) // 8) % 2**32
print(json.dumps([people, messages, [slots[(mark & 0xff) - 1] for mark in consumers]]))
`;

function read(folder: string): [string[], [string, number, number, string, string | null][], string[]] {
  const { stdout, stderr } = spawnSync('python3', ['-c', READER, join(folder, 'm', 'ring'), OFFSETS], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as ReturnType<typeof read>;
}

let scene: Scene;
beforeEach(() => {
  scene = new Scene();
});
afterEach(() => scene.end());

const hasPython = spawnSync('python3', ['-c', 'import mmap']).status === 0;

test.skipIf(!hasPython)('a Python program reads a live mailbox from the document’s offsets', async () => {
  const peer = await scene.peer({ name: 'm', laneBytes: 4096 });
  const sender = await peer.driver.attachSender();
  const receiver = await peer.driver.attachReceiver();
  // Around the end of the lane, with a part settled and one of them out of order.
  for (const sequence of upTo(200)) {
    sender.offer([numbered(5, sequence)], 0);
    if (sequence < 180) receiver.ackAll(take(1));
  }
  receiver.settle(take(3)[1] as never, 'ack', 0);
  const other = await scene.peer({ name: 'm' });
  (await other.driver.attachSender()).offer([numbered(6, 0)], 0);
  const [people, messages, consumers] = read(scene.folder);
  const [own, others] = [peer.driver.facts.identity, other.driver.facts.identity];
  expect(people).toEqual([own, others]);
  expect(consumers).toEqual([own]);
  const expected = upTo(200)
    .slice(180)
    .filter((sequence) => sequence !== 181)
    .map((sequence) => [own, sequence + 1, 1, hex(5, sequence)]);
  expect(messages.map((message) => message.slice(0, 4))).toEqual([...expected, [others, 1, 1, hex(6, 0)]]);

  function take(count: number): never[] {
    const out: never[] = [];
    receiver.take(count, out);
    return out;
  }
});

test.skipIf(!hasPython)('it sees which competing consumer has which message', async () => {
  const peer = await scene.peer({ name: 'm', relation: 'N:N', laneBytes: 4096 });
  const other = await scene.peer({ name: 'm' });
  const sender = await peer.driver.attachSender();
  const [a, b] = [await peer.driver.attachReceiver(), await other.driver.attachReceiver()];
  sender.offer(
    upTo(6).map((sequence) => numbered(5, sequence)),
    0,
  );
  const taken: Delivery[] = [];
  a.take(2, taken);
  b.take(2, taken);
  a.settle(taken[0] as Delivery, 'ack', 0);
  b.settle(taken[2] as Delivery, 'requeue', 0);
  const [own, others] = [peer.driver.facts.identity, other.driver.facts.identity];
  const [, messages, consumers] = read(scene.folder);
  expect(consumers).toEqual([own, others]);
  expect(messages.map((message) => [message[1], message[4]])).toEqual([
    [2, own],
    [3, null],
    [4, others],
    [5, null],
    [6, null],
  ]);
});

function hex(id: number, sequence: number): string {
  return Buffer.from(numbered(id, sequence).body).toString('hex');
}
