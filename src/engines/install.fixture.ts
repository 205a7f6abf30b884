// Installs engines from Debian's packages, as root, without letting Debian start them as services.

import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { Engine } from './engine.fixture.ts';

/** What Debian's packages ask before they start a service. */
const POLICY = '/usr/sbin/policy-rc.d';

/** Runs apt-get; its output is shown only when it fails. @returns what went wrong */
function apt(...args: readonly string[]): string | undefined {
  const { status, stdout, stderr, error } = spawnSync('apt-get', ['-q', '-y', ...args], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  });
  if (status === 0) return undefined;
  const said = `${stdout ?? ''}${stderr ?? ''}`.trim().split('\n').slice(-3).join(' · ');
  return `apt-get ${args.join(' ')}: ${error?.message ?? said}`;
}

/** No service starts while `act` runs. */
function withoutServices<T>(act: () => T): T {
  if (existsSync(POLICY)) return act();
  const remove = (): void => rmSync(POLICY, { force: true });
  process.once('exit', remove);
  writeFileSync(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    return act();
  } finally {
    remove();
    process.off('exit', remove);
  }
}

let isListFresh = false;

/** Makes sure that an engine or a client is installed. @returns why it is not */
export async function install(
  engine: Pick<Engine, 'packages' | 'program' | 'fetch'>,
): Promise<string | undefined> {
  if (engine.program() === undefined && engine.packages.length > 0) {
    const command = `apt-get install -y --no-install-recommends ${engine.packages.join(' ')}`;
    if (process.getuid?.() !== 0) return `it is not installed; as root: ${command}`;
    if (spawnSync('apt-get', ['--version']).error !== undefined)
      return 'it is not installed, and there is no apt-get';
    if (!isListFresh) {
      const problem = apt('update');
      if (problem !== undefined) return problem;
      isListFresh = true;
    }
    const problem = withoutServices(() => apt('install', '--no-install-recommends', ...engine.packages));
    if (problem !== undefined) return problem;
  }
  try {
    await engine.fetch?.();
  } catch (error) {
    return (error as Error).message;
  }
  return engine.program() === undefined ? 'its program was not found after it was installed' : undefined;
}
