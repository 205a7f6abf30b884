// The pipe of a team. pipe:// has no address that other processes could open: each gets its end when it is started.

import { closeSync } from 'node:fs';
import { native } from '../native/index.ts';

/** A new pipe, for those that are about to be started. */
export interface TeamPipe {
  readonly reader: number;
  readonly writer: number;
  /** Once they are started: what this process has of it would keep its end from being seen. */
  release(): void;
}

/** @returns undefined for every other place @throws NARU_NATIVE_MISSING */
export function pipeFor(url: string): TeamPipe | undefined {
  if (!url.startsWith('pipe://')) return undefined;
  const [reader, writer] = native(url).makePipe(false, false);
  const release = (): void => {
    closeSync(reader);
    closeSync(writer);
  };
  return { reader, writer, release };
}
