// A program that knows nothing of Naru, for tests that start it with fork(): a member of a group with a session as long as it is told.

import { importPackage } from '../../client/optional-package.ts';
import { PACKAGES } from './client.ts';
import type { Package } from './platformatic/package.ts';

const [broker = '', topic = '', groupId = '', sessionMs = ''] = process.argv.slice(2);

const { name, install } = PACKAGES.platformatic;
const { Consumer } = (await importPackage(name, install, 'kafka')) as Package;
const member = new Consumer({ clientId: 'foreign', bootstrapBrokers: [broker], groupId });
member.topics.track(topic);
await member.joinGroup({
  sessionTimeout: Number(sessionMs),
  rebalanceTimeout: Number(sessionMs),
  heartbeatInterval: 500,
});
process.send?.({ isReady: true });
// Its parent's end is its own.
process.on('disconnect', () => process.exit());
