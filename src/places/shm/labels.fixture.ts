// The labels of the steps at which a crash test can end a process, read from the compiled modules themselves: so that a new step which no test
// kills at is found.

import { readdirSync, readFileSync } from 'node:fs';

const DIST = new URL('../../', import.meta.url);

/** @param modules  below dist/: a file without its ending, or a folder: all of its files */
export function labelsIn(modules: readonly string[]): Set<string> {
  const labels = new Set<string>();
  for (const module of modules)
    for (const file of filesOf(module))
      for (const [, label = ''] of readFileSync(new URL(file, DIST), 'utf8').matchAll(
        /failpoint\('([a-z:-]+)'\)/g,
      ))
        labels.add(label);
  return labels;
}

function filesOf(module: string): string[] {
  if (!module.endsWith('/')) return [`${module}.js`];
  const names = readdirSync(new URL(module, DIST));
  return names.filter((name) => /^[a-z-]+\.js$/.test(name)).map((name) => `${module}${name}`);
}
