// The data folder of the command when none is given.

import { homedir } from 'node:os';
import { join } from 'node:path';

/** `$XDG_STATE_HOME/naru`, or `~/.local/state/naru`. */
export function dataFolder(): string {
  const { XDG_STATE_HOME: state } = process.env;
  const base = state === undefined || state === '' ? join(homedir(), '.local', 'state') : state;
  return join(base, 'naru');
}
