// Waiting until the other side is there: what slow joiners lack elsewhere.

import type { Driver } from './driver.ts';
import { watchLimits, type WaitLimits } from './waiting.ts';

/** How many must be attached, by all processes together. */
export interface ReadyOptions extends WaitLimits {
  /** Default 0. */
  readonly producers?: number;
  /** Default 0. */
  readonly consumers?: number;
}

/** Some places learn of peers only when they look: how often to look, in milliseconds. Also keeps the process alive. */
const LOOK_MS = 100;

/**
 * @param listeners  called by the mailbox whenever the numbers of peers change, or when it closes
 * @param failure    the error to reject with, once there is one
 */
export function waitForPeers(
  driver: Driver,
  listeners: Set<() => void>,
  options: ReadyOptions,
  failure: () => Error | undefined,
  mailbox: string,
): Promise<void> {
  const { producers = 0, consumers = 0 } = options;
  const isReady = (): boolean => driver.peers.producers >= producers && driver.peers.consumers >= consumers;
  if (isReady()) return Promise.resolve();
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearInterval(timer);
      stop();
      listeners.delete(check);
    };
    const check = (): void => {
      const error = failure();
      if (error === undefined && !isReady()) return;
      finish();
      if (error === undefined) resolve();
      else reject(error);
    };
    const timer = setInterval(check, LOOK_MS);
    const stop = watchLimits(options, 'the peers did not come', mailbox, (error) => {
      finish();
      reject(error);
    });
    listeners.add(check);
  });
}
