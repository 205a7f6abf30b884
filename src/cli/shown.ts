// What naru ls and naru inspect show of a shared object, whatever kind it is of.

/** A process that uses an object or did so last. */
export interface Peer {
  readonly what: string;
  readonly isAlive: boolean;
}

/** What a command shows of one shared object; null is what nobody can know. */
export interface Shown {
  readonly kind:
    | 'mailbox'
    | 'value'
    | 'array'
    | 'map'
    | 'System V queue'
    | 'POSIX queue'
    | 'shared memory'
    | 'semaphore'
    | 'lock'
    | 'event'
    | 'FIFO';
  /** The URL that `naru inspect` and `naru rm` take, and where it is a mailbox, every other command. */
  readonly name: string;
  readonly uid: number | null;
  /** Permission bits. */
  readonly mode: number | null;
  /** Messages; of a semaphore set: how many semaphores; of a map: entries; of an array: elements. */
  readonly depth: number | null;
  readonly bytes: number | null;
  /** Who uses it, as far as that is known. */
  readonly peers: readonly Peer[] | null;
  /** `live`: somebody has it open; `dead`: nobody who could use it lives any more. */
  readonly state: 'live' | 'dead' | 'damaged' | null;
}

/** "writes 12, last sender 34 (gone)" */
export function peersText(peers: readonly Peer[]): string {
  if (peers.length === 0) return 'nobody';
  return peers.map(({ what, isAlive }) => (isAlive ? what : `${what} (gone)`)).join(', ');
}
