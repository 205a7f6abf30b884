// Manifests and changes as bytes: which segments belong to the log. A manifest opens every segment and lists all; a change says
// which ones went and which came since.

import { SEGMENT_ENTRY, SEGMENT_ENTRY_BYTES } from './format.ts';
import { type Memory, newMemory, readWide, readWord, writeWide, writeWord } from './memory.ts';
import type { SegmentEntry } from './segment.ts';

export function writeEntry(memory: Memory, at: number, entry: SegmentEntry): void {
  writeWord(memory, at + SEGMENT_ENTRY.number, entry.number);
  writeWord(memory, at + SEGMENT_ENTRY.generation, entry.generation);
  writeWide(memory, at + SEGMENT_ENTRY.first, entry.first);
  writeWide(memory, at + SEGMENT_ENTRY.last, entry.last + 1);
  writeWord(memory, at + SEGMENT_ENTRY.usedBytes, entry.usedBytes);
  writeWord(memory, at + SEGMENT_ENTRY.chain, entry.chain);
}

export function readEntry(memory: Memory, at: number): SegmentEntry {
  return {
    number: readWord(memory, at + SEGMENT_ENTRY.number),
    generation: readWord(memory, at + SEGMENT_ENTRY.generation),
    first: readWide(memory, at + SEGMENT_ENTRY.first),
    last: readWide(memory, at + SEGMENT_ENTRY.last) - 1,
    usedBytes: readWord(memory, at + SEGMENT_ENTRY.usedBytes),
    chain: readWord(memory, at + SEGMENT_ENTRY.chain) | 0,
  };
}

export function isSameEntry(a: SegmentEntry, b: SegmentEntry): boolean {
  return (
    a.number === b.number &&
    a.generation === b.generation &&
    a.first === b.first &&
    a.last === b.last &&
    a.usedBytes === b.usedBytes &&
    a.chain === b.chain
  );
}

/** The body of a manifest. */
export function encodeEntries(entries: readonly SegmentEntry[]): Uint8Array {
  const memory = newMemory(entries.length * SEGMENT_ENTRY_BYTES);
  entries.forEach((entry, index) => writeEntry(memory, index * SEGMENT_ENTRY_BYTES, entry));
  return memory.bytes;
}

/** @param bytes  of whole entries; the rest is ignored */
export function decodeEntries(bytes: Uint8Array): SegmentEntry[] {
  const memory = newMemory(bytes.length);
  memory.bytes.set(bytes);
  const entries: SegmentEntry[] = [];
  for (let at = 0; at + SEGMENT_ENTRY_BYTES <= bytes.length; at += SEGMENT_ENTRY_BYTES) {
    entries.push(readEntry(memory, at));
  }
  return entries;
}

/** What became of the segments: `gone` names those that no longer count, `come` those that take their place. */
export interface Change {
  readonly gone: readonly { readonly number: number; readonly generation: number }[];
  readonly come: readonly SegmentEntry[];
}

/** The body of a change: both as entries, those that came last; the record's note tells how many went. */
export function encodeChange({ gone, come }: Change): Uint8Array {
  const went = gone.map((name) => ({ ...name, first: 0, last: -1, usedBytes: 0, chain: 0 }));
  return encodeEntries([...went, ...come]);
}

export function decodeChange(bytes: Uint8Array, gone: number): Change {
  const entries = decodeEntries(bytes);
  return { gone: entries.slice(0, gone), come: entries.slice(gone) };
}

/** The entries after a change, in the order of their numbers. */
export function applyChange(entries: readonly SegmentEntry[], { gone, come }: Change): SegmentEntry[] {
  const isGone = ({ number, generation }: SegmentEntry): boolean =>
    gone.some((name) => name.number === number && name.generation === generation);
  return [...entries.filter((entry) => !isGone(entry)), ...come].sort((a, b) => a.number - b.number);
}
