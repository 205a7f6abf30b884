// Apache Kafka, one node without ZooKeeper (KRaft), from the jars of Maven Central: anybody may use its port, its second spare port
// wants SASL, PLAIN or SCRAM (`guardedUrl`), and speaks TLS when it is started with `encrypted()`. More properties are arguments of the test
// that starts it: `name=value`.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Engine, Site } from './engine.fixture.ts';
import { JAVA_SMALL, Jars, javaPackages } from './maven.fixture.ts';
import { ask } from './probe.fixture.ts';

const USER = 'naru';
const PASSWORD = 'k4fk4-p4ssw0rd';
const JAVA = '/usr/bin/java';
const JARS = new Jars('kafka', ['org.apache.kafka:kafka_2.13:4.1.2', 'org.slf4j:slf4j-simple:1.7.36']);
const LOG = ['-Dorg.slf4j.simpleLogger.defaultLogLevel=warn'];
/** Metadata, version 0, about every topic: key 3, version 0, number 1, client id "naru", no names. */
const WHO_IS_THERE = '\0\0\0\u0012\0\u0003\0\0\0\0\0\u0001\0\u0004naru\0\0\0\0';
const SCRAM = ['SCRAM-SHA-256', 'SCRAM-SHA-512'];
const PLAIN = `org.apache.kafka.common.security.plain.PlainLoginModule required user_${USER}="${PASSWORD}";`;
const SCRAM_MODULE = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
/** Its users are kept in the cluster, and so they are there from the start. */
const SCRAM_USERS = SCRAM.flatMap((name) => ['--add-scram', `${name}=[name=${USER},password=${PASSWORD}]`]);

function properties({ folder, port, spare: [controller, guarded], extra }: Site): string {
  const addresses = `OPEN://127.0.0.1:${port},GUARDED://127.0.0.1:${guarded}`;
  return [
    'process.roles=broker,controller',
    'node.id=1',
    `controller.quorum.bootstrap.servers=127.0.0.1:${controller}`,
    `listeners=${addresses},CONTROLLER://127.0.0.1:${controller}`,
    `advertised.listeners=${addresses},CONTROLLER://127.0.0.1:${controller}`,
    'listener.security.protocol.map=OPEN:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names=CONTROLLER',
    'inter.broker.listener.name=OPEN',
    `listener.name.guarded.sasl.enabled.mechanisms=${['PLAIN', ...SCRAM].join(',')}`,
    `listener.name.guarded.plain.sasl.jaas.config=${PLAIN}`,
    ...SCRAM.map((name) => `listener.name.guarded.${name.toLowerCase()}.sasl.jaas.config=${SCRAM_MODULE}`),
    `log.dirs=${join(folder, 'data')}`,
    'auto.create.topics.enable=false',
    'num.partitions=1',
    'default.replication.factor=1',
    'offsets.topic.replication.factor=1',
    'offsets.topic.num.partitions=1',
    'transaction.state.log.replication.factor=1',
    'transaction.state.log.min.isr=1',
    'transaction.state.log.num.partitions=1',
    'share.coordinator.state.topic.replication.factor=1',
    'share.coordinator.state.topic.min.isr=1',
    // A node that was killed comes back only when its registration of before is over.
    'broker.session.timeout.ms=1500',
    'broker.heartbeat.interval.ms=300',
    'group.initial.rebalance.delay.ms=0',
    'group.min.session.timeout.ms=500',
    'log.index.size.max.bytes=1048576',
    'log.cleaner.enable=false',
    'num.network.threads=2',
    'num.io.threads=2',
    ...extra,
    '',
  ].join('\n');
}

function java(mainClass: string, ...args: readonly string[]): Command {
  return {
    program: JAVA,
    args: [...JAVA_SMALL, ...LOG, '-cp', JARS.classPath ?? '', mainClass, ...args],
  };
}

export const kafka: Engine = {
  name: 'kafka',
  variable: 'NARU_TEST_KAFKA',
  packages: javaPackages(),
  fetch: async () => JARS.fetch(),
  program: () => (existsSync(JAVA) && JARS.classPath !== undefined ? JAVA : undefined),
  prepare: (site) => {
    const file = join(site.folder, 'server.properties');
    return [
      { program: 'sh', args: ['-c', 'printf %s "$1" > "$2"', 'sh', properties(site), file] },
      java(
        'kafka.tools.StorageTool',
        'format',
        '-t',
        'naru-naru-naru-naru-na',
        '--standalone',
        '-c',
        file,
        ...SCRAM_USERS,
      ),
    ];
  },
  command: ({ folder }) => java('kafka.Kafka', join(folder, 'server.properties')),
  // The number of brokers that take requests stands behind the answer's size and number; a port that is open means nothing yet.
  isReady: async ({ port }) => (await ask(port, WHO_IS_THERE)).charCodeAt(11) > 0,
  url: ({ port }) => `kafka://127.0.0.1:${port}`,
  readyMs: 120_000,
};

/** Where an instance asks for user and password. */
export function guardedUrl({ spare: [, guarded] }: Site): string {
  return `kafka://${USER}:${PASSWORD}@127.0.0.1:${guarded}`;
}

/** Arguments with which the guarded port speaks TLS. @param key  PKCS 8, as PEM */
export function encrypted(certificate: string, key: string): readonly string[] {
  const oneLine = (text: string): string => text.trim().replaceAll(/\r?\n/g, '\\n');
  return [
    'listener.security.protocol.map=OPEN:PLAINTEXT,GUARDED:SASL_SSL,CONTROLLER:PLAINTEXT',
    'listener.name.guarded.ssl.keystore.type=PEM',
    `listener.name.guarded.ssl.keystore.certificate.chain=${oneLine(certificate)}`,
    `listener.name.guarded.ssl.keystore.key=${oneLine(key)}`,
  ];
}
