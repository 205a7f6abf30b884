// PostgreSQL from Debian's packages: a cluster of its own with a password, its data written but not synced (a SIGKILL loses
// nothing by that, a power cut would).

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import type { Engine } from './engine.fixture.ts';

const USER = 'naru';
const PASSWORD = 'p0stgr3s-p4ssw0rd';
const CLUSTER = ['-U', USER, '-A', 'scram-sha-256', '-E', 'UTF8', '--no-locale', '--no-sync'];
const SETTINGS = ['fsync=off', 'max_connections=200', 'shared_buffers=32MB', 'listen_addresses=127.0.0.1'];
const VERSIONS = '/usr/lib/postgresql';

/** The folder with the programs of the newest version that is installed. */
function programs(): string | undefined {
  if (!existsSync(VERSIONS)) return undefined;
  const newest = readdirSync(VERSIONS).sort((a, b) => Number(b) - Number(a));
  return newest.map((one) => join(VERSIONS, one, 'bin')).find((bin) => existsSync(join(bin, 'postgres')));
}

function program(name: string): string {
  return join(programs() as string, name);
}

export const postgres: Engine = {
  name: 'postgres',
  variable: 'NARU_TEST_POSTGRES',
  packages: ['postgresql'],
  program: () => (programs() === undefined ? undefined : program('postgres')),
  user: 'postgres',
  prepare: ({ folder }) => [
    { program: 'sh', args: ['-c', `umask 077; printf %s '${PASSWORD}' > '${folder}/password'`] },
    {
      program: program('initdb'),
      args: ['-D', join(folder, 'data'), `--pwfile=${folder}/password`, ...CLUSTER],
    },
  ],
  command: ({ folder, port, extra }) => ({
    program: program('postgres'),
    args: [
      '-D',
      join(folder, 'data'),
      '-p',
      String(port),
      '-k',
      folder,
      ...SETTINGS.flatMap((one) => ['-c', one]),
      ...extra,
    ],
  }),
  isReady: async ({ port }) => {
    await promisify(execFile)(program('pg_isready'), ['-q', '-h', '127.0.0.1', '-p', String(port)]);
    return true;
  },
  // A fast shutdown: its shared memory would stay behind.
  stopSignal: 'SIGINT',
  url: ({ port }) => `postgres://${USER}:${PASSWORD}@127.0.0.1:${port}/postgres`,
};
