// Which client package a handle uses: the one that its URL names, or the first that is installed.

import { isNaruError, NaruError } from '../../errors/index.ts';
import { type KafkaClient, PACKAGES } from './client.ts';
import { CLIENTS, type ClientName, type Target } from './options.ts';

/**
 * Connects with the package that the URL names, or the first that is installed.
 * Whether a broker answers is told by the first call.
 * @throws NARU_PACKAGE_MISSING
 */
export async function connect(target: Target): Promise<KafkaClient> {
  const names = target.client === undefined ? CLIENTS : [target.client];
  for (const name of names) {
    try {
      return await LOADERS[name](target);
    } catch (error) {
      if (!isNaruError(error, 'NARU_PACKAGE_MISSING')) throw error;
    }
  }
  const packages = names.map((name) => PACKAGES[name]);
  throw new NaruError(
    'NARU_PACKAGE_MISSING',
    `kafka:// needs the package ${packages.map(({ name }) => name).join(' or ')}, which is not installed: ${packages.map(({ install }) => `npm install "${install}"`).join(', or ')}`,
    { place: 'kafka', mailbox: target.text },
  );
}

const LOADERS: Readonly<Record<ClientName, (target: Target) => Promise<KafkaClient>>> = {
  platformatic: async (target) => (await import('./platformatic/client.ts')).connectPlatformatic(target),
  kafkajs: async (target) => (await import('./kafkajs/client.ts')).connectKafkaJs(target),
};
