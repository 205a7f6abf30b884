// One look at a plain file: its value when it is a new one and whole, never half of one. Reads; keeps nothing but the descriptor that the
// caller gets.

import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Delivery } from '../../mailbox/driver.ts';
import { errnoOf } from './error.ts';
import { refusal } from './options.ts';
import { type FileVersion, isUntouched, type Judge, QUIET_MS } from './version.ts';

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants;

/** How often a look is repeated for a value that is wanted now. */
const LOOKS_MAX = 20;

/** A value that was read. */
export interface Value {
  readonly kind: 'value';
  readonly body: Uint8Array;
  readonly version: FileVersion;
  /** Open on the file that was read: as long as it is, no other file has its inode number. The caller closes it. */
  readonly handle: FileHandle;
}

/** `known`: nothing new. `unsettled`: it changed just now; look again soon. */
export type Look =
  | Value
  | { readonly kind: 'absent' | 'known' | 'unsettled' }
  | { readonly kind: 'oversized'; readonly version: FileVersion; readonly handle: FileHandle };

/**
 * @param text      the URL as it may be shown
 * @param maxBytes  a longer value is not read
 * @throws NARU_UNSUPPORTED  it is no file; else what node:fs throws
 */
export async function look(
  path: string,
  text: string,
  maxBytes: number,
  judge: Pick<Judge, 'judge'>,
): Promise<Look> {
  let handle: FileHandle;
  try {
    handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return { kind: 'absent' };
    throw error;
  }
  let isKept = false;
  try {
    const found = await lookInto(handle, text, maxBytes, judge);
    isKept = found.kind === 'value' || found.kind === 'oversized';
    return found;
  } finally {
    if (!isKept) await handle.close();
  }
}

async function lookInto(
  handle: FileHandle,
  text: string,
  maxBytes: number,
  judge: Pick<Judge, 'judge'>,
): Promise<Look> {
  const version = await handle.stat({ bigint: true });
  if (!version.isFile()) throw refusal('NARU_UNSUPPORTED', text, 'it is no regular file');
  const verdict = judge.judge(version, Date.now(), performance.now());
  if (verdict !== 'new') return { kind: verdict };
  if (version.size > BigInt(maxBytes)) return { kind: 'oversized', version, handle };
  const body = await readWhole(handle, Number(version.size));
  if (body === undefined) return { kind: 'unsettled' };
  // Whoever wrote into it meanwhile has changed its size or its times.
  if (!isUntouched(version, await handle.stat({ bigint: true }))) return { kind: 'unsettled' };
  return { kind: 'value', body, version, handle };
}

/** @returns undefined when it is not so long, or longer */
async function readWhole(handle: FileHandle, length: number): Promise<Uint8Array | undefined> {
  // One byte more than there should be finds out what was appended.
  const bytes = new Uint8Array(length + 1);
  for (let at = 0; at <= length; ) {
    const { bytesRead } = await handle.read(bytes, at, length + 1 - at, at);
    if (bytesRead === 0) return at === length ? bytes.subarray(0, length) : undefined;
    at += bytesRead;
  }
  return undefined;
}

/**
 * The same, waiting a little where a writer may still be at it.
 * @returns `unsettled` when it was changed again and again
 */
export async function lookPatiently(
  ...[path, text, maxBytes, judge]: Parameters<typeof look>
): Promise<Look> {
  for (let looks = 1; ; looks += 1) {
    const found = await look(path, text, maxBytes, judge);
    if (found.kind !== 'unsettled' || looks === LOOKS_MAX) return found;
    await sleep(QUIET_MS);
  }
}

/** A value as a message. Who wrote it a file does not say; when is the file's time of modification. */
export function deliveryOf({ body, version }: Pick<Value, 'body' | 'version'>, token: number): Delivery {
  const time = Number(version.mtimeNs / 1_000_000n);
  return { sender: '', sequence: 0, time, fields: undefined, body, deliveries: 1, receipt: false, token };
}
