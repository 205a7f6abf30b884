// Compiles the addon: one call of the C compiler with the headers of node-api-headers, no node-gyp and no download.
// Where that cannot be done it says what will not work and goes on, because most places need no addon.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const sourceFolder = join(root, 'native');
const headers = join(root, 'node_modules', 'node-api-headers', 'include');
const outFolder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
const output = join(outFolder, 'naru.node');

const flags = [
  '-shared',
  '-fPIC',
  '-O2',
  '-std=gnu11',
  '-Wall',
  '-Wextra',
  '-Werror',
  '-fvisibility=hidden',
  '-DNAPI_VERSION=8',
  // Stays in memory when the worker that loaded it ends: the finalizer of a SharedArrayBuffer may run after that.
  '-Wl,-z,nodelete',
  '-pthread',
];

/** Timers and POSIX queues: in the C library itself only from glibc 2.34. */
const libraries = ['-lrt'];

/** @returns the compiler as a command line, or undefined where there is none */
function findCompiler() {
  const fromEnvironment = (process.env.CC ?? '').split(/\s+/).filter((word) => word !== '');
  const candidates = [fromEnvironment, ['cc'], ['gcc'], ['clang']].filter((words) => words.length > 0);
  return candidates.find(([command, ...rest]) => spawnSync(command, [...rest, '--version']).status === 0);
}

function isUpToDate(inputs) {
  if (!existsSync(output)) return false;
  const built = statSync(output).mtimeMs;
  return inputs.every((input) => statSync(input).mtimeMs < built);
}

/** Why it cannot be built here; undefined when it can. */
function obstacle() {
  if (process.platform !== 'linux') return `it is for Linux, this is ${process.platform}`;
  if (!existsSync(headers)) return 'the package node-api-headers is not installed';
  return undefined;
}

function skip(reason) {
  const kept = existsSync(output)
    ? 'the one that is there stays'
    : 'shm:// will not work (naru doctor tells more)';
  process.stderr.write(`naru: the native addon was not built (${reason}): ${kept}\n`);
}

/**
 * Builds prebuilds/<platform>-<arch>/naru.node unless it is newer than its sources.
 * @returns true when the addon is up to date afterwards
 */
export function buildAddon({ quiet = false } = {}) {
  const blocked = obstacle();
  if (blocked !== undefined) return skip(blocked) ?? false;
  const files = readdirSync(sourceFolder);
  const sources = files.filter((name) => name.endsWith('.c')).map((name) => join(sourceFolder, name));
  const others = files.filter((name) => name.endsWith('.h')).map((name) => join(sourceFolder, name));
  if (isUpToDate([...sources, ...others, fileURLToPath(import.meta.url)])) return true;
  const compiler = findCompiler();
  if (compiler === undefined) return skip('no C compiler: neither $CC nor cc, gcc or clang') ?? false;
  mkdirSync(outFolder, { recursive: true });
  // Under another name first: a build beside this one, or a process that is loading it, never sees half a file.
  const temporary = join(outFolder, `.naru.${process.pid}.tmp`);
  const [command, ...rest] = compiler;
  const result = spawnSync(
    command,
    [...rest, ...flags, `-I${headers}`, '-o', temporary, ...sources, ...libraries],
    {
      encoding: 'utf8',
    },
  );
  if (result.status !== 0) {
    rmSync(temporary, { force: true });
    process.stderr.write(
      `${result.stdout}${result.stderr}naru: ${command} could not compile the native addon\n`,
    );
    process.exit(1);
  }
  renameSync(temporary, output);
  if (!quiet) process.stderr.write(`naru: built ${output.slice(root.length)}\n`);
  return true;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) buildAddon();
