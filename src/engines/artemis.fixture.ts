// ActiveMQ Artemis, one node with its journal on disk, from the jars of Maven Central: it speaks AMQP 1.0 and nothing else. Addresses that
// begin with "narrow." hold some 40 KiB and then give no credit. More of its element <core> are arguments of the test that starts it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine, Site } from './engine.fixture.ts';
import { JAVA_SMALL, Jars, javaPackages } from './maven.fixture.ts';
import { ask } from './probe.fixture.ts';

const USER = 'naru';
const PASSWORD = '4rt3m1s-p4ssw0rd';
const JAVA = '/usr/bin/java';
const JARS = new Jars('artemis', [
  'org.apache.activemq:artemis-cli:2.40.0',
  'org.apache.activemq:artemis-amqp-protocol:2.40.0',
]);
const HEADER = 'AMQP\u0003\u0001\0\0';
const RIGHTS = [
  'createNonDurableQueue',
  'deleteNonDurableQueue',
  'createDurableQueue',
  'deleteDurableQueue',
  'createAddress',
  'deleteAddress',
  'consume',
  'browse',
  'send',
  'manage',
];

function core({ folder, port, extra }: Site): string {
  const data = (name: string): string => join(folder, 'data', name);
  const rights = RIGHTS.map((type) => `<permission type="${type}" roles="users"/>`).join('');
  return `<configuration xmlns="urn:activemq"><core xmlns="urn:activemq:core">
<journal-type>NIO</journal-type>
<paging-directory>${data('paging')}</paging-directory>
<bindings-directory>${data('bindings')}</bindings-directory>
<journal-directory>${data('journal')}</journal-directory>
<large-messages-directory>${data('large')}</large-messages-directory>
<journal-file-size>1M</journal-file-size>
<max-disk-usage>100</max-disk-usage>
<critical-analyzer>false</critical-analyzer>
<jmx-management-enabled>false</jmx-management-enabled>
<message-expiry-scan-period>500</message-expiry-scan-period>
<acceptors><acceptor name="amqp">tcp://127.0.0.1:${port}?protocols=AMQP</acceptor></acceptors>
<security-settings><security-setting match="#">${rights}</security-setting></security-settings>
<address-settings>
<address-setting match="#"><max-delivery-attempts>-1</max-delivery-attempts></address-setting>
<address-setting match="narrow.#"><max-size-bytes>40000</max-size-bytes>
<address-full-policy>BLOCK</address-full-policy></address-setting>
</address-settings>
${extra.join('\n')}
</core></configuration>`;
}

/** The files of its folder `etc`. */
function files(site: Site): Readonly<Record<string, string>> {
  const etc = join(site.folder, 'etc');
  return {
    'broker.xml': core(site),
    'bootstrap.xml': `<broker xmlns="http://activemq.apache.org/schema"><jaas-security domain="activemq"/><server configuration="file:${etc}/broker.xml"/></broker>`,
    'management.xml': '<management-context xmlns="http://activemq.apache.org/schema"/>',
    'login.config': `activemq { org.apache.activemq.artemis.spi.core.security.jaas.PropertiesLoginModule required baseDir="${etc}" org.apache.activemq.jaas.properties.user="users" org.apache.activemq.jaas.properties.role="roles"; };`,
    users: `${USER} = ${PASSWORD}`,
    roles: `users = ${USER}`,
  };
}

export const artemis: Engine = {
  name: 'artemis',
  variable: 'NARU_TEST_ARTEMIS',
  packages: javaPackages(),
  fetch: async () => JARS.fetch(),
  program: () => (existsSync(JAVA) && JARS.classPath !== undefined ? JAVA : undefined),
  prepare: (site) => {
    const etc = join(site.folder, 'etc');
    const write = 'mkdir -p "$1"; printf %s "$3" > "$1/$2"';
    return Object.entries(files(site)).map(([name, text]) => ({
      program: 'sh',
      args: ['-c', write, 'sh', etc, name, text],
    }));
  },
  command: ({ folder }) => ({
    program: JAVA,
    args: [
      ...JAVA_SMALL,
      `-Dartemis.home=${folder}`,
      `-Dartemis.instance=${folder}`,
      `-Dartemis.instance.etc=${join(folder, 'etc')}`,
      `-Djava.security.auth.login.config=${join(folder, 'etc', 'login.config')}`,
      '-cp',
      JARS.classPath ?? '',
      'org.apache.activemq.artemis.cli.Artemis',
      'run',
    ],
  }),
  isReady: async ({ port }) => (await ask(port, HEADER)).startsWith('AMQP'),
  url: ({ port }) => `activemq://${USER}:${PASSWORD}@127.0.0.1:${port}`,
  readyMs: 120_000,
};
