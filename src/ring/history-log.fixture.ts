// How a process writes down what it does to a mailbox while it may be killed at any moment: 16 bytes an entry, each handed to
// one write(2). Reading stops at an entry that was cut off.

import type { LogEntry, SettleOutcome } from './history-sent.fixture.ts';

export const LOG_ENTRY_BYTES = 16;

/*
 * | byte | offer | published | received    | settling, settled | gap      |
 * | 0    | 1     | 2         | 3           | 4, 5              | 6        |
 * | 1    | priority | -      | priority    | priority          | priority |
 * | 2    | -     | -         | 1 = whole   | outcome           | -        |
 * | 3    | -     | -         | deliveries  | -                 | -        |
 * | 4    | producer, and at 8 the sequence or the count, little-endian; at 12 zero |
 */
const KINDS = ['offer', 'published', 'received', 'settling', 'settled', 'gap'] as const;
const OUTCOMES: readonly SettleOutcome[] = ['ack', 'nack', 'release', 'reject'];

/** Deliveries beyond this are written as this. */
export const LOG_DELIVERIES_MAX = 255;

/** Writes entries; the bytes handed over are the same each time. */
export class HistoryLog {
  readonly #write: (bytes: Uint8Array) => void;
  readonly #bytes = new Uint8Array(LOG_ENTRY_BYTES);
  readonly #view = new DataView(this.#bytes.buffer);

  /** @param write  as `(bytes) => writeSync(fd, bytes)`: done when it returns */
  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }

  add(entry: LogEntry): void {
    const bytes = this.#bytes.fill(0);
    const view = this.#view;
    bytes[0] = KINDS.indexOf(entry.kind) + 1;
    if (entry.kind !== 'published') {
      bytes[1] = entry.priority;
      view.setUint32(4, entry.producer, true);
    }
    const number = entry.kind === 'published' || entry.kind === 'gap' ? entry.count : entry.sequence;
    view.setUint32(8, number, true);
    if (entry.kind === 'received') {
      bytes[2] = entry.isWhole ? 1 : 0;
      bytes[3] = Math.min(entry.deliveries, LOG_DELIVERIES_MAX);
    } else if (entry.kind === 'settling' || entry.kind === 'settled')
      bytes[2] = OUTCOMES.indexOf(entry.outcome);
    this.#write(bytes);
  }
}

/** @throws {Error} when an entry is none: the file is something else, or was written by several */
export function readLog(bytes: Uint8Array): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let at = 0; at + LOG_ENTRY_BYTES <= bytes.length; at += LOG_ENTRY_BYTES)
    entries.push(readEntry(new DataView(bytes.buffer, bytes.byteOffset + at, LOG_ENTRY_BYTES), at));
  return entries;
}

function readEntry(view: DataView, at: number): LogEntry {
  const kind = KINDS[view.getUint8(0) - 1];
  const outcome = OUTCOMES[view.getUint8(2)];
  const priority = view.getUint8(1);
  const producer = view.getUint32(4, true);
  const number = view.getUint32(8, true);
  const name = { producer, priority, sequence: number };
  if (kind === 'offer') return { kind, ...name };
  if (kind === 'published') return { kind, count: number };
  if (kind === 'gap') return { kind, producer, priority, count: number };
  if (kind === 'received')
    return { kind, ...name, deliveries: view.getUint8(3), isWhole: view.getUint8(2) === 1 };
  if (kind !== undefined && outcome !== undefined) return { kind, outcome, ...name };
  throw new Error(`byte ${at} of the log begins no entry`);
}
