// The architecture, as a test: imports point downwards only, folders of one level never import each other, no cycles, no
// forbidden module in a pure core. Reads the sources as text; needs no build and no dependency.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const src = join(root, 'src');

/** Level of each folder; a file may import only from lower levels and from its own folder. */
const LEVELS: Readonly<Record<string, number>> = {
  errors: 0,
  waiting: 0,
  native: 0.5,
  kernel: 1,
  ring: 1,
  log: 1,
  disk: 1.5,
  wire: 1,
  store: 1,
  table: 1,
  mailbox: 2,
  // They share the mailbox's URLs, codecs, schemas and limits of waiting.
  sync: 2.2,
  // Values and arrays have a lock beside them.
  state: 2.3,
  link: 2.5,
  'kernel-queue': 2.5,
  'engine-queue': 2.4,
  'sql-queue': 2.5,
  'mapped-ring': 2.5,
  // Contents of a mailbox of link/.
  journal: 2.7,
  'mapped-state': 2.6,
  pipe: 2.5,
  // Has the seats and files of mapped-ring/.
  'mapped-sync': 2.7,
  client: 2.6,
  'places/memory': 3,
  'places/shm': 3,
  'places/unix': 3,
  'places/tcp': 3,
  'places/http': 3,
  'places/amqp': 3,
  'places/activemq': 3,
  'places/sysv': 3,
  'places/posixmq': 3,
  'places/mmap': 3,
  'places/fifo': 3,
  'places/pipe': 3,
  'places/sqlite': 3,
  'places/postgres': 3,
  'places/kafka': 3,
  'places/redis': 3,
  'places/memcached': 3,
  'places/file': 3,
  'places/zmq': 3,
  'places/ws': 3,
  manager: 3,
  places: 3.2,
  spawn: 3.2,
  '': 3.5,
  // Built for pages: imports nothing of Node.
  browser: 3,
  conformance: 3.8,
  broker: 3,
  cli: 4,
};

/** Types only: the shape of an envelope and of the native interface may be named anywhere above level 0. */
const SHARED_TYPES = ['wire/envelope-types.ts'];

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(src, join(entry.parentPath, entry.name)))
    .filter((file) => !file.endsWith('.test.ts') && !file.endsWith('.fixture.ts'));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(src, file), 'utf8');
  const found: Import[] = [];
  const pattern = /(?:import|export)\s+(type\s+)?[^'"`;]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)/g;
  for (const match of text.matchAll(pattern)) {
    const target = match[2] ?? match[3] ?? '';
    found.push({ from: file, to: normalize(join(dirname(file), target)), typeOnly: match[1] !== undefined });
  }
  return found;
}

function folderOf(file: string): string {
  const parts = dirname(file).split('/');
  if (parts[0] === '.') return '';
  if (parts[0] === 'places') return parts[1] === undefined ? 'places' : `places/${parts[1]}`;
  return parts[0] ?? '';
}

const files = sources(src);
const imports = files.flatMap(importsOf);

describe('the layers', () => {
  test('every folder has a level', () => {
    expect([...new Set(files.map(folderOf))].filter((folder) => !(folder in LEVELS))).toEqual([]);
  });

  test('imports point downwards, and folders of one level never import each other', () => {
    const wrong = imports.filter(({ from, to }) => {
      const [a, b] = [folderOf(from), folderOf(to)];
      return a !== b && !SHARED_TYPES.includes(to) && (LEVELS[b] ?? 99) >= (LEVELS[a] ?? -1);
    });
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  test('there is no import cycle, types included', () => {
    const graph = new Map(files.map((file) => [file, importsOf(file).map(({ to }) => to)]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' → '));
      if (done.has(file) || path.includes(file)) return;
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      done.add(file);
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test('the model and the pure cores touch neither disk nor network nor clock', () => {
    const forbidden = /from 'node:(fs|net|tls|dgram|http|child_process|worker_threads)(\/promises)?'/;
    const pure = files.filter(
      (file) =>
        /^(ring|store|wire|log|mailbox|state|table|sync|broker)\//.test(file) &&
        !file.startsWith('broker/edge/'),
    );
    expect(pure.filter((file) => forbidden.test(readFileSync(join(src, file), 'utf8')))).toEqual([]);
  });

  test('the model names no place', () => {
    const names = /['"`](memory|shm|unix|tcp|sysv|posixmq|mmap|fifo|pipe|file|sqlite|postgres|kafka):\/\//;
    const code = (file: string): string =>
      readFileSync(join(src, file), 'utf8').replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '');
    expect(
      files.filter((file) => /^(mailbox|store|ring|state|table|sync)\//.test(file) && names.test(code(file))),
    ).toEqual([]);
  });

  test('files stay under 600 lines and open with what lives in them', () => {
    const long = files.filter((file) => readFileSync(join(src, file), 'utf8').split('\n').length > 601);
    expect(long).toEqual([]);
    const mute = files.filter(
      (file) => !/^(#!.*\n)?(\/\/|\/\*\*)/.test(readFileSync(join(src, file), 'utf8')),
    );
    expect(mute).toEqual([]);
  });
});
