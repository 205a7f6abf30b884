// file:///folder under SIGKILL: producers, consumers and with them the host die at random moments. Whatever had a receipt arrives, and
// what is given twice says so. NARU_LOG_KILLS makes it longer.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Peer, Peers } from '../../link/processes.fixture.ts';
import { checkLogIn } from '../../disk/index.ts';
import { open } from '../../open.ts';

const KILLS = Number(process.env['NARU_LOG_KILLS'] ?? 7);

let base = '';
let peers: Peers;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'naru-log-crash-'));
  peers = new Peers();
});
afterEach(async () => {
  await peers.end();
  rmSync(base, { recursive: true, force: true });
});

interface Sighting {
  readonly id: string;
  readonly deliveries: number;
}

function sightings(all: readonly Peer[]): Map<string, Sighting[]> {
  const found = new Map<string, Sighting[]>();
  for (const seen of all.flatMap((peer) => peer.all<Sighting>('received'))) {
    found.set(seen.id, [...(found.get(seen.id) ?? []), seen]);
  }
  return found;
}

/** Kills one of the peers after a while, again and again, each time another one; what comes next takes its place. */
async function play(start: readonly ((round: number) => Peer)[]): Promise<Peer[]> {
  const all: Peer[] = [];
  const now = start.map((begin) => begin(0));
  all.push(...now);
  await Promise.all(now.map((peer) => peer.hears((said) => said['ready'] === true, 'it is open')));
  for (let round = 1; round <= KILLS; round += 1) {
    const which = Math.floor(Math.random() * now.length);
    await new Promise((resolve) => {
      setTimeout(resolve, Math.random() * 150);
    });
    await (now[which] as Peer).kill();
    const next = (start[which] as (round: number) => Peer)(round);
    now[which] = next;
    all.push(next);
    await next.hears((said) => said['ready'] === true, 'it is open');
  }
  return all;
}

for (const confirm of ['placed', 'durable'] as const) {
  test(`a queue, receipts ${confirm}: nothing that was receipted is lost, nothing is given twice unmarked`, async () => {
    const url = `file://${base}/queue?segment=256KiB&confirm=${confirm}`;
    const producer = (name: string) => (round: number) =>
      peers.start({ url, act: 'produce', name: `${name}${round}`, count: 2_000, bytes: 100 });
    const consumer = () => peers.start({ url, act: 'consume', idleMs: 8_000, options: { prefetch: 20 } });
    const all = await play([producer('a'), consumer, producer('b'), consumer]);
    const last = consumer();
    all.push(last);
    const placed = new Set(all.flatMap((peer) => peer.all<string>('placed')));
    await last.hears((said) => said['done'] === true, 'everything is consumed');
    const found = sightings(all);
    for (const peer of all) for (const id of peer.all<string>('placed')) placed.add(id);
    expect(placed.size).toBeGreaterThan(0);
    expect([...placed].filter((id) => !found.has(id))).toEqual([]);
    const unmarked = [...found.values()].filter(
      (seen) => seen.filter(({ deliveries }) => deliveries === 1).length > 1,
    );
    expect(unmarked).toEqual([]);
    await peers.end();
    expect((await checkLogIn(join(base, 'queue'))).damaged).toEqual([]);
  }, 120_000);
}

test('a topic: each group gets all of it, in whatever order its processes die', async () => {
  const url = `file://${base}/topic?segment=256KiB&deliver=all&confirm=placed`;
  const groups = ['a', 'b'];
  // The groups are there before the first message.
  await using maker = await open(url as `file:///${string}`, { role: 'producer' });
  for (const group of groups) {
    const first = await open(url as `file:///${string}`, { role: 'consumer', group });
    await first.connect('consumer');
    await first.close();
  }
  await maker.close();
  const producer = (round: number): Peer =>
    peers.start({
      url,
      act: 'produce',
      name: `p${round}`,
      count: 1_500,
      bytes: 100,
      options: { role: 'producer' },
    });
  const byGroup = new Map<string, Peer[]>(groups.map((group) => [group, []]));
  const consumer = (group: string) => (): Peer => {
    const options = { role: 'consumer', group, prefetch: 20 };
    const peer = peers.start({ url, act: 'consume', idleMs: 8_000, options });
    byGroup.get(group)?.push(peer);
    return peer;
  };
  const all = await play([producer, ...groups.map(consumer)]);
  const ends = groups.map((group) => consumer(group)());
  for (const end of ends)
    await end.hears((said) => said['done'] === true, 'the group has consumed everything');
  const placed = new Set(all.flatMap((peer) => peer.all<string>('placed')));
  expect(placed.size).toBeGreaterThan(0);
  for (const group of groups) {
    const found = sightings(byGroup.get(group) ?? []);
    expect([...placed].filter((id) => !found.has(id))).toEqual([]);
    const unmarked = [...found.values()].filter(
      (seen) => seen.filter(({ deliveries }) => deliveries === 1).length > 1,
    );
    expect(unmarked).toEqual([]);
  }
}, 120_000);
