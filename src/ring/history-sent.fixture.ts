// The logs of a history (history.fixture.ts) as data: what processes write down, and for each message who received it and what
// became of that. Judges nothing except what cannot be in any log.

/** A message: `sequence` counts what its producer sent with this priority. */
export interface MessageName {
  readonly producer: number;
  readonly priority: number;
  readonly sequence: number;
}

export type SettleOutcome = 'ack' | 'nack' | 'release' | 'reject';

/** One line of a log. What a process is about to do it logs before, what was done to it at once afterwards. */
export type LogEntry =
  | ({ readonly kind: 'offer' } & MessageName)
  /** Producer: the first `count` offers of this log are out. */
  | { readonly kind: 'published'; readonly count: number }
  | ({ readonly kind: 'received'; readonly deliveries: number; readonly isWhole: boolean } & MessageName)
  | ({ readonly kind: 'settling' | 'settled'; readonly outcome: SettleOutcome } & MessageName)
  /** Topic: so many messages of this producer and priority were missed; without a producer, of any. */
  | { readonly kind: 'gap'; readonly producer: number; readonly priority: number; readonly count: number };

/** The producer of a gap that is not told apart. */
export const ANY_PRODUCER = 0xffff_ffff;

/** What one producer or consumer logged. A process that is both has two. */
export interface ActorLog {
  readonly id: number;
  /** Killed: its log may end in the middle of what it did. */
  readonly isDead: boolean;
  readonly entries: readonly LogEntry[];
}

export interface ConsumerLog extends ActorLog {
  /** Topic: it was there before the first message. */
  readonly isFromStart?: boolean;
}

export interface History {
  readonly deliver: 'one' | 'all';
  readonly producers: readonly ActorLog[];
  readonly consumers: readonly ConsumerLog[];
  /** Deliver one: what was found in the mailbox when all was over. */
  readonly rest?: readonly MessageName[];
  /** How many offers of a dead producer may never have been published. */
  readonly unpublished?: number;
  /** Each nack and each death counts exactly once. Without it they count once at most, but some redelivery is always marked. */
  readonly isExact?: boolean;
}

export type Rule =
  | 'torn' // its bytes are not what was sent
  | 'invented' // nobody sent it
  | 'order' // a first delivery overtook one of the same producer and priority
  | 'doubled' // it came again though whoever had it kept it
  | 'unmarked' // it came again, rightly, but its deliveries do not say so
  | 'acked' // it came again, or is still there, though it was acked
  | 'lost' // it was published and nobody has it
  | 'gap' // a topic's consumer missed messages, or counted others than it missed
  | 'log'; // the log contradicts itself: the test is wrong, not the mailbox

export interface Violation {
  readonly rule: Rule;
  readonly text: string;
}

export type Report = (rule: Rule, text: string) => void;

/** One receipt of a message, and what became of it. */
export interface Receipt {
  readonly consumer: ConsumerLog;
  readonly deliveries: number;
  /** Place in its consumer's log. */
  readonly at: number;
  /** `maybe`: the consumer died before it could log that it had settled, see `intent`. `kept`: it lives and has it. */
  outcome: SettleOutcome | 'kept' | 'died' | 'maybe';
  intent: SettleOutcome | undefined;
}

export interface Sent {
  readonly name: MessageName;
  /** Place among what its producer offered with this priority. */
  readonly index: number;
  /** False for what a dead producer may not have published. */
  readonly isCertain: boolean;
  readonly producer: ActorLog;
  readonly receipts: Receipt[];
}

/** All messages that were offered: by name, and in the order of each producer and priority. */
export interface Offered {
  readonly byKey: ReadonlyMap<string, Sent>;
  readonly lanes: ReadonlyMap<string, readonly Sent[]>;
}

export function laneKey(name: Pick<MessageName, 'producer' | 'priority'>): string {
  return `${name.producer}/${name.priority}`;
}

/** Names a message: `producer/priority#sequence`. */
export function messageKey(name: MessageName): string {
  return `${laneKey(name)}#${name.sequence}`;
}

export function isDone(outcome: Receipt['outcome']): boolean {
  return outcome === 'ack' || outcome === 'reject';
}

/** Whether somebody may rightly receive the message after this. */
export function mayComeAgain({ outcome }: Receipt): boolean {
  return !isDone(outcome) && outcome !== 'kept';
}

/** Whether the next delivery is marked because of how this one ended. */
export function counts({ outcome }: Receipt): boolean {
  return outcome === 'nack' || outcome === 'died' || outcome === 'maybe';
}

export function collectOffers({ producers }: History, report: Report): Offered {
  const byKey = new Map<string, Sent>();
  const lanes = new Map<string, Sent[]>();
  for (const producer of producers) {
    const published = producer.entries.reduce(
      (most, entry) => (entry.kind === 'published' ? Math.max(most, entry.count) : most),
      0,
    );
    let count = 0;
    for (const entry of producer.entries) {
      if (entry.kind !== 'offer') continue;
      const key = messageKey(entry);
      if (byKey.has(key)) report('log', `${key} was offered twice`);
      const lane = lanes.get(laneKey(entry)) ?? [];
      lanes.set(laneKey(entry), lane);
      const isCertain = count < published || !producer.isDead;
      const sent = { name: entry, index: lane.length, isCertain, producer, receipts: [] };
      lane.push(sent);
      byKey.set(key, sent);
      count += 1;
    }
    if (published > count) report('log', `producer ${producer.id} published ${published} of ${count} offers`);
  }
  return { byKey, lanes };
}

/** Enters what a consumer received into the messages, each with what became of it. */
export function collectReceipts(consumer: ConsumerLog, { byKey }: Offered, report: Report): void {
  const open = new Map<string, Receipt>();
  consumer.entries.forEach((entry, at) => {
    if (entry.kind === 'received') {
      const key = messageKey(entry);
      const told = `consumer ${consumer.id} received ${key}`;
      if (!entry.isWhole) report('torn', `${told} damaged`);
      const sent = byKey.get(key);
      if (sent === undefined) return report('invented', `${told}, which nobody sent`);
      if (open.has(key)) report('doubled', `${told} while it had it`);
      const { deliveries } = entry;
      const outcome = consumer.isDead ? 'died' : 'kept';
      const receipt: Receipt = { consumer, deliveries, at, outcome, intent: undefined };
      sent.receipts.push(receipt);
      open.set(key, receipt);
    } else if (entry.kind === 'settling' || entry.kind === 'settled') {
      const key = messageKey(entry);
      const receipt = open.get(key);
      if (receipt === undefined) {
        // What nobody sent was reported when it was received.
        if (byKey.has(key)) report('log', `consumer ${consumer.id} settled ${key}, which it did not have`);
        return;
      }
      receipt.intent = entry.outcome;
      // A living one did what it said it would.
      receipt.outcome = entry.kind === 'settled' || !consumer.isDead ? entry.outcome : 'maybe';
      if (entry.kind === 'settled') open.delete(key);
    }
  });
}

/** Of a dead producer only the last few offers may never have been published. */
export function checkUnpublished(
  history: History,
  { byKey }: Offered,
  rest: ReadonlySet<string>,
  report: Report,
): void {
  const missing = new Map<number, number>();
  for (const [key, { isCertain, producer, receipts }] of byKey)
    if (!isCertain && receipts.length === 0 && !rest.has(key))
      missing.set(producer.id, (missing.get(producer.id) ?? 0) + 1);
  const most = history.unpublished ?? 0;
  for (const [id, count] of missing)
    if (count > most)
      report('lost', `${count} offers of dead producer ${id} never came; ${most} at most may`);
}
