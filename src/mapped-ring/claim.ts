// Room in a lane for one message that its producer writes in place: the envelope is written at once, the body by the user.

import type { ClaimRequest, DriverClaim } from '../mailbox/driver.ts';
import { RECORD_FLAG } from '../ring/layout.ts';
import type { RingMemory } from '../ring/memory.ts';
import { encodedSize, encodeEnvelope } from '../wire/envelope.ts';
import type { SendingLane } from './sending-lane.ts';

const EMPTY = new Uint8Array(0);

/** Bytes a claim takes with its headers. */
export function claimSize({ fields, sizeBytes }: ClaimRequest): number {
  return encodedSize({ body: EMPTY, fields }) + sizeBytes;
}

/**
 * Reserves room, unpublished: what is never committed does not exist.
 *
 * @param publish  makes the lane's reservations visible; what it throws, commit() throws
 * @returns undefined while there is no room
 * @throws NARU_CORRUPT
 */
export function claimIn(
  lane: SendingLane,
  memory: RingMemory,
  request: ClaimRequest,
  publish: () => void,
): DriverClaim | undefined {
  const { sizeBytes, sequence, time, fields } = request;
  const envelope = { body: EMPTY, sequence, time, fields };
  const size = claimSize(request);
  const at = lane.reserve(size, fields?.ttlMs === undefined ? 0 : RECORD_FLAG.ttl);
  if (at < 0) return undefined;
  const start = encodeEnvelope(envelope, memory.bytes, memory.view, at);
  return {
    body: memory.bytes.subarray(start, start + sizeBytes),
    commit: (usedBytes) => {
      if (usedBytes < sizeBytes) lane.shrink(at, size - sizeBytes + usedBytes);
      publish();
    },
    abort: () => lane.abandon(),
  };
}
