// Other users for the tests of group access: real uids, each in a process of its own. Needs root. The package is copied to
// where every user can read it.

import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PeerOrders } from './peer.fixture.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** A user that exists as a number only. */
export interface User {
  readonly uid: number;
  /** Supplementary groups; the primary one has the number of the uid. */
  readonly groups: readonly number[];
  readonly umask?: string;
}

/** Why there are no other users here; undefined when there are. */
export function usersProblem(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.geteuid?.() !== 0) return 'needs root, to run processes of other users';
  const command = asUser({ uid: 65_534, groups: [] }, [process.execPath, '--version']);
  const { status } = spawnSync(command[0] as string, command.slice(1));
  return status === 0 ? undefined : `needs setpriv, and ${process.execPath} where other users can run it`;
}

function asUser({ uid, groups, umask = '022' }: User, command: readonly string[]): string[] {
  const supplementary = groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`;
  const identity = [`--reuid=${uid}`, `--regid=${uid}`, supplementary];
  return ['setpriv', ...identity, 'sh', '-c', `umask ${umask}; exec "$@"`, 'sh', ...command];
}

/** A copy of the compiled package that every user can read. */
export class Package {
  readonly #folder = mkdtempSync(join(tmpdir(), 'naru-users-'));

  constructor() {
    for (const part of ['dist', 'prebuilds', 'package.json'])
      cpSync(join(root, part), join(this.#folder, part), { recursive: true });
    spawnSync('chmod', ['-R', 'a+rX', this.#folder]);
  }

  /** A compiled file of the package. */
  file(path: string): string {
    return join(this.#folder, 'dist', path);
  }

  /** The command of a peer with these orders. */
  peer(user: User, orders: PeerOrders): string[] {
    return asUser(user, [process.execPath, this.file('places/shm/peer.fixture.js'), JSON.stringify(orders)]);
  }

  /** The command of a module that has `open`. */
  module(user: User, body: string): string[] {
    const code = `import { open } from '${this.file('index.js')}'; ${body}`;
    return asUser(user, [process.execPath, '--input-type=module', '-e', code]);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
