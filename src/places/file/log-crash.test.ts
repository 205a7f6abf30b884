// file:///folder under SIGKILL: the host, producers and consumers die at random moments. Every send of those that live ends, whatever had
// a receipt arrives, what is given twice says so, and consumers go on by themselves. NARU_LOG_KILLS makes it longer.

import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { survivesKills } from '../../engines/kills.fixture.ts';
import { type Peer, Peers, type Said } from '../../link/processes.fixture.ts';
import { checkLogIn, lockHolder } from '../../disk/index.ts';
import { open } from '../../open.ts';

/** Of the host, and nobody else. */
const KILLS = Number(process.env['NARU_LOG_KILLS'] ?? 20);
/** Of the host and of whoever is there. */
const ROUNDS = Math.ceil(KILLS * 0.6);

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

/** The number of messages of each producer. */
const COUNT = 2_000;

const isReady = (said: Said): boolean => said['ready'] === true;
const isDone = (said: Said): boolean => said['done'] === true;

/** Kills one of the peers after a while, again and again: the host and a random one in turn. What comes next takes its place. */
async function play(log: string, start: readonly ((round: number) => Peer)[]): Promise<void> {
  const now = start.map((begin) => begin(0));
  await Promise.all(now.map((peer) => peer.hears(isReady, 'it is open')));
  for (let round = 1; round <= ROUNDS; round += 1) {
    await new Promise((resolve) => {
      setTimeout(resolve, Math.random() * 150);
    });
    const host = (await lockHolder(log))?.split('.')[0];
    const hosting = round % 2 === 0 ? -1 : now.findIndex(({ pid }) => String(pid) === host);
    const which = hosting < 0 ? Math.floor(Math.random() * now.length) : hosting;
    await (now[which] as Peer).kill();
    const next = (start[which] as (round: number) => Peer)(round);
    now[which] = next;
    await next.hears(isReady, 'it is open');
  }
}

function kept(list: Peer[], peer: Peer): Peer {
  list.push(peer);
  return peer;
}

/**
 * A process that has the log open, and is its host when no other has it. This thread stands still until then: else one of its own handles
 * would be the next host, and that cannot be killed.
 */
function startAtOnce(url: string, round: number): Peer {
  const file = join(base, `said.${round}`);
  const output = openSync(file, 'w');
  const peer = peers.start({ url, act: 'hold' }, { stdio: ['pipe', output, 'inherit'] });
  closeSync(output);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  for (let turns = 0; !readFileSync(file, 'utf8').includes('"ready":true'); turns += 1) {
    if (turns > 4_000) throw new Error(`the next host did not open the log: ${readFileSync(file, 'utf8')}`);
    Atomics.wait(sleeper, 0, 0, 5);
  }
  return peer;
}

/** What the producers had a receipt for, once those that live are done: each of their sends has ended by then. */
async function placedBy(producers: readonly Peer[]): Promise<string[]> {
  for (const producer of producers) {
    expect(producer.said.filter((said) => 'crashed' in said || 'refused' in said)).toEqual([]);
    if (producer.child.signalCode !== null) continue;
    await producer.hears(isDone, 'every send has ended');
    const ended = [...producer.all('placed'), ...producer.all('unknown')];
    expect(new Set(ended).size).toBe(COUNT);
  }
  const placed = producers.flatMap((peer) => peer.all<string>('placed'));
  expect(placed.length).toBeGreaterThan(0);
  return placed;
}

/** Waits until all that was placed has arrived; nothing of it may have come twice without a mark. */
async function arrives(placed: readonly string[], consumers: readonly Peer[]): Promise<void> {
  const missing = (): string[] => {
    const found = sightings(consumers);
    return placed.filter((id) => !found.has(id));
  };
  await expect.poll(missing, { timeout: 20_000 }).toEqual([]);
  const unmarked = [...sightings(consumers).values()].filter(
    (seen) => seen.filter(({ deliveries }) => deliveries === 1).length > 1,
  );
  expect(unmarked).toEqual([]);
  expect(consumers.flatMap(({ said }) => said).filter((said) => 'crashed' in said)).toEqual([]);
}

for (const confirm of ['placed', 'durable'] as const) {
  test(`the host killed again and again, receipts ${confirm}: every send of another process ends, and its consumer goes on`, async () => {
    const log = join(base, 'killed');
    const url = `file://${log}?segment=256KiB&confirm=${confirm}`;
    let host = startAtOnce(url, 0);
    await survivesKills(url, KILLS, 'marked', async () => {
      expect(await lockHolder(log)).toMatch(new RegExp(`^${host.pid}\\.`));
      host.child.kill('SIGKILL');
      host = startAtOnce(url, host.pid);
    });
    await peers.end();
    expect((await checkLogIn(log)).damaged).toEqual([]);
  }, 120_000);

  test(`a queue, receipts ${confirm}: nothing that was receipted is lost, nothing is given twice unmarked`, async () => {
    const log = join(base, 'queue');
    const url = `file://${log}?segment=256KiB&confirm=${confirm}`;
    const producers: Peer[] = [];
    const consumers: Peer[] = [];
    const producer = (name: string) => (round: number) =>
      kept(
        producers,
        peers.start({ url, act: 'produce', name: `${name}${round}`, count: COUNT, bytes: 100 }),
      );
    const consumer = () =>
      kept(consumers, peers.start({ url, act: 'consume', idleMs: 60_000, options: { prefetch: 20 } }));
    await play(log, [producer('a'), consumer, producer('b'), consumer]);
    await arrives(await placedBy(producers), consumers);
    await peers.end();
    expect((await checkLogIn(log)).damaged).toEqual([]);
  }, 120_000);
}

test('a topic: each group gets all of it, in whatever order its processes die', async () => {
  const log = join(base, 'topic');
  const url = `file://${log}?segment=256KiB&deliver=all&confirm=placed`;
  const groups = ['a', 'b'];
  // The groups are there before the first message.
  await using maker = await open(url as `file:///${string}`, { role: 'producer' });
  for (const group of groups) {
    const first = await open(url as `file:///${string}`, { role: 'consumer', group });
    await first.connect('consumer');
    await first.close();
  }
  await maker.close();
  const producers: Peer[] = [];
  const producer = (round: number): Peer => {
    const options = { role: 'producer' };
    return kept(
      producers,
      peers.start({ url, act: 'produce', name: `p${round}`, count: COUNT, bytes: 100, options }),
    );
  };
  const byGroup = new Map<string, Peer[]>(groups.map((group) => [group, []]));
  const consumer = (group: string) => (): Peer => {
    const options = { role: 'consumer', group, prefetch: 20 };
    return kept(byGroup.get(group) ?? [], peers.start({ url, act: 'consume', idleMs: 60_000, options }));
  };
  await play(log, [producer, ...groups.map(consumer)]);
  const placed = await placedBy(producers);
  for (const group of groups) await arrives(placed, byGroup.get(group) ?? []);
}, 120_000);
