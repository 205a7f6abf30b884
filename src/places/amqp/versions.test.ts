// Every version of amqplib that package.json allows, each in a process of its own whose imports of it are led there.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BrokerProcess } from './broker.fixture.ts';

const PROGRAM = fileURLToPath(new URL('./versions.fixture.js', import.meta.url));
const broker = new BrokerProcess();
beforeAll(() => broker.start(), 30_000);
afterAll(() => broker[Symbol.asyncDispose]());

function leadTo(name: string): string {
  const hook = `export const resolve = (asked, context, next) => next(asked === 'amqplib' ? '${name}' : asked, context);`;
  const text = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  return text(`import { register } from 'node:module'; register(${JSON.stringify(text(hook))});`);
}

test.each(['amqplib-0', 'amqplib-1', 'amqplib'])(
  '%s: queues, topics, requests, delays, and connections that break',
  { timeout: 90_000 },
  async (name) => {
    const args = ['--import', leadTo(name), PROGRAM, broker.url, name];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toBe('done\n');
  },
);
