// How a consumer enters its group: the first time for a caller, later by itself. What entering is differs with each package.

import { Backoff } from '../../link/backoff.ts';

/** A consumer that enters. */
export interface Entrant {
  /** Comes back when it reads, or knows that it has nothing to read. */
  readonly enter: () => Promise<void>;
  /** Throws away what an entry that failed has left. */
  readonly drop: () => void;
  readonly close: () => Promise<void>;
  readonly trouble: (error: unknown) => void;
  /** Fires when it is closed. */
  readonly ending: AbortSignal;
}

/**
 * Enters for the first time: its errors are the caller's. After one, and after the signal, the consumer is closed.
 * @param signal  calls it off
 */
export async function enterFirst({ enter, close }: Entrant, signal: AbortSignal): Promise<void> {
  const stop = (): void => void close();
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    await enter();
  } catch (error) {
    await close();
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Enters in the place of a membership that is over, until it works or the consumer is closed. */
export async function enterAgain({ enter, drop, trouble, ending }: Entrant): Promise<void> {
  const backoff = new Backoff();
  while (!ending.aborted) {
    await backoff.wait(ending, false);
    if (ending.aborted) return;
    try {
      await enter();
      return;
    } catch (error) {
      drop();
      if (!ending.aborted) trouble(error);
    }
  }
}
