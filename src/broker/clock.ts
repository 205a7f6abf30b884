// Time as the broker's core sees it: given to it, never read from the system. Tests move it.

export interface Clock {
  /** Milliseconds since some start; never goes back. For ttl, delays, heartbeats. */
  now(): number;
  /** Milliseconds since 1970; may jump. Only for what people read. */
  wallMs(): number;
  /** Calls `fn` once when now() has reached `atMs`. @returns a function that calls it off */
  schedule(atMs: number, fn: () => void): () => void;
}
