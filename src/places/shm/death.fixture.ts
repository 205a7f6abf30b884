// For crash tests: when a death was proved and when the others went on, told apart from how long it took to look; and what a dead
// consumer's log says against what the others got.

import { afterEach, beforeEach, expect } from 'vitest';
import { defaultEdges, type RingEdges } from '../../mapped-ring/edges.ts';
import { type LocalPeer, type PeerProcess, Scene, until } from './scene.fixture.ts';

/** How often each case is repeated. */
export const ROUNDS: number = Number(process.env['NARU_CRASH_ROUNDS'] ?? 10);
/** From the proof of a death until the others have gone on. */
export const RECOVERY_MS: number = 100;
/** One round in ten may find a busy machine; never so much that only the next look-around can have helped. */
const RECOVERY_WORST_MS = 400;
/** Two turns of the timer that looks for the dead, and a busy machine. */
const DETECTION_MS = 2_000;

/** Runs `round` for 0 … count - 1, two at a time. */
export async function rounds(
  round: (number: number) => Promise<void>,
  count: number = ROUNDS,
): Promise<void> {
  for (let i = 0; i < count; i += 2) await Promise.all([round(i), ...(i + 1 < count ? [round(i + 1)] : [])]);
}

/** Gives each test of a file a scene of its own. */
export function sceneForEach(use: (scene: Scene) => void): void {
  let scene: Scene;
  beforeEach(() => {
    scene = new Scene();
    use(scene);
  });
  afterEach(() => scene.end());
}

/** Notes when a peer in this process proved a death. */
export class DeathWatch {
  readonly edges: RingEdges;
  provedAt: number = Number.POSITIVE_INFINITY;

  constructor() {
    this.edges = {
      ...defaultEdges('shm://'),
      failpoint: (name) => {
        if (name === 'recover:proved-dead') this.provedAt = Math.min(this.provedAt, performance.now());
      },
    };
  }

  get isProved(): boolean {
    return this.provedAt !== Number.POSITIVE_INFINITY;
  }

  /**
   * Sends one message after another until the death is proved, and one more: whatever the dead one had in hand, there is
   * always one still to come, by which it can be told when the others went on.
   * @returns the sequence after the last one
   */
  async sendUntilProved(peer: LocalPeer, id: number, from: number): Promise<number> {
    for (let sequence = from; ; sequence += 1) {
      const isLast = this.isProved;
      await peer.send(id, sequence, sequence + 1);
      if (isLast) return sequence + 1;
      const sentAt = performance.now();
      await until(() => this.isProved || performance.now() - sentAt > 2, 'a moment passes');
    }
  }

  /** When a survivor had gone on: it had what came back, or where nothing did, its first message after the proof. */
  goneOnAt({ got }: LocalPeer): number {
    const after = got.filter(({ at }) => at >= this.provedAt);
    const one = after.findLast(({ deliveries }) => deliveries > 1) ?? after[0];
    if (one === undefined) throw new Error('no message came after the proof of death');
    return one.at;
  }
}

/** Times of all rounds of one case. */
export class Times {
  readonly #detection: number[] = [];
  readonly #recovery: number[] = [];

  /** @param diedAt  when the kernel had reaped it; @param goneOnAt  when the others had gone on */
  add(watch: DeathWatch, diedAt: number, goneOnAt: number): void {
    this.#detection.push(Math.max(0, watch.provedAt - diedAt));
    this.#recovery.push(goneOnAt - watch.provedAt);
  }

  check(what: string): void {
    const [detection, recovery] = [this.#detection, this.#recovery].map((list) =>
      list.toSorted((a, b) => a - b),
    ) as [number[], number[]];
    expect(recovery, `${what}: every round is a sample`).toHaveLength(ROUNDS);
    process.stderr.write(`${what}: detection ${span(detection)} ms, recovery ${span(recovery)} ms\n`);
    const usual = recovery[Math.floor((recovery.length - 1) * 0.9)];
    expect(usual, `${what}: recovery of nine in ten`).toBeLessThanOrEqual(RECOVERY_MS);
    expect(recovery.at(-1), `${what}: recovery`).toBeLessThan(RECOVERY_WORST_MS);
    expect(detection.at(-1), `${what}: detection`).toBeLessThan(DETECTION_MS);
  }
}

function median(sorted: readonly number[]): number {
  return sorted[sorted.length >>> 1] as number;
}

function span(sorted: readonly number[]): string {
  return `${median(sorted).toFixed(1)} (${(sorted[0] as number).toFixed(1)}…${(sorted.at(-1) as number).toFixed(1)})`;
}

/** What a consumer in a process of its own had, and what of it it settled. */
export interface ConsumerLog {
  readonly got: ReadonlyMap<string, number>;
  readonly acked: ReadonlySet<string>;
}

export function readLog({ lines }: PeerProcess): ConsumerLog {
  const got = new Map<string, number>();
  const acked = new Set<string>();
  for (const line of lines) {
    const [what, id, sequence, deliveries] = line.split(' ');
    if (what === 'got') got.set(`${id} ${sequence}`, Number(deliveries));
    if (what === 'acked') acked.add(`${id} ${sequence}`);
  }
  return { got, acked };
}

export const keyOf = ({ id, sequence }: { id: number; sequence: number }): string => `${id} ${sequence}`;

/**
 * What the survivors got: nothing twice, nothing that was acked, all that the dead had seen marked, first deliveries in order.
 *
 * @param nacks  the dead one gave messages back and took them again: how often its log may not say
 */
export function checkSurvivors(log: ConsumerLog, survivors: readonly LocalPeer[], nacks = false): void {
  const all = survivors.flatMap(({ got }) => got);
  expect(new Set(all.map(keyOf)).size, 'nothing comes twice').toBe(all.length);
  for (const one of all) {
    const key = keyOf(one);
    expect(log.acked.has(key), `${key} was acked`).toBe(false);
    const before = log.got.get(key);
    if (before === undefined) continue;
    expect(one.deliveries, `deliveries of ${key}`).toBeGreaterThan(before);
    if (!nacks) expect(one.deliveries, `deliveries of ${key}`).toBe(before + 1);
  }
  for (const { got } of survivors) {
    const first = got.filter(({ deliveries }) => deliveries === 1);
    for (const id of new Set(first.map((one) => one.id))) {
      const sequences = first.filter((one) => one.id === id).map(({ sequence }) => sequence);
      expect(sequences, 'first deliveries in order').toEqual(sequences.toSorted((a, b) => a - b));
    }
    // What came back lies before all that was never taken; within it the order is kept.
    const again = got.filter(({ deliveries }) => deliveries > 1).map(({ sequence }) => sequence);
    expect(again, 'redeliveries in order').toEqual(again.toSorted((a, b) => a - b));
  }
}
