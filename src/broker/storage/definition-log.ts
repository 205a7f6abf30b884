// Definitions on the disk: every change of something durable is a record in the log's first stream, and from time to time all of
// them together are a snapshot. A snapshot is the changes that make what there is: there is one way to read both.

import { NaruError } from '../../errors/index.ts';
import type { Change } from './change.ts';
import { STREAM, type Store } from './store.ts';

/** Everything durable, as it is read back. */
export interface Snapshot {
  readonly version: 1;
  /** Changes up to this sequence are in it. */
  readonly upTo: number;
  readonly nextStream: number;
  readonly changes: readonly Change[];
}

const NAME = 'definitions';
/** A new snapshot is written when there are so many changes since the last, and more than it would have. */
const CHANGES_MIN = 10_000;

export class DefinitionLog {
  readonly #store: Store;
  readonly #all: () => readonly Change[];
  /** Sequences of the changes that stand in no snapshot. */
  #since: number[] = [];
  #isWriting = false;
  #sizeOfLast = 0;

  /** @param all  the changes that make everything durable there is */
  constructor(store: Store, all: () => readonly Change[]) {
    this.#store = store;
    this.#all = all;
  }

  /**
   * Writes a change down. It is safe when `store.settled()` resolves.
   * @param level  `disk`: it must be there, whatever the level of the store is
   */
  note(change: Change, level?: 'disk'): void {
    if (this.#store.failure !== undefined) return;
    const body = Buffer.from(JSON.stringify(change));
    this.#since.push(this.#store.append([STREAM.definitions], 0, 0, body, level));
    if (this.#since.length < CHANGES_MIN || this.#since.length < this.#sizeOfLast || this.#isWriting) return;
    this.#isWriting = true;
    // A full disk or a stopped log: the changes stand where they are, and it is tried again after the next.
    void this.compact(this.#all()).catch(() => undefined);
  }

  /** A change was found that stands in no snapshot. */
  know(sequence: number): void {
    this.#since.push(sequence);
  }

  /** Writes a snapshot and forgets the changes that stand in it. @throws NARU_STORAGE */
  async compact(changes: readonly Change[]): Promise<void> {
    const covered = this.#since;
    this.#since = [];
    this.#isWriting = true;
    try {
      const { log, nextStream } = this.#store;
      const upTo = log.next - 1;
      // A snapshot must not tell of sequences that a loss of power takes back.
      await log.commit('disk');
      const snapshot: Snapshot = { version: 1, upTo, nextStream, changes };
      await log.writeSnapshot(NAME, Buffer.from(JSON.stringify(snapshot)));
      this.#sizeOfLast = changes.length;
      for (const sequence of covered) this.#store.remove(STREAM.definitions, sequence);
    } catch (error) {
      this.#since = [...covered, ...this.#since];
      throw error;
    } finally {
      this.#isWriting = false;
    }
  }

  /** @throws NARU_CORRUPT */
  static async read(store: Store): Promise<Snapshot | undefined> {
    const bytes = await store.log.readSnapshot(NAME);
    if (bytes === undefined) return undefined;
    const snapshot = parse(bytes) as Snapshot;
    if (snapshot.version !== 1) {
      const text = `the definitions are of version ${String(snapshot.version)}, and this program reads 1: use the program that wrote them`;
      throw new NaruError('NARU_CORRUPT', text);
    }
    return snapshot;
  }
}

/** @throws NARU_CORRUPT */
export function parseChange(body: Uint8Array): Change {
  return parse(body) as Change;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch (cause) {
    // Its checksum is right: it was written so.
    throw new NaruError('NARU_CORRUPT', 'a definition in the data folder is not JSON', { cause });
  }
}
