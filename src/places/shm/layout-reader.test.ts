// A reader written from docs/internals/shm-layout.md alone, in Python: it maps a live mailbox and finds header, participants
// and every message as the document says.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { numbered } from './peer.fixture.ts';
import { Scene, upTo } from './scene.fixture.ts';

const READER = `
import json, mmap, struct, sys
f = open(sys.argv[1], 'rb')
m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
u32 = lambda at: struct.unpack_from('<I', m, at)[0]
assert m[0:8] == b'NARURING' and u32(8) == 0x01020304 and u32(12) == 2 and u32(20) == 0
assert u32(256) == 0x59444552 and u32(28) == len(m)
stride, count, lanes, lane_stride, lane_count = u32(36), u32(40), u32(44), u32(48), u32(52)
data, lane_bytes = u32(56), u32(60)
people = []
for slot in range(count):
    at = u32(32) + slot * stride
    if u32(at) == 1:
        start = u32(at + 16) + (u32(at + 20) << 32)
        people.append('%d.%d.%d/%d' % (u32(at + 8), start, u32(at + 12), u32(at + 24)))
messages = []
for lane in range(lane_count):
    at = lanes + lane * lane_stride
    sender = m[at + 272:at + 272 + u32(at + 268)].decode()
    position, tail = u32(at + 256), u32(at + 128)
    while position != tail:
        record = data + lane * lane_bytes + position % (lane_bytes // 8) * 8
        length, flags = u32(record), u32(record + 4)
        payload = m[record + 8:record + 8 + length]
        if flags & 0xff == 3:
            sender = payload.decode()
        elif flags & 0xff == 1 and not flags & 0x400:
            version, has_fields, zero, sequence, time = struct.unpack_from('<BBHId', payload)
            assert version == 1 and has_fields == 0
            messages.append([sender, sequence, time, payload[16:].hex()])
        position = (position + (8 + length + 7) // 8) % 2**32
print(json.dumps([people, messages]))
`;

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
  const read = spawnSync('python3', ['-c', READER, join(scene.folder, 'm', 'ring')], { encoding: 'utf8' });
  expect(read.stderr).toBe('');
  const [people, messages] = JSON.parse(read.stdout) as [string[], [string, number, number, string][]];
  const [own, others] = [peer.driver.facts.identity, other.driver.facts.identity];
  expect(people).toEqual([own, others]);
  const expected = upTo(200)
    .slice(180)
    .filter((sequence) => sequence !== 181)
    .map((sequence) => [own, sequence + 1, 1, Buffer.from(numbered(5, sequence).body).toString('hex')]);
  expect(messages).toEqual([...expected, [others, 1, 1, Buffer.from(numbered(6, 0).body).toString('hex')]]);

  function take(count: number): never[] {
    const out: never[] = [];
    receiver.take(count, out);
    return out;
  }
});
