// How a group shares partitions, under the name by which other clients know it.

import type { Assigner, Package } from './package.ts';

/**
 * The name by which other clients know the same way of sharing partitions, so that one group may have members of both packages.
 * @param joining  called when a member is about to ask the group to let it in
 */
export function sharedAssigner(
  { PartitionAssigners, AssignerProtocol }: Omit<Package['default'], 'Kafka'>,
  joining: () => void,
): Assigner {
  return (context) => {
    const own = PartitionAssigners.roundRobin(context);
    const protocol = ({ topics }: { topics: readonly string[] }): object => {
      joining();
      const metadata = { version: own.version, topics, userData: Buffer.alloc(0) };
      return { name: 'roundrobin', metadata: AssignerProtocol.MemberMetadata.encode(metadata) };
    };
    return { ...own, name: 'roundrobin', protocol };
  };
}
