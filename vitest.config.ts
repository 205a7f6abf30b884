// The suite runs the compiled package (dist) and the compiled cross-folder tests (build): what users install is what is
// tested, and child processes and workers start from the same files as the test itself.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['dist/**/*.test.js', 'build/test/**/*.test.js'],
    exclude: ['**/node_modules/**'],
    globalSetup: ['build/test/skipped.setup.js'],
    pool: 'forks',
    maxWorkers: 2,
    // Watchdogs: so long that a busy machine, on which starting a process takes a second or two, does not set them off.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 10_000,
    server: { deps: { external: [/\/dist\//, /\/build\//] } },
    reporters: ['default'],
  },
});
