// A lab with one client and shorthands for what most tests do. Not part of the package.

import type { Got } from './got.fixture.ts';
import { Lab, type Peer } from './peer.fixture.ts';

/** A lab, one client, and shorthands. */
export interface Bench {
  readonly lab: Lab;
  readonly peer: Peer;
  /** Publishes to a queue by name. */
  readonly put: (queue: string, ...bodies: string[]) => void;
  /** Takes one message off a queue. */
  readonly get: (queue: string) => Got | undefined;
  readonly counts: (queue: string) => readonly [number, number];
}

export function bench(): Bench {
  const lab = new Lab();
  const peer = lab.connect();
  return {
    lab,
    peer,
    put: (queue, ...bodies) => {
      for (const body of bodies) peer.publish({ routingKey: queue }, body);
    },
    get: (queue) => {
      const [got] = peer.call('basic.get', { queue, noAck: true });
      return got?.name === 'basic.get-ok' ? got : undefined;
    },
    counts: (queue) => {
      const args = peer.queue(queue, {}, { passive: true })[0]?.args;
      return [args?.['messageCount'] as number, args?.['consumerCount'] as number];
    },
  };
}

/** Takes all bodies off a queue. */
export function drain({ get }: Bench, queue: string): string[] {
  const bodies: string[] = [];
  for (let got = get(queue); got !== undefined; got = get(queue)) bodies.push(got.body ?? '');
  return bodies;
}
