// The clients of engines that are not installed: each place names its own with the npm command. One process for all, which finds none of them.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const NARU = new URL('../../dist/index.js', import.meta.url).href;

/** What is opened, and the package that is named. Nobody has to listen there. */
const MAILBOXES: readonly (readonly [string, string])[] = [
  ['redis://127.0.0.1:1/0?mailbox=x', '@redis/client'],
  ['redis://127.0.0.1:1/0?channel=x', '@redis/client'],
  ['postgres://127.0.0.1:1/x?mailbox=x', 'pg'],
  ['amqp://127.0.0.1:1/?queue=x', 'amqplib'],
  ['activemq://127.0.0.1:1?queue=x', 'rhea'],
  ['kafka://127.0.0.1:1?topic=x', '@platformatic/kafka'],
];

const PROGRAM = `
import { register } from 'node:module';
const absent = /^(@redis\\/client|pg|amqplib|rhea|@platformatic\\/kafka|kafkajs)$/;
const hook = \`export function resolve(name, context, next) {
  if (!\${absent}.test(name)) return next(name, context);
  throw Object.assign(new Error("Cannot find package '" + name + "'"), { code: 'ERR_MODULE_NOT_FOUND' });
}\`;
register('data:text/javascript,' + encodeURIComponent(hook));
const { open } = await import(process.argv[1]);
const told = [];
for (const url of process.argv.slice(2))
  told.push(await open(url).then(() => 'opened', ({ code, message }) => code + ' ' + message));
console.log(JSON.stringify(told));
`;

test('a missing client is NARU_PACKAGE_MISSING, with the command that installs it', async () => {
  const args = ['--input-type=module', '-e', PROGRAM, NARU, ...MAILBOXES.map(([url]) => url)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const told = JSON.parse(stdout) as string[];
  for (const [at, [url, name]] of MAILBOXES.entries()) {
    expect(told[at], url).toMatch(/^NARU_PACKAGE_MISSING /);
    expect(told[at], url).toContain(`npm install "${name}@`);
  }
}, 30_000);
