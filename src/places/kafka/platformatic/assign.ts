// How a group shares partitions: in turn, under the name and by the rule that other clients have for it.

import type { Metadata } from './package.ts';

/**
 * Each topic's partitions in turn to the members that read it. The package's own knows the leader's topics only, and members of one group
 * may read different ones.
 */
export function assignInTurn(
  _leader: string,
  members: ReadonlyMap<string, { readonly topics?: readonly string[] }>,
  _topics: unknown,
  { topics }: Metadata,
): { memberId: string; assignments: Map<string, { topic: string; partitions: number[] }> }[] {
  const all = Array.from(members.keys(), (memberId) => ({
    memberId,
    assignments: new Map<string, { topic: string; partitions: number[] }>(),
  })).toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  for (const [topic, known] of topics) {
    const readers = all.filter(({ memberId }) => members.get(memberId)?.topics?.includes(topic));
    for (const [partition] of (known?.partitions ?? []).entries()) {
      const reader = readers[partition % readers.length];
      const own = reader?.assignments.get(topic);
      if (own === undefined) reader?.assignments.set(topic, { topic, partitions: [partition] });
      else own.partitions.push(partition);
    }
  }
  return all;
}
