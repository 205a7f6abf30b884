// Client libraries and tools of other languages, from Debian's packages, that tests run against Naru. Installed by
// `npm run test:engines` like the engines; NARU_TEST_CLIENTS names those that are there.

import { existsSync } from 'node:fs';
import type { Engine } from './engine.fixture.ts';

/** One of them: its name and what its tests need. */
export type ClientKit = Pick<Engine, 'name' | 'packages' | 'program'>;

/** Where a client's own file tells that it is installed. */
const kit = (name: string, packages: readonly string[], file: string): ClientKit => ({
  name,
  packages,
  program: () => (existsSync(file) ? file : undefined),
});

export const JAVA_CLASSES: readonly string[] = ['amqp-client', 'slf4j-api', 'slf4j-nop'].map(
  (name) => `/usr/share/java/${name}.jar`,
);

export const CLIENTS: readonly ClientKit[] = [
  kit('pika', ['python3-pika'], '/usr/lib/python3/dist-packages/pika/__init__.py'),
  kit('amqp-tools', ['amqp-tools'], '/usr/bin/amqp-publish'),
  kit('php-amqplib', ['php-amqplib', 'php-cli'], '/usr/share/php/PhpAmqpLib/autoload.php'),
  kit('libzmq', ['libzmq3-dev'], '/usr/include/zmq.h'),
  kit('pyzmq', ['python3-zmq'], '/usr/lib/python3/dist-packages/zmq/__init__.py'),
  {
    name: 'java',
    // A compiler of Java that is there already is good enough.
    packages: ['librabbitmq-client-java', ...(existsSync('/usr/bin/javac') ? [] : ['default-jdk-headless'])],
    // Other packages bring some of them.
    program: () => (JAVA_CLASSES.every((file) => existsSync(file)) ? JAVA_CLASSES[0] : undefined),
  },
];

/** Whether the run has this client. */
export function hasClient(name: string): boolean {
  return (process.env['NARU_TEST_CLIENTS'] ?? '').split(' ').includes(name);
}
