// What a fetch of the package @platformatic/kafka answers, as records.

import { HEADER, type InRecord } from '../client.ts';

export interface Batch {
  readonly firstOffset: bigint;
  readonly firstTimestamp: bigint;
  readonly lastOffsetDelta: number;
  readonly attributes: number;
  readonly records: readonly {
    readonly offsetDelta: number;
    readonly timestampDelta: bigint;
    readonly key: Uint8Array | null;
    readonly value: Uint8Array | null;
    readonly headers: readonly (readonly [Uint8Array | null, Uint8Array | null])[];
  }[];
}

export interface FetchResponse {
  readonly responses: readonly {
    readonly partitions: readonly {
      readonly partitionIndex: number;
      readonly records?: readonly Batch[] | null;
    }[];
  }[];
}

/** Control records of transactions are no messages. */
const IS_CONTROL = 0x20;

/** A batch is given whole, also when what was asked for begins in its midst. */
export function recordsOf(batches: readonly Batch[], position: number): { list: InRecord[]; next: number } {
  const list: InRecord[] = [];
  let next = position;
  for (const { firstOffset, firstTimestamp, lastOffsetDelta, attributes, records } of batches) {
    const first = Number(firstOffset);
    next = Math.max(next, first + lastOffsetDelta + 1);
    if ((attributes & IS_CONTROL) !== 0) continue;
    const start = Number(firstTimestamp);
    for (const { offsetDelta, timestampDelta, key, value, headers } of records) {
      const offset = first + offsetDelta;
      if (offset < position) continue;
      const timestamp = timestampDelta === 0n ? start : start + Number(timestampDelta);
      const { own, others } = headers.length === 0 ? NO_HEADERS : split(headers);
      list.push({ offset, key, value, own, headers: others, timestamp });
    }
  }
  return { list, next };
}

type Headers = Batch['records'][number]['headers'];

const EMPTY = new Uint8Array(0);
const NONE: InRecord['headers'] = [];
const NO_HEADERS = { own: undefined, others: NONE };
const OWN_HEADER = Buffer.from(HEADER);
const TEXT = new TextDecoder();

/** Naru's own header from the others. Of nearly every record it is the only one. */
function split(headers: Headers): Pick<InRecord, 'own'> & { readonly others: InRecord['headers'] } {
  let own: Uint8Array | undefined;
  let others: [string, Uint8Array][] | undefined;
  for (const [name, bytes] of headers) {
    if (name !== null && isOwn(name)) own = bytes ?? EMPTY;
    else (others ??= []).push([name === null ? '' : TEXT.decode(name), bytes ?? EMPTY]);
  }
  return { own, others: others ?? NONE };
}

function isOwn(name: Uint8Array): boolean {
  if (name.length !== OWN_HEADER.length) return false;
  for (let i = 0; i < name.length; i += 1) if (name[i] !== OWN_HEADER[i]) return false;
  return true;
}
