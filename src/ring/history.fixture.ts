// What many processes did to one mailbox, and whether it may have happened: their logs, one for each producer and consumer, are
// compared with what a mailbox promises. Time is only known within a log; between logs the deliveries of a message put its
// receipts in order. How a log is written and read is in history-log.fixture.ts.
//
// Producer: `offer` before it offers, `published` with the count of all so far when they are out. Consumer: `received` as soon as
// it has a message, `settling` before it settles, `settled` afterwards; closing with messages in hand settles them as released.

import { checkQueue } from './history-queue.fixture.ts';
import {
  collectOffers,
  collectReceipts,
  type History,
  type Report,
  type Violation,
} from './history-sent.fixture.ts';
import { checkTopic } from './history-topic.fixture.ts';

export {
  type ActorLog,
  ANY_PRODUCER,
  type ConsumerLog,
  type History,
  type LogEntry,
  type MessageName,
  messageKey,
  type Rule,
  type SettleOutcome,
  type Violation,
} from './history-sent.fixture.ts';

/** @returns what must not have happened; empty for a legal history */
export function checkHistory(history: History): Violation[] {
  const violations: Violation[] = [];
  const report: Report = (rule, text) => violations.push({ rule, text });
  const offered = collectOffers(history, report);
  for (const consumer of history.consumers) collectReceipts(consumer, offered, report);
  if (history.deliver === 'one') checkQueue(history, offered, report);
  else checkTopic(history, offered, report);
  return violations;
}
