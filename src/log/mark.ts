// The mark that ends a group, as bytes: what it tells of what was synced before, and padding to the end of a sector. Without a mark
// behind it nothing counts.

import type { SyncedClaim } from './scan.ts';
import { KIND, MARK_BODY, MARK_BODY_BYTES, RECORD_HEADER_BYTES, SECTOR_BYTES } from './format.ts';
import { type Memory, newMemory, writeWord } from './memory.ts';
import { strideOf, writeRecord } from './record.ts';

export interface Mark {
  readonly claim: SyncedClaim;
  /** Records and control records since the last mark. */
  readonly records: number;
  /** Of the segment up to here. */
  readonly chain: number;
  /** Of the last record before it. */
  readonly sequence: number;
  /** Where it will stand in the file. */
  readonly offset: number;
  /**
   * To the end of the sector, as a group must be that is synced: no later write may touch what was. One that is in a sector
   * of its own needs none.
   */
  readonly isPadded: boolean;
}

export function markBytes({ claim, records, chain, sequence, offset, isPadded }: Mark, seed: number): Memory {
  const end = offset + RECORD_HEADER_BYTES + MARK_BODY_BYTES;
  const padding = isPadded ? (SECTOR_BYTES - (end % SECTOR_BYTES)) % SECTOR_BYTES : 0;
  const body = newMemory(MARK_BODY_BYTES + padding);
  writeWord(body, MARK_BODY.syncedNumber, claim.number);
  writeWord(body, MARK_BODY.syncedBytes, claim.bytes);
  const record = { stream: records, note: chain, body: body.bytes };
  const memory = newMemory(strideOf(record));
  writeRecord(memory, 0, KIND.mark, sequence, record, seed);
  return memory;
}
