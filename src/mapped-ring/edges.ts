// What the driver takes from outside and tests replace: the addon, and a call at every step after which a SIGKILL must do no
// harm. Names of the steps stand where they are called.

import { type NativeAddon, native } from '../native/index.ts';

export interface RingEdges {
  readonly native: NativeAddon;
  /** Called at every labelled step; does nothing outside of tests. */
  readonly failpoint: (name: string) => void;
}

const noFailpoint = (): void => undefined;

/**
 * @param what  what needs the addon: the place's scheme with its `://`
 * @throws NARU_NATIVE_MISSING
 */
export function defaultEdges(what: string): RingEdges {
  return { native: native(what), failpoint: noFailpoint };
}
