// Builds rivals that are written in other languages, on the spot and outside the sources: build/rivals. What is there and newer
// than its sources is used again.

import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

// From build/bench/rivals/ to the package's root.
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const SOURCES = join(ROOT, 'bench/rivals/c');
/** The header that one of them is a client with. */
const INTEROP = join(ROOT, 'interop');
const TARGET = join(ROOT, 'build/rivals');
const CARGO_FOLDER = join(ROOT, 'bench/rivals/iceoryx2');
const COMPILERS = ['cc', 'gcc', 'clang'];
const CARGO_MINUTES = 10;

/** Where a contestant written in C is, or will be. */
export function pathOfC(name: string): string {
  return join(TARGET, name);
}

/** Where the Rust contestant is, or will be. */
export const RUST_PROGRAM: string = join(TARGET, 'cargo/release/naru-bench-iceoryx2');

/**
 * Compiles `bench/rivals/c/<name>.c` with -O2.
 *
 * @param files  what it is made of
 * @throws where there is no compiler, with what it said otherwise
 */
export async function buildC(
  name: string,
  files: readonly string[] = ['rival.c', `${name}.c`],
): Promise<void> {
  const program = pathOfC(name);
  if (isNewer(program, SOURCES) && isNewer(program, INTEROP)) return;
  mkdirSync(TARGET, { recursive: true });
  // Another run may compile or start it at this moment: it appears at once and whole.
  const half = `${program}.${process.pid}`;
  const sources = files.map((file) => join(SOURCES, file));
  const options = ['-O2', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-o', half, ...sources, '-lrt'];
  try {
    for (const compiler of COMPILERS) {
      const missing = await run(compiler, options);
      if (missing) continue;
      renameSync(half, program);
      return;
    }
  } finally {
    rmSync(half, { force: true });
  }
  throw new Error(`no C compiler (${COMPILERS.join(', ')})`);
}

/** Builds the crate in bench/rivals/iceoryx2 in release mode. @throws where there is no cargo, or no way to its registry */
export async function buildRust(): Promise<void> {
  if (isNewer(RUST_PROGRAM, join(CARGO_FOLDER, 'src')) && isNewer(RUST_PROGRAM, CARGO_FOLDER)) return;
  const manifest = join(CARGO_FOLDER, 'Cargo.toml');
  const options = ['build', '--release', '--locked', '--quiet', '--manifest-path', manifest];
  const missing = await run(
    'cargo',
    [...options, '--target-dir', join(TARGET, 'cargo')],
    CARGO_MINUTES * 60_000,
  );
  if (missing) throw new Error('no Rust toolchain (cargo)');
}

/** @returns true when there is no such command */
function run(command: string, options: readonly string[], timeoutMs = 60_000): Promise<boolean> {
  return new Promise((resolve, reject) => {
    execFile(command, options, { timeout: timeoutMs }, (error, _, stderr) => {
      if (error === null) resolve(false);
      else if (error.code === 'ENOENT') resolve(true);
      else reject(new Error(`${command} failed: ${firstError(stderr) ?? error.message}`));
    });
  });
}

/** The line that says what went wrong, without the way to it. */
function firstError(output: string): string | undefined {
  const line = output.split('\n').find((text) => /error/i.test(text));
  return line?.replaceAll(ROOT, '');
}

function isNewer(program: string, folder: string): boolean {
  try {
    const { mtimeMs } = statSync(program);
    return readdirSync(folder).every((file) => statSync(join(folder, file)).mtimeMs < mtimeMs);
  } catch {
    return false;
  }
}
