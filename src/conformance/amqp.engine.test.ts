// amqp:// against the suite, on a real RabbitMQ.

import { onlyWith } from '../engines/only-with.fixture.ts';
import { rabbitmq } from '../engines/rabbitmq.fixture.ts';
import { amqpConformance } from './amqp.fixture.ts';
import { because, HASTY_ABORTS, testConformance } from './engine.fixture.ts';

onlyWith(rabbitmq, 'conformance of mailboxes on amqp://, with RabbitMQ', (url) =>
  testConformance(amqpConformance(url, because(HASTY_ABORTS, 'abort.3'))),
);
