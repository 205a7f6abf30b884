// amqp:// against the suite, on Naru's own broker: in this process, in memory.

import { afterAll } from 'vitest';
import { Broker } from '../broker/index.ts';
import { amqpConformance } from './amqp.fixture.ts';
import { testConformance } from './engine.fixture.ts';

const broker = await Broker.start({ port: 0 });
// Hooks at the end run in the reverse order: the broker goes last.
afterAll(() => broker.stop());
testConformance(amqpConformance(`amqp://guest:guest@127.0.0.1:${broker.port}`));
