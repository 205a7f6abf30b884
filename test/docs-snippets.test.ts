// Every ```ts block of the README and the docs compiles against the built package. A block whose fence says `run` is also run;
// what it prints must be what its comments `// → …` say. Blocks that say `run=name` belong together: each is a process of its
// own, and they run at the same time. A block without an import gets open() and isNaruError() imported.

import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = join(root, 'build', 'snippets');
const base = process.platform === 'linux' ? '/dev/shm' : tmpdir();
const runtime = mkdtempSync(join(base, 'naru-snippets-'));
const WATCHDOG_MS = 20_000;

interface Snippet {
  readonly name: string;
  readonly code: string;
  /** The programs that run together; undefined = compiled only. */
  readonly group: string | undefined;
  readonly expected: readonly string[];
}

function snippetsOf(page: string): Snippet[] {
  const text = readFileSync(join(root, page), 'utf8');
  const blocks = [...text.matchAll(/^```ts(?: (run(?:=\w+)?))?\n([^]*?)^```$/gm)];
  return blocks.map(([, fence, body = ''], index) => {
    const name = `${basename(page, '.md').toLowerCase()}-${index + 1}`;
    const prelude = /^import /m.test(body) ? '' : `import { isNaruError, open } from 'naru';\n`;
    const group = fence === 'run' ? name : fence?.replace('run=', `${basename(page, '.md')}-`);
    const expected = [...body.matchAll(/\/\/ → (.*)$/gm)].map(([, line = '']) => line);
    return { name, code: `${prelude}${body}\nexport {};\n`, group, expected };
  });
}

function pages(under: string): string[] {
  return readdirSync(join(root, under), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.md'))
    .map((file) => join(under, file));
}

const snippets = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', ...pages('docs')].flatMap(snippetsOf);
const groups = new Map<string, Snippet[]>();
for (const snippet of snippets) {
  if (snippet.group !== undefined) groups.set(snippet.group, [...(groups.get(snippet.group) ?? []), snippet]);
}

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  // What a reader of docs/internals/conformance.md has beside the program.
  const declared = `import type { Capabilities } from 'naru';\nexport declare const capabilities: Capabilities;\n`;
  writeFileSync(join(folder, 'capabilities.ts'), declared);
  for (const { name, code } of snippets) writeFileSync(join(folder, `${name}.ts`), code);
  const compilerOptions = {
    rootDir: '.',
    outDir: 'out',
    noUnusedLocals: false,
    noUnusedParameters: false,
    sourceMap: false,
  };
  const config = {
    extends: '../../tsconfig.base.json',
    compilerOptions,
    files: snippets.map(({ name }) => `${name}.ts`),
  };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
});

afterAll(() => rmSync(runtime, { recursive: true, force: true }));

/** What a program printed, and how it ended. */
function run({ name }: Snippet): Promise<{ lines: string[]; problem: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, NARU_RUNTIME_DIR: runtime };
    const options = { cwd: folder, env, timeout: WATCHDOG_MS, killSignal: 'SIGKILL' as const };
    execFile(process.execPath, [join(folder, 'out', `${name}.js`)], options, (error, output, problems) => {
      const problem =
        error === null
          ? ''
          : `${error.killed === true ? 'killed: it took too long' : error.message}\n${problems}`;
      resolve({ lines: output.split('\n').slice(0, -1), problem });
    });
  });
}

test('there are snippets', () => {
  expect(snippets.length).toBeGreaterThan(0);
});

test('every TypeScript block of the docs compiles', () => {
  const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  let problems = '';
  try {
    execFileSync(process.execPath, [compiler, '-p', folder], {
      cwd: folder,
      encoding: 'utf8',
      stdio: 'pipe',
    });
  } catch (error) {
    problems = String((error as { stdout?: unknown }).stdout);
  }
  expect(problems).toBe('');
});

test.each([...groups.keys()])('%s prints what its comments say', async (group) => {
  const members = groups.get(group) ?? [];
  const results = await Promise.all(members.map(run));
  for (const [index, { lines, problem }] of results.entries()) {
    const member = members[index];
    expect({ lines, problem }, member?.name).toEqual({ lines: member?.expected, problem: '' });
  }
});
