// `?as=shm`: what a memory mailbox can do when it stands in for another place, so that a unit test meets production's limits.

import type { Capabilities, Feature, Level } from '../../mailbox/capabilities.ts';
import { memory } from './capabilities.ts';

/** What both can do, with the narrower limits. Emulated there stays emulated here: it must be asked for in the same way. */
export function twinOf(other: Capabilities): Capabilities {
  const features = { ...memory.features } as Record<Feature, Level>;
  const notes: Partial<Record<Feature, string>> = { ...memory.notes };
  for (const name of Object.keys(features) as Feature[]) {
    if (features[name] === 'none') continue;
    features[name] = other.features[name];
    const note = other.notes[name];
    if (note !== undefined) notes[name] = note;
  }
  const { limits } = other;
  const hasPriority = features.priority !== 'none';
  return {
    ...memory,
    summary: `${memory.summary}, with the features and limits of ${other.scheme}`,
    features,
    notes,
    limits: {
      maxMessageBytes: Math.min(memory.limits.maxMessageBytes, limits.maxMessageBytes),
      priorityMin: hasPriority ? Math.max(memory.limits.priorityMin, limits.priorityMin) : 0,
      priorityMax: hasPriority ? Math.min(memory.limits.priorityMax, limits.priorityMax) : 0,
      maxProducers: Math.min(memory.limits.maxProducers, limits.maxProducers),
      maxConsumers: Math.min(memory.limits.maxConsumers, limits.maxConsumers),
    },
  };
}
