// How a group shares partitions, under the name by which other clients know it.

import type { Assigner, Package } from './package.ts';

/** The name by which other clients know the same way of sharing partitions, so that one group may have members of both packages. */
export function sharedAssigner({
  PartitionAssigners,
  AssignerProtocol,
}: Omit<Package['default'], 'Kafka'>): Assigner {
  return (context) => {
    const own = PartitionAssigners.roundRobin(context);
    const protocol = ({ topics }: { topics: readonly string[] }): object => ({
      name: 'roundrobin',
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: own.version,
        topics,
        userData: Buffer.alloc(0),
      }),
    });
    return { ...own, name: 'roundrobin', protocol };
  };
}
