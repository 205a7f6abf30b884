// What a history may hold when each message goes to one consumer: in order, whole, once, marked when it comes again, and
// nothing lost.

import * as H from './history-sent.fixture.ts';

export function checkQueue(history: H.History, offered: H.Offered, report: H.Report): void {
  const rest = new Set((history.rest ?? []).map(H.messageKey));
  for (const key of rest)
    if (!offered.byKey.has(key)) report('invented', `${key} is in the mailbox, and nobody sent it`);
  const dead = history.consumers.filter(({ isDead }) => isDead).length;
  const limits = { dead, isExact: history.isExact === true };
  for (const [key, sent] of offered.byKey) checkMessage(key, sent, rest.has(key), limits, report);
  for (const lane of offered.lanes.values()) checkLost(lane, rest, report);
  H.checkUnpublished(history, offered, rest, report);
  for (const consumer of history.consumers) checkOrder(consumer, offered, report);
}

/** What the deliveries of a message may say at most, and whether they are exact. */
interface Limits {
  /** Whoever died between taking a message and logging it counts too, and nobody knows of which message. */
  readonly dead: number;
  readonly isExact: boolean;
}

/** One message: who had it, one after the other, and what the next was told of it. */
function checkMessage(key: string, sent: H.Sent, isRest: boolean, limits: Limits, report: H.Report): void {
  const receipts = inOrder(sent.receipts);
  let counted = 0;
  let perhaps = limits.dead;
  let least = 1;
  receipts.forEach((receipt, i) => {
    const { deliveries } = receipt;
    const told = `consumer ${receipt.consumer.id} received ${key} with deliveries ${deliveries}`;
    const before = receipts[i - 1];
    if (before !== undefined) {
      if (before.outcome === 'kept')
        report('doubled', `${told}, though consumer ${before.consumer.id} has it`);
      if (H.isDone(before.outcome))
        report('acked', `${told}, though consumer ${before.consumer.id} settled it`);
      if (before.outcome === 'maybe' && before.intent === 'release') perhaps += 1;
      else if (H.counts(before)) counted += 1;
      const isCounted = H.counts(before) && before.intent !== 'release';
      if (limits.isExact) least = Math.max(least, before.deliveries) + (isCounted ? 1 : 0);
      else if (isCounted) least = 2;
    }
    const most = 1 + counted + perhaps;
    if (deliveries < least || deliveries > most) report('unmarked', `${told}, not ${least} to ${most}`);
  });
  const last = receipts.at(-1);
  if (!isRest || last === undefined || H.mayComeAgain(last)) return;
  const rule = H.isDone(last.outcome) ? 'acked' : 'doubled';
  report(rule, `${key} is still in the mailbox, though consumer ${last.consumer.id} had it last`);
}

/** By deliveries; within one log by time. Of those that say the same, who did not count comes first, who has it last. */
function inOrder(receipts: readonly H.Receipt[]): H.Receipt[] {
  return receipts.toSorted((a, b) => {
    if (a.consumer === b.consumer) return a.at - b.at;
    return a.deliveries - b.deliveries || rank(a) - rank(b);
  });
}

function rank(receipt: H.Receipt): number {
  if (receipt.outcome === 'release') return 0;
  if (receipt.intent === 'release') return 1;
  return H.mayComeAgain(receipt) ? 2 : 3;
}

/** Nobody can tell whether it was settled or its consumer died with it. */
function mayBeDone({ outcome, intent }: H.Receipt): boolean {
  return H.isDone(outcome) || (outcome === 'maybe' && (intent === 'ack' || intent === 'reject'));
}

function checkLost(lane: readonly H.Sent[], rest: ReadonlySet<string>, report: H.Report): void {
  const isThere = (sent: H.Sent): boolean => sent.receipts.length > 0 || rest.has(H.messageKey(sent.name));
  const lastSeen = lane.findLastIndex(isThere);
  lane.forEach((sent, index) => {
    const key = H.messageKey(sent.name);
    if (rest.has(key)) return;
    const last = inOrder(sent.receipts).at(-1);
    if (last === undefined) {
      // What comes later in the same lane was published later.
      if (sent.isCertain || index < lastSeen) report('lost', `nobody received ${key}`);
    } else if (H.mayComeAgain(last) && !mayBeDone(last))
      report(
        'lost',
        `consumer ${last.consumer.id} had ${key} last (${last.outcome}), and nobody received it again`,
      );
  });
}

/** First deliveries to each consumer: in the order in which each producer sent them with each priority. */
function checkOrder(consumer: H.ConsumerLog, { byKey }: H.Offered, report: H.Report): void {
  const reached = new Map<string, number>();
  for (const entry of consumer.entries) {
    if (entry.kind !== 'received' || entry.deliveries !== 1) continue;
    const sent = byKey.get(H.messageKey(entry));
    // One that was released says 1 again, and is not in its first delivery.
    if (sent === undefined || sent.receipts.some(({ intent }) => intent === 'release')) continue;
    const before = reached.get(H.laneKey(entry)) ?? -1;
    if (sent.index < before)
      report('order', `consumer ${consumer.id} received ${H.messageKey(entry)} after later ones`);
    reached.set(H.laneKey(entry), Math.max(before, sent.index));
  }
}
