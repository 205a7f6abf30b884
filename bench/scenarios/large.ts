// The scenario `large`: bodies from 64 KiB on, with and without copies, against memcpy, the ring in C, pipe and socket.

import type { Duel } from '../harness/duel.ts';
import { naruLarge } from '../rivals/naru-large.ts';
import { cDuel, type Reading } from '../rivals/program.ts';
import { atLeast, noted } from './goals.ts';
import { type PlannedPart, scenarioOf } from './plan.ts';
import type { Goal, Scenario } from './scenario.ts';

const SIZES: readonly (readonly [suffix: string, bytes: number, title: string])[] = [
  ['64k', 64 * 1024, '64 KiB'],
  ['256k', 256 * 1024, '256 KiB'],
  ['1m', 1024 * 1024, '1 MiB'],
];

function rivals(suffix: string, bodyBytes: number): Duel[] {
  const c = (source: string, label: string, reading: Reading): Duel => {
    const what = reading === 'whole' ? 'every byte read' : 'ends read';
    const id = `c-${source}-${reading}-${suffix}`;
    return cDuel(source, {
      id,
      label: `${label}, ${what}`,
      kind: 'throughput',
      bodyBytes,
      reading,
      firstCount: 50,
    });
  };
  return [
    c('memcpy', 'memcpy in one process, C', 'ends'),
    c('memcpy', 'memcpy in one process, C', 'whole'),
    c('ring-in-place', 'the ring in C, in place', 'ends'),
    c('ring-in-place', 'the ring in C, in place', 'whole'),
    c('ring', 'the ring in C, copied out', 'whole'),
    c('pipe', 'pipe, C', 'whole'),
    c('unix-stream', 'Unix socket (stream), C', 'whole'),
  ];
}

const parts = SIZES.map(
  ([suffix, bodyBytes, title]): PlannedPart => ({
    id: `large-${suffix}`,
    title: `Bodies of ${title}`,
    note: `GB/s of payload. The producer writes every byte (one memcpy from a body in its own memory); the consumer looks at both ends
of each body, or searches all of it for a byte that is not there (memchr in C, Buffer.indexOf in Node), which reads it once. memcpy
is one process that copies a body into sixteen places in turn and hands it to nobody: the ends of it, or all of it, are read by the
same process. Two processes that write and read the same bytes also move them from one core's cache to the other's, which no way of
sending can avoid; the ring in C, in place, shows what is left then. A lane holds sixteen bodies.`,
    unit: 'GB/s',
    duels: [
      naruLarge('view', 'ends', bodyBytes, suffix),
      naruLarge('view', 'whole', bodyBytes, suffix),
      naruLarge('copy', 'whole', bodyBytes, suffix),
      ...rivals(suffix, bodyBytes),
    ],
  }),
);

export const large: Scenario = scenarioOf({
  name: 'large',
  summary: 'bodies of 64 KiB to 1 MiB with and without copies, against memcpy, the ring in C, pipe, socket',
  title: 'Large messages, one producer, one consumer',
  parts,
  goals(figures) {
    return SIZES.flatMap(([suffix, , title]): Goal[] => {
      const ratio = (own: string, rival: string): number | undefined =>
        figures.ratio(`naru-shm-${own}-${suffix}`, `c-${rival}-${suffix}`);
      return [
        atLeast(
          `${title} without copies against memcpy, ends read`,
          0.8,
          ratio('view-ends', 'memcpy-ends'),
          '×',
        ),
        noted(
          `${title} without copies against the ring in C, in place, every byte read`,
          ratio('view-whole', 'ring-in-place-whole'),
          '×',
        ),
        noted(
          `${title} copied against the ring in C, copied out, every byte read`,
          ratio('copy-whole', 'ring-whole'),
          '×',
        ),
      ];
    });
  },
});
