// amqp:// against the suite, on Naru's own broker: in this process, in memory.

import { afterAll, test } from 'vitest';
import { Broker } from '../broker/index.ts';
import { amqpConformance } from './amqp.fixture.ts';
import { conformanceSuite } from './index.ts';

const broker = await Broker.start({ port: 0 });
const suite = conformanceSuite(amqpConformance(`amqp://guest:guest@127.0.0.1:${broker.port}`));
for (const { name, skip, run } of suite.cases)
  test.skipIf(skip !== undefined)(name, { timeout: 60_000 }, run);
afterAll(async () => {
  await suite.close();
  await broker.stop();
});
