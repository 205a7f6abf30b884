// The docs tell the truth: generated parts are current, codes and docs name each other, README keeps its size, links lead
// somewhere.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { generatedDocs } from '#naru/cli/generated-docs';
import { ERROR_CODES } from '#naru/errors/index';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (file: string): string => readFileSync(join(root, file), 'utf8');

function pages(): string[] {
  const docs = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map((file) =>
    join('docs', file),
  );
  const places = readdirSync(join(root, 'src/places'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => join('src/places', entry.name, 'README.md'));
  const top = readdirSync(root).filter((file) => file.endsWith('.md'));
  return [...top, ...docs, ...places].filter((file) => file.endsWith('.md'));
}

test('generated parts of the docs are current (npm run generate brings them up to date)', async () => {
  for (const { file, replace } of await generatedDocs()) expect(replace(read(file)), file).toBe(read(file));
});

test('the errors page names every code, and the docs name no code that does not exist', () => {
  const documented = new Set(read('docs/reference/errors.md').match(/NARU_[A-Z]+(?:_[A-Z]+)*/g));
  expect(Object.keys(ERROR_CODES).filter((code) => !documented.has(code))).toEqual([]);
  const variables = [
    'RUNTIME_DIR',
    'NO_NATIVE',
    'URL',
    'DEBUG',
    'ID',
    'DELIVERIES',
    'HEADERS',
    'TYPE',
    'ENGINES',
    'RECOVERED',
    'MANAGER_KEY',
    'ACTIVEMQ_PASSWORD',
    'AMQP_PASSWORD',
  ];
  const environment = variables.map((name) => `NARU_${name}`);
  for (const page of pages()) {
    const codes = read(page).match(/NARU_[A-Z]+(?:_[A-Z]+)*/g) ?? [];
    expect(
      codes.filter((code) => !(code in ERROR_CODES) && !environment.includes(code)),
      page,
    ).toEqual([]);
  }
});

test('the README is a newcomer’s page: under 200 lines, code by line 20', () => {
  const lines = read('README.md').split('\n');
  expect(lines.length).toBeLessThan(200);
  expect(lines.findIndex((line) => line.startsWith('```'))).toBeLessThan(20);
});

test('every relative link leads to a file', () => {
  const broken: string[] = [];
  for (const page of pages()) {
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      if (!existsSync(resolve(root, dirname(page), target))) broken.push(`${page} → ${target}`);
    }
  }
  expect(broken).toEqual([]);
});

test('the tests that the page of engine faults names exist', () => {
  const named = new Set(read('docs/reference/engine-faults.md').match(/[\w/.-]+\.test\.ts/g));
  const isThere = (file: string): boolean =>
    ['src', 'test'].some((folder) => existsSync(join(root, folder, file)));
  expect(named.size).toBeGreaterThan(20);
  expect([...named].filter((file) => !isThere(file))).toEqual([]);
});
