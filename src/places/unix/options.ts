// What only unix:// knows: its parameters.

import { number } from '../../link/port-options.ts';
import { socketPath } from '../../link/unix-socket.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';

/** Parameters of a unix URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['heartbeatMs', 'maxConnections'];

export interface UnixOptions {
  readonly path: string;
  /** Default 0: none. The kernel tells when a process of this machine dies, and one that is only busy must not be dropped. */
  readonly heartbeatMs: number;
  /** Default 1,000. */
  readonly connectionsMax: number;
}

/** @throws NARU_INVALID_ARGUMENT  no absolute path, a path that is too long, a number that is none */
export function readUnixOptions(url: PlaceUrl): UnixOptions {
  return {
    path: socketPath(url),
    heartbeatMs: number(url, 'heartbeatMs', 0, 0, 3_600_000),
    connectionsMax: number(url, 'maxConnections', 1_000, 1, 65_536),
  };
}
