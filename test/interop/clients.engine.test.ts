// RabbitMQ's clients of other languages, unchanged, against Naru's broker, and against RabbitMQ where it runs: one scenario, the
// same lines. Confirms, a return, prefetch, headers, a message put back, counts, and the error of a queue that is gone.

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Broker } from 'naru/broker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { hasClient, JAVA_CLASSES } from '#naru/engines/clients.fixture';

// From build/test/interop/ to the sources.
const FOLDER = fileURLToPath(new URL('../../../test/interop/clients/', import.meta.url));
const LIMIT_MS = 180_000;
const RABBITMQ = process.env['NARU_TEST_RABBITMQ'];

/** Programs that speak AMQP, each with the scenario in its language. */
const PROGRAMS = [
  { name: 'pika', command: ['/usr/bin/python3', `${FOLDER}pika-scenario.py`] },
  { name: 'php-amqplib', command: ['php', `${FOLDER}php-amqplib.php`] },
  { name: 'java', command: ['java', '-cp', JAVA_CLASSES.join(':'), `${FOLDER}Scenario.java`] },
] as const;

let broker: Broker;
const failures: Error[] = [];
beforeAll(async () => {
  broker = await Broker.start({ port: 0 });
  broker.on('error', (error: Error) => failures.push(error));
});
afterAll(async () => {
  await broker.stop();
  expect(failures).toEqual([]);
});

/** Runs a program to its end. @returns what it printed; throws what it complained of */
async function run(command: readonly string[], input?: string): Promise<string> {
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, { timeout: LIMIT_MS });
  child.stdin.end(input);
  let output = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (output += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (complaints += part));
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject).once('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${output}${complaints}`);
  return output;
}

describe.each([
  ['Naru', () => broker.url, true],
  ['RabbitMQ', () => RABBITMQ as string, RABBITMQ !== undefined],
] as const)('clients of other languages and %s', (_name, url, isThere) => {
  for (const { name, command } of PROGRAMS) {
    const isReady = isThere && hasClient(name);
    test.skipIf(!isReady)(
      `${name}${isReady ? '' : ` (skipped: npm run test:engines -- ${name} rabbitmq)`}`,
      async () => {
        const queue = `interop-${name}`;
        const lines = (await run([...command, url(), queue])).trim().split('\n');
        expect(lines).toEqual([
          'confirmed 100',
          'returned NO_ROUTE',
          'received 100 again m5',
          'left 0',
          `closed 404 NOT_FOUND - no queue '${queue}' in vhost '/'`,
          'end',
        ]);
      },
      LIMIT_MS,
    );
  }

  const hasTools = isThere && hasClient('amqp-tools');
  test.skipIf(!hasTools)(
    `amqp-tools${hasTools ? '' : ' (skipped: npm run test:engines -- amqp-tools rabbitmq)'}`,
    async () => {
      const at = `--url=${url()}`;
      const queue = 'interop-tools';
      expect(await run(['amqp-declare-queue', at, '-d', '-q', queue])).toBe(`${queue}\n`);
      for (const body of ['one', 'two', 'three'])
        await run(['amqp-publish', at, '-p', '-r', queue, '-b', body]);
      await run(['amqp-publish', at, '-r', queue, '-l'], 'four\nfive\n');
      expect(await run(['amqp-get', at, '-q', queue])).toBe('one');
      expect(await run(['amqp-consume', at, '-q', queue, '-c', '4', '-p', '1', 'cat'])).toMatch(
        /^two\s*three\s*four\s*five\s*$/,
      );
      await expect(run(['amqp-get', at, '-q', queue])).rejects.toThrow(/ended with 2/);
      await run(['amqp-delete-queue', at, '-q', queue]);
      await expect(run(['amqp-get', at, '-q', queue])).rejects.toThrow(/404, message: NOT_FOUND - no queue/);
    },
    LIMIT_MS,
  );
});
