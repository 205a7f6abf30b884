// The hash by which Kafka's own clients choose the partition of a key: programs in other languages choose the same.

const SEED = 0x9747b28c;
const M = 0x5bd1e995;

/** As org.apache.kafka.common.utils.Utils.murmur2 with its sign taken off. */
export function partitionOf(key: Uint8Array, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions;
}

function murmur2(data: Uint8Array): number {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const whole = data.length & ~3;
  let hash = SEED ^ data.length;
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(view.getInt32(at, true), M);
    word ^= word >>> 24;
    hash = Math.imul(hash, M) ^ Math.imul(word, M);
  }
  let rest = 0;
  for (let at = data.length - 1; at >= whole; at -= 1) rest = (rest << 8) | (data[at] ?? 0);
  if (whole < data.length) hash = Math.imul(hash ^ rest, M);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, M);
  return hash ^ (hash >>> 15);
}
