// At the end of a run: which tests were left out because they need an engine, and the command that starts it. Part of
// vitest.config.ts, whatever reporter is chosen.

import type { TestProject } from 'vitest/node';

/** Vitest calls it before the tests, and what it returns after them. */
export default function setup({ vitest }: TestProject): () => void {
  return () => {
    const left = vitest.state
      .getFiles()
      .filter(({ filepath }) => filepath.endsWith('.engine.test.js'))
      .flatMap((file) => {
        const groups = file.tasks.filter(({ mode }) => mode === 'skip');
        return groups.map(({ name }) => `  ${file.name}: ${name}`);
      });
    if (left.length > 0) process.stderr.write(`\nSkipped, for want of an engine:\n${left.join('\n')}\n`);
  };
}
