// Loaded into a broker's process before its program: says how much memory its objects hold, when asked. What the allocator keeps
// of memory that was freed is not in it; the resident set, which has that too, is read from outside.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** @internal What is sent for a message `held`. */
export interface Held {
  readonly heldBytes: number;
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

process.on('message', (message) => {
  if (message !== 'held') return;
  // Twice: memory of buffers is freed after the collection that finds them.
  collect();
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  process.send?.({ heldBytes: heapUsed + arrayBuffers } satisfies Held);
});
// A broker that is to end does so without waiting for this channel.
process.channel?.unref();
