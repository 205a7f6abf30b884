// A mailbox on an engine whose client is not installed: NARU_PACKAGE_MISSING with the npm command, for every client that a place takes.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const NARU = new URL('../../dist/index.js', import.meta.url).href;
const hasOwnSqlite = process.getBuiltinModule?.('node:sqlite') !== undefined;

/** URL, package, and whether it is needed on this Node. Nobody listens on port 1. */
const CLIENTS: readonly (readonly [string, string, boolean])[] = [
  ['postgres://127.0.0.1:1/x?mailbox=m', 'pg', true],
  ['redis://127.0.0.1:1/0?mailbox=m', '@redis/client', true],
  ['amqp://127.0.0.1:1?queue=m', 'amqplib', true],
  [`sqlite://${fileURLToPath(new URL('.', import.meta.url))}missing.db?mailbox=m`, 'libsql', !hasOwnSqlite],
];

test.each(CLIENTS.filter(([, , isNeeded]) => isNeeded))(
  '%s without %s: NARU_PACKAGE_MISSING, with the npm command',
  { timeout: 60_000 },
  async (url, name) => {
    const hook = `export const resolve = (name, context, next) => {
      if (name !== ${JSON.stringify(name)}) return next(name, context);
      throw Object.assign(new Error("Cannot find package '" + name + "'"), { code: 'ERR_MODULE_NOT_FOUND' });
    };`;
    const program = `import { register } from 'node:module';
      register('data:text/javascript,' + encodeURIComponent(${JSON.stringify(hook)}));
      const { open } = await import(${JSON.stringify(NARU)});
      await open(${JSON.stringify(url)}).catch(({ code, message }) => console.log(code, message));`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program]);
    expect(stdout).toContain('NARU_PACKAGE_MISSING');
    expect(stdout).toContain(`npm install "${name}@^`);
  },
);
