// The memory in which messages pass to and from the addon: one for each thread, used within one call. Layout: native/records.c.

import { native } from '../native/index.ts';

const HEAD_BYTES = 16;
const FIRST_BYTES = 128 * 1024;
const HIGH_WORD = 2 ** 32;

/** A message as the kernel keeps it: a System V type or a POSIX priority, and the bytes. */
export interface QueueRecord {
  readonly tag: number;
  readonly body: Uint8Array;
}

let bytes = new Uint8Array(0);
let words = new Uint32Array(0);

/** Makes room for at least one record with a body of that length. */
export function reserveRecords(bodyBytes: number): void {
  const needed = HEAD_BYTES + Math.ceil(bodyBytes / 8) * 8;
  if (bytes.length >= needed && bytes.length > 0) return;
  const buffer = new ArrayBuffer(Math.max(FIRST_BYTES, needed));
  native('a message queue of the kernel').recordMemory(buffer);
  bytes = new Uint8Array(buffer);
  words = new Uint32Array(buffer);
}

/** Writes the one record of a call; there is room for it. */
export function writeRecord(tag: number, body: Uint8Array): void {
  writeAt(0, tag, body);
}

function writeAt(at: number, tag: number, body: Uint8Array): void {
  const word = at >>> 2;
  words[word] = body.length;
  words[word + 2] = tag >>> 0;
  words[word + 3] = tag < HIGH_WORD ? 0 : Math.floor(tag / HIGH_WORD);
  bytes.set(body, at + HEAD_BYTES);
}

/** Writes as many as fit, from `start`. @returns how many */
export function writeRecords(list: readonly QueueRecord[], start: number): number {
  let at = 0;
  let written = 0;
  for (let index = start; index < list.length; index += 1) {
    const { tag, body } = list[index] as QueueRecord;
    if (at + HEAD_BYTES + body.length > bytes.length) break;
    writeAt(at, tag, body);
    at += sizeOf(body.length);
    written += 1;
  }
  return written;
}

/** The one record that a call filled, copied. */
export function readRecord(): QueueRecord {
  return { tag: tagAt(0), body: copyBody(words[0] ?? 0) };
}

/** V8 keeps arrays up to this length in its own heap, where making one is cheap. */
const CHEAP_BYTES = 64;
const SLAB_BYTES = 16 * 1024;
let slab = new ArrayBuffer(0);
let slabUsed = 0;

/** Bodies of middle length share a slab, as Node's small Buffers do: memory of its own costs each of them more than the system call. */
function copyBody(length: number): Uint8Array {
  if (length <= CHEAP_BYTES || length > SLAB_BYTES / 4) return bytes.slice(HEAD_BYTES, HEAD_BYTES + length);
  if (slabUsed + length > slab.byteLength) {
    slab = new ArrayBuffer(SLAB_BYTES);
    slabUsed = 0;
  }
  const body = new Uint8Array(slab, slabUsed, length);
  body.set(bytes.subarray(HEAD_BYTES, HEAD_BYTES + length));
  slabUsed += Math.ceil(length / 8) * 8;
  return body;
}

/** The records that a call filled; their bodies are views of one copy. */
export function readRecords(count: number): QueueRecord[] {
  if (count === 0) return [];
  if (count === 1) return [readRecord()];
  let end = 0;
  for (let index = 0; index < count; index += 1) end += sizeOf(words[end >>> 2] ?? 0);
  const copy = bytes.slice(0, end);
  const list: QueueRecord[] = [];
  for (let index = 0, at = 0; index < count; index += 1) {
    const length = words[at >>> 2] ?? 0;
    list.push({ tag: tagAt(at), body: copy.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length) });
    at += sizeOf(length);
  }
  return list;
}

function tagAt(at: number): number {
  const word = at >>> 2;
  return (words[word + 2] ?? 0) + (words[word + 3] ?? 0) * HIGH_WORD;
}

function sizeOf(length: number): number {
  return HEAD_BYTES + ((length + 7) & ~7);
}
