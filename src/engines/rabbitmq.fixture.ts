// RabbitMQ from Debian's packages (3.10 on bookworm): a node of its own with its own cookie and its own port mapper, all in its
// folder, without plugins. The port mapper (epmd) would stay behind by itself: here it dies with its node.

import { existsSync } from 'node:fs';
import type { Engine, Site } from './engine.fixture.ts';
import { ask } from './probe.fixture.ts';

const PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server';
const HEADER = 'AMQP\0\0\u0009\u0001';

/** Everything that it would look for in /etc and /var otherwise. */
function settings({ folder, port, spare: [mapper, distribution] }: Site): readonly string[] {
  return [
    `HOME=${folder}`,
    `ERL_EPMD_PORT=${mapper}`,
    'ERL_EPMD_ADDRESS=127.0.0.1',
    `RABBITMQ_DIST_PORT=${distribution}`,
    `RABBITMQ_NODENAME=naru-${port}@localhost`,
    'RABBITMQ_NODE_IP_ADDRESS=127.0.0.1',
    `RABBITMQ_NODE_PORT=${port}`,
    `RABBITMQ_MNESIA_BASE=${folder}/data`,
    'RABBITMQ_LOGS=-',
    `RABBITMQ_LOG_BASE=${folder}/log`,
    `RABBITMQ_ENABLED_PLUGINS_FILE=${folder}/plugins`,
    `RABBITMQ_CONFIG_FILE=${folder}/none`,
    `RABBITMQ_CONF_ENV_FILE=${folder}/none`,
    // It replaces its shell then: the process that is killed is the node itself.
    'RUNNING_UNDER_SYSTEMD=true',
  ];
}

export const rabbitmq: Engine = {
  name: 'rabbitmq',
  variable: 'NARU_TEST_RABBITMQ',
  packages: ['rabbitmq-server'],
  program: () => (existsSync(PROGRAM) ? PROGRAM : undefined),
  user: 'rabbitmq',
  command: (site) => ({
    program: 'env',
    args: [
      ...settings(site),
      'sh',
      '-c',
      `setpriv --pdeathsig KILL epmd >/dev/null 2>&1 & exec ${PROGRAM} "$@"`,
      'rabbitmq',
      ...site.extra,
    ],
  }),
  isReady: async ({ port }) => (await ask(port, HEADER)).includes('RabbitMQ'),
  url: ({ port }) => `amqp://guest:guest@127.0.0.1:${port}`,
  // An Erlang machine on a busy computer.
  readyMs: 120_000,
};
