// Contestants written in Python: bench/rivals/python, run as they are.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Duel } from '../harness/duel.ts';
import { programDuel, type ProgramSpec } from './program.ts';

/** @param source  name of the program without its ending */
export function pythonDuel(source: string, spec: ProgramSpec): Duel {
  // From build/bench/rivals/ to the sources: nothing is compiled.
  const path = fileURLToPath(new URL(`../../../bench/rivals/python/${source}.py`, import.meta.url));
  return programDuel(spec, path, async () => {
    await promisify(execFile)('python3', ['-c', 'import multiprocessing']);
  });
}
