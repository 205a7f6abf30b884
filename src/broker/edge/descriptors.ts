// How many sockets this process can still have. Node closes a connection without a word when no descriptor is left for it, so the
// door has to know before: what it cannot serve it refuses, and counts.

import { readdirSync, readFileSync } from 'node:fs';
import type { Limits } from '../limits.ts';

/** How many sockets each door may have at a time. */
export interface SocketBudget {
  /** Clients that are logged in. */
  readonly connections: number;
  /** Clients that are not yet. */
  readonly handshakes: number;
  readonly http: number;
  /** Descriptors that the process may have, where they allow fewer sockets than the limits do. */
  readonly narrowedBy: number | undefined;
}

/** Of what is too little for all, strangers and HTTP get a part of this size each. */
const PART = 8;

export function socketBudget(
  limits: Limits,
  descriptors: number | undefined = freeDescriptors(),
): SocketBudget {
  const { connectionsMax, handshakesMax, httpConnectionsMax, descriptorsReserved } = limits;
  const free = Math.max(3, (descriptors ?? Infinity) - descriptorsReserved);
  const wanted = connectionsMax + handshakesMax + httpConnectionsMax;
  if (free >= wanted) {
    return {
      connections: connectionsMax,
      handshakes: handshakesMax,
      http: httpConnectionsMax,
      narrowedBy: undefined,
    };
  }
  const part = Math.max(1, Math.floor(free / PART));
  const handshakes = Math.min(handshakesMax, part);
  const http = Math.min(httpConnectionsMax, part);
  const connections = Math.min(connectionsMax, free - handshakes - http);
  return {
    connections,
    handshakes,
    http,
    narrowedBy: connections < connectionsMax ? descriptors : undefined,
  };
}

/** Descriptors that are not in use; undefined where the system does not say. */
function freeDescriptors(): number | undefined {
  try {
    const soft = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    return soft === undefined ? undefined : Number(soft) - readdirSync('/proc/self/fd').length;
  } catch {
    return undefined;
  }
}
