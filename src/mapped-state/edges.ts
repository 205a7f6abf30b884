// What the drivers of shared state take from outside and tests replace: the addon, and a call at every step after which a SIGKILL
// must do no harm.

import type { NativeAddon } from '../native/index.ts';

export interface StateEdges {
  readonly native: NativeAddon;
  /** Called at every labelled step; does nothing outside of tests. */
  readonly failpoint: (name: string) => void;
}
