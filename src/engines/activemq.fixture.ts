// ActiveMQ Classic with its AMQP connector, from the jars of Maven Central: anybody may use it, what it holds is on disk, and it can
// deliver later. What a test that starts it adds are parameters of its connector.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './engine.fixture.ts';
import { JAVA_SMALL, Jars, javaPackages } from './maven.fixture.ts';
import { ask } from './probe.fixture.ts';

const VERSION = '6.3.1';
const JAVA = '/usr/bin/java';
const JARS = new Jars('activemq', [
  ...(['broker', 'amqp', 'kahadb-store', 'console'] as const).map(
    (part) => `org.apache.activemq:activemq-${part}:${VERSION}` as const,
  ),
  'org.slf4j:slf4j-simple:2.0.17',
]);
const HEADER = 'AMQP\u0003\u0001\0\0';

export const activemq: Engine = {
  name: 'activemq',
  variable: 'NARU_TEST_ACTIVEMQ',
  packages: javaPackages(),
  fetch: async () => JARS.fetch(),
  program: () => (existsSync(JAVA) && JARS.classPath !== undefined ? JAVA : undefined),
  command: ({ folder, port, extra }) => ({
    program: JAVA,
    args: [
      ...JAVA_SMALL,
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
      `-Dactivemq.home=${folder}`,
      `-Dactivemq.base=${folder}`,
      '-cp',
      JARS.classPath ?? '',
      'org.apache.activemq.console.Main',
      'start',
      `broker:(amqp://127.0.0.1:${port}?${extra.join('&')})/naru?useJmx=false&persistent=true&schedulerSupport=true&dataDirectory=${join(folder, 'data')}`,
    ],
  }),
  isReady: async ({ port }) => (await ask(port, HEADER)).startsWith('AMQP'),
  url: ({ port }) => `activemq://127.0.0.1:${port}`,
  readyMs: 120_000,
};
