// Runs an example as a program of its own, as a reader would.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const WATCHDOG_MS = 60_000;

export interface Run {
  readonly code: number | string | undefined;
  readonly output: string;
  readonly problems: string;
}

/** Runs it to its end with more variables of the environment; kills it when it takes too long. */
export function runExample(name: string, variables: Readonly<Record<string, string>>): Promise<Run> {
  return new Promise((resolve) => {
    const options = {
      cwd: root,
      env: { ...process.env, ...variables },
      timeout: WATCHDOG_MS,
      killSignal: 'SIGKILL' as const,
    };
    const file = join(root, 'build', 'examples', `${name}.js`);
    execFile(process.execPath, [file], options, (error, output, problems) => {
      const code =
        error === null
          ? 0
          : error.killed === true
            ? `killed after ${WATCHDOG_MS} ms`
            : (error.code ?? undefined);
      resolve({ code, output, problems });
    });
  });
}

/** What it must print. */
export function expectedOf(name: string): string {
  return readFileSync(join(root, 'examples', `${name}.expected`), 'utf8');
}
