// amqp:// against the suite, on a real RabbitMQ.

import { afterAll, test } from 'vitest';
import { onlyWith } from '../engines/only-with.fixture.ts';
import { rabbitmq } from '../engines/rabbitmq.fixture.ts';
import { amqpConformance } from './amqp.fixture.ts';
import { conformanceSuite } from './index.ts';

onlyWith(rabbitmq, 'conformance of mailboxes on amqp://, with RabbitMQ', (url) => {
  const suite = conformanceSuite(
    amqpConformance(url, [
      {
        rule: 'abort.3',
        reason: '50,000 aborted receives are over before 1,000 messages have crossed a busy server',
      },
    ]),
  );
  for (const { name, skip, run } of suite.cases)
    test.skipIf(skip !== undefined)(name, { timeout: 60_000 }, run);
  afterAll(() => suite.close());
});
