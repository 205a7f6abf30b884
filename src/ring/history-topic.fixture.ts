// What a history may hold when every consumer gets every message: one unbroken run of each producer's messages of each priority,
// missing only what it counted.

import * as H from './history-sent.fixture.ts';

export function checkTopic(history: H.History, offered: H.Offered, report: H.Report): void {
  H.checkUnpublished(history, offered, new Set(), report);
  for (const consumer of history.consumers) {
    checkAgain(consumer, offered, report);
    new Runs(consumer, offered, report).check();
  }
}

/** A message comes again only to the consumer that gave it back. */
function checkAgain(consumer: H.ConsumerLog, { byKey }: H.Offered, report: H.Report): void {
  for (const [key, { receipts }] of byKey) {
    const own = receipts.filter((receipt) => receipt.consumer === consumer);
    own.forEach((receipt, i) => {
      const before = own[i - 1];
      const told = `consumer ${consumer.id} received ${key} with deliveries ${receipt.deliveries}`;
      const counted = own.slice(0, i).filter(({ outcome }) => outcome === 'nack').length;
      if (receipt.deliveries !== 1 + counted) report('unmarked', `${told}; they must be ${1 + counted}`);
      if (before === undefined || before.outcome === 'nack' || before.outcome === 'release') return;
      if (before.outcome === 'maybe') return;
      report(H.isDone(before.outcome) ? 'acked' : 'doubled', `${told}, though it had it`);
    });
  }
}

/** Where a consumer is in the messages of one producer and priority. */
interface Run {
  /** Place of the first message that it had. */
  first: number | undefined;
  /** Place of the message that comes next; undefined before the first. */
  next: number | undefined;
  /** Missed since the last one, as it counted. */
  counted: number;
}

/** All runs of one consumer. Gaps that name no producer are added up: they may lie anywhere. */
class Runs {
  readonly #consumer: H.ConsumerLog;
  readonly #offered: H.Offered;
  readonly #report: H.Report;
  readonly #runs = new Map<string, Run>();
  #missing = 0;
  #counted = 0;

  constructor(consumer: H.ConsumerLog, offered: H.Offered, report: H.Report) {
    this.#consumer = consumer;
    this.#offered = offered;
    this.#report = report;
    const start = consumer.isFromStart === true ? 0 : undefined;
    for (const key of offered.lanes.keys()) this.#runs.set(key, { first: start, next: start, counted: 0 });
  }

  check(): void {
    const seen = new Set<string>();
    for (const entry of this.#consumer.entries) {
      if (entry.kind === 'gap') this.#gap(entry);
      if (entry.kind !== 'received') continue;
      const key = H.messageKey(entry);
      const sent = this.#offered.byKey.get(key);
      const run = this.#runs.get(H.laneKey(entry));
      if (sent === undefined || run === undefined || seen.has(key)) continue;
      seen.add(key);
      this.#reach(run, sent.index, key);
      run.first ??= sent.index;
      run.next = Math.max(run.next ?? 0, sent.index + 1);
    }
    // Where the log of a dead one ends, nobody knows what it would have had.
    if (this.#consumer.isDead) return;
    for (const [key, lane] of this.#offered.lanes) {
      const run = this.#runs.get(key);
      const end = lane.findLastIndex(({ isCertain, receipts }) => isCertain || receipts.length > 0) + 1;
      if (run?.next !== undefined) this.#reach(run, Math.max(end, run.next), `the end of ${key}`);
    }
    this.#checkTotal();
  }

  #gap(entry: H.LogEntry & { readonly kind: 'gap' }): void {
    const run = this.#runs.get(H.laneKey(entry));
    if (entry.producer === H.ANY_PRODUCER) this.#counted += entry.count;
    else if (run !== undefined) run.counted += entry.count;
    else
      this.#report(
        'gap',
        `consumer ${this.#consumer.id} missed messages of ${H.laneKey(entry)}, which sent none`,
      );
  }

  /** Everything from where the run is to `place` was missed, and must have been counted. */
  #reach(run: Run, place: number, what: string): void {
    // Before the first message of all nobody knows where it began.
    const missing = run.next === undefined ? Math.min(run.counted, place) : place - run.next;
    const told = `consumer ${this.#consumer.id} received ${what}`;
    if (missing < 0) this.#report('order', `${told} after later ones`);
    else if (missing < run.counted)
      this.#report('gap', `${told}, counted ${run.counted} missed before it, and had missed ${missing}`);
    else this.#missing += missing - run.counted;
    run.counted = 0;
  }

  #checkTotal(): void {
    const told = `consumer ${this.#consumer.id} missed ${this.#missing} messages and counted ${this.#counted}`;
    if (this.#missing > this.#counted) this.#report('gap', told);
    let unknown = 0;
    for (const [key, lane] of this.#offered.lanes) unknown += this.#runs.get(key)?.first ?? lane.length;
    if (this.#counted > this.#missing + unknown) this.#report('gap', told);
  }
}
