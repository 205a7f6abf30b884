// The history checker: what a mailbox may do passes, whatever the order, the deaths and the gaps; each kind of mistake is found.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  ANY_PRODUCER,
  checkHistory,
  type ConsumerLog,
  type History,
  type LogEntry,
  type MessageName,
  messageKey,
  type Rule,
  type SettleOutcome,
} from './history.fixture.ts';
import { HistoryLog, LOG_ENTRY_BYTES, readLog } from './history-log.fixture.ts';
import { type Command, playQueue, playTopic } from './history-play.fixture.ts';

const commands: fc.Arbitrary<Command[]> = fc.array(fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99)), {
  minLength: 40,
  maxLength: 250,
});
/** One seed, so that how many histories offer a place for a mistake is no matter of chance; others by the variable. */
const RUNS = {
  numRuns: Number(process.env['NARU_HISTORY_RUNS'] ?? 150),
  seed: Number(process.env['NARU_HISTORY_SEED'] ?? 29),
};

const rules = (history: History): Rule[] => checkHistory(history).map(({ rule }) => rule);

type Received = LogEntry & { readonly kind: 'received' };
const isReceived = (entry: LogEntry): entry is Received => entry.kind === 'received';

/** Every receipt: whose, and where in the log. */
function receipts(history: History): { consumer: number; at: number; entry: Received }[] {
  return history.consumers.flatMap(({ entries }, consumer) =>
    entries.flatMap((entry, at) => (isReceived(entry) ? [{ consumer, at, entry }] : [])),
  );
}

/** The history with another log for one of its consumers. */
function edited(history: History, index: number, edit: (entries: LogEntry[]) => void): History {
  const consumers = history.consumers.map((consumer, i): ConsumerLog => {
    if (i !== index) return consumer;
    const entries = [...consumer.entries];
    edit(entries);
    return { ...consumer, entries };
  });
  return { ...history, consumers };
}

/** Of a dead producer nobody knows all that it published. */
const isOfLiving = (history: History, { producer }: MessageName): boolean =>
  history.producers.some(({ id, isDead }) => id === producer && !isDead);

const about = (entry: LogEntry, key: string): boolean =>
  'sequence' in entry && entry.kind !== 'offer' && messageKey(entry) === key;

describe('deliver one', () => {
  test('whatever a mailbox may do passes', () => {
    fc.assert(
      fc.property(commands, (list) => {
        const history = playQueue(list);
        expect(checkHistory(history)).toEqual([]);
        expect(checkHistory({ ...history, isExact: false })).toEqual([]);
      }),
      RUNS,
    );
  });

  /** Runs a mutation on histories that offer a place for it, which most must. */
  function found(mutate: (history: History, pick: number) => History | undefined, expected: Rule[]): void {
    let tried = 0;
    fc.assert(
      fc.property(commands, fc.nat(), (list, pick) => {
        const mutant = mutate(playQueue(list), pick);
        if (mutant === undefined) return;
        tried += 1;
        const [first] = rules(mutant).filter((rule) => expected.includes(rule));
        expect(first, JSON.stringify(rules(mutant))).toBeDefined();
      }),
      RUNS,
    );
    expect(tried).toBeGreaterThan(RUNS.numRuns / 4);
  }

  const acked = (history: History): { consumer: number; at: number; entry: Received }[] =>
    receipts(history).filter(({ consumer, at, entry }) => {
      const key = messageKey(entry);
      const later = history.consumers[consumer]?.entries.slice(at + 1) ?? [];
      const settled = later.find((other) => other.kind === 'settled' && about(other, key));
      return settled?.kind === 'settled' && settled.outcome === 'ack';
    });

  test('a message that is dropped is lost', () => {
    found(
      (history, pick) => {
        const list = acked(history).filter(({ entry }) => isOfLiving(history, entry));
        const one = list[pick % list.length];
        if (one === undefined) return undefined;
        const key = messageKey(one.entry);
        // Received nowhere: neither here nor by whoever had it before.
        const consumers = history.consumers.map((consumer) => ({
          ...consumer,
          entries: consumer.entries.filter((entry) => !about(entry, key)),
        }));
        return { ...history, consumers };
      },
      ['lost'],
    );
  });

  test('a message that is acked and comes again is found', () => {
    found(
      (history, pick) => {
        const list = acked(history);
        const one = list[pick % list.length];
        if (one === undefined) return undefined;
        return edited(history, pick % history.consumers.length, (entries) => entries.push(one.entry));
      },
      ['acked', 'doubled', 'unmarked'],
    );
  });

  test('an acked message that is still in the mailbox is found', () => {
    found(
      (history, pick) => {
        const list = acked(history);
        const one = list[pick % list.length];
        return one === undefined ? undefined : { ...history, rest: [...(history.rest ?? []), one.entry] };
      },
      ['acked'],
    );
  });

  test('two first deliveries of one producer and priority in the wrong order are found', () => {
    found(
      (history, pick) => {
        const released = new Set(
          history.consumers.flatMap(({ entries }) =>
            entries.flatMap((entry) =>
              'outcome' in entry && entry.outcome === 'release' ? [messageKey(entry)] : [],
            ),
          ),
        );
        const first = receipts(history).filter(
          ({ entry }) => entry.deliveries === 1 && !released.has(messageKey(entry)),
        );
        const pairs = first.flatMap((a) =>
          first
            .filter(
              (b) =>
                a.consumer === b.consumer &&
                a.at < b.at &&
                a.entry.producer === b.entry.producer &&
                a.entry.priority === b.entry.priority,
            )
            .map((b) => [a, b] as const),
        );
        const pair = pairs[pick % pairs.length];
        if (pair === undefined) return undefined;
        const [a, b] = pair;
        return edited(history, a.consumer, (entries) => {
          // What they did with them goes along.
          const keys = [messageKey(a.entry), messageKey(b.entry)] as const;
          entries.forEach((entry, i) => {
            if (about(entry, keys[0])) entries[i] = { ...entry, sequence: b.entry.sequence } as LogEntry;
            else if (about(entry, keys[1])) entries[i] = { ...entry, sequence: a.entry.sequence } as LogEntry;
          });
        });
      },
      ['order'],
    );
  });

  test('a torn message is found', () => {
    found(
      (history, pick) => {
        const list = receipts(history);
        const one = list[pick % list.length];
        if (one === undefined) return undefined;
        return edited(history, one.consumer, (entries) => {
          entries[one.at] = { ...one.entry, isWhole: false };
        });
      },
      ['torn'],
    );
  });

  test('a message that nobody sent is found', () => {
    found(
      (history, pick) =>
        edited(history, pick % history.consumers.length, (entries) =>
          entries.push({
            kind: 'received',
            producer: 0,
            priority: 0,
            sequence: 1_000_000,
            deliveries: 1,
            isWhole: true,
          }),
        ),
      ['invented'],
    );
  });

  test('a second delivery that is not marked is found', () => {
    found(
      (history, pick) => {
        const settled = new Set(acked(history).map(({ entry }) => entry));
        const list = receipts(history).filter(
          ({ entry }) =>
            settled.has(entry) &&
            entry.deliveries > 1 &&
            history.consumers.some(({ entries }) =>
              entries.some(
                (other) =>
                  other.kind === 'settled' && other.outcome === 'nack' && about(other, messageKey(entry)),
              ),
            ),
        );
        const one = list[pick % list.length];
        if (one === undefined) return undefined;
        return edited(history, one.consumer, (entries) => {
          entries[one.at] = { ...one.entry, deliveries: 1 };
        });
      },
      // A receipt that says 1 may look like the first one: then the one that was nacked comes after the ack.
      ['unmarked', 'doubled', 'acked'],
    );
  });

  test('a message that was given back and never came again is lost', () => {
    found(
      (history, pick) => {
        // What one settled who died of it may be done.
        const dead = history.consumers.filter(({ isDead }) => isDead).flatMap(({ entries }) => entries);
        const list = (history.rest ?? []).filter(
          (name) => !dead.some((entry) => entry.kind === 'settling' && about(entry, messageKey(name))),
        );
        const one = list[pick % list.length];
        if (one === undefined) return undefined;
        return { ...history, rest: history.rest?.filter((other) => other !== one) ?? [], unpublished: 0 };
      },
      ['lost'],
    );
  });

  const name = { producer: 1, priority: 0, sequence: 0 };
  const offer = { kind: 'offer', ...name } as const;
  const got = (deliveries: number, of: MessageName = name): LogEntry => ({
    kind: 'received',
    ...of,
    deliveries,
    isWhole: true,
  });
  const settle = (kind: 'settling' | 'settled', outcome: SettleOutcome): LogEntry => ({
    kind,
    outcome,
    ...name,
  });
  const producer = { id: 1, isDead: false, entries: [offer, { kind: 'published', count: 1 }] as const };

  test('a message of a living holder does not go to another', () => {
    const consumers = [
      { id: 1, isDead: false, entries: [got(1)] },
      { id: 2, isDead: false, entries: [got(2)] },
    ];
    expect(rules({ deliver: 'one', producers: [producer], consumers })).toContain('doubled');
  });

  test('of one who died while it settled, both outcomes may be', () => {
    const dead = { id: 1, isDead: true, entries: [got(1), settle('settling', 'ack')] };
    const next = {
      id: 2,
      isDead: false,
      entries: [got(2), settle('settling', 'ack'), settle('settled', 'ack')],
    };
    const history = { deliver: 'one', producers: [producer], isExact: true } as const;
    expect(rules({ ...history, consumers: [dead] })).toEqual([]);
    expect(rules({ ...history, consumers: [dead, next] })).toEqual([]);
  });

  test('of a dead producer no more is missing than it may not have published, and only the last', () => {
    const entries = [0, 1, 2, 3].map((sequence): LogEntry => ({ kind: 'offer', ...name, sequence }));
    const dead = { id: 1, isDead: true, entries: [...entries, { kind: 'published', count: 1 } as const] };
    const having = (...sequences: number[]): History => ({
      deliver: 'one',
      producers: [dead],
      consumers: [
        { id: 1, isDead: false, entries: sequences.map((sequence) => got(1, { ...name, sequence })) },
      ],
      unpublished: 2,
    });
    expect(rules(having(0, 1))).toEqual([]);
    expect(rules(having(0))).toEqual(['lost']);
    expect(rules(having(0, 1, 3))).toContain('lost');
    expect(rules(having(1, 2, 3))).toContain('lost');
  });
});

describe('deliver all', () => {
  test('whatever a topic may do passes, with gaps and without', () => {
    fc.assert(
      fc.property(commands, fc.boolean(), fc.boolean(), (list, isLossy, isPooled) => {
        expect(checkHistory(playTopic(list, isLossy, isPooled))).toEqual([]);
      }),
      RUNS,
    );
  });

  function found(mutate: (history: History, pick: number) => History | undefined, expected: Rule[]): void {
    let tried = 0;
    fc.assert(
      fc.property(commands, fc.nat(), fc.boolean(), fc.boolean(), (list, pick, isLossy, isPooled) => {
        const mutant = mutate(playTopic(list, isLossy, isPooled), pick);
        if (mutant === undefined) return;
        tried += 1;
        expect(rules(mutant).filter((rule) => expected.includes(rule))).not.toEqual([]);
      }),
      RUNS,
    );
    expect(tried).toBeGreaterThan(RUNS.numRuns / 4);
  }

  /** The first receipt of a message by a living consumer that was there from the start and had others of the lane before, and the receipt before it. */
  function inside(
    history: History,
    pick: number,
  ): { consumer: number; at: number; before: number } | undefined {
    const list = history.consumers.flatMap(({ isDead, isFromStart, entries }, consumer) => {
      const lanes = new Map<string, number>();
      const seen = new Set<string>();
      return entries.flatMap((entry, at) => {
        if (isDead || isFromStart !== true || !isReceived(entry) || seen.has(messageKey(entry))) return [];
        seen.add(messageKey(entry));
        const lane = `${entry.producer}/${entry.priority}`;
        const before = lanes.get(lane);
        lanes.set(lane, at);
        return before === undefined || !isOfLiving(history, entry) ? [] : [{ consumer, at, before }];
      });
    });
    return list[pick % list.length];
  }

  const entryAt = (history: History, consumer: number, at: number): Received =>
    history.consumers[consumer]?.entries[at] as Received;

  test('a message that one consumer does not get is found', () => {
    found(
      (history, pick) => {
        const one = inside(history, pick);
        if (one === undefined) return undefined;
        const key = messageKey(entryAt(history, one.consumer, one.at));
        return edited(history, one.consumer, (entries) =>
          entries.splice(0, entries.length, ...entries.filter((entry) => !about(entry, key))),
        );
      },
      ['gap'],
    );
  });

  test('a message that comes twice is found', () => {
    found(
      (history, pick) => {
        const one = inside(history, pick);
        if (one === undefined) return undefined;
        const entry = entryAt(history, one.consumer, one.at);
        return edited(history, one.consumer, (entries) => entries.splice(one.at, 0, entry));
      },
      ['doubled', 'acked', 'unmarked'],
    );
  });

  test('two messages in the wrong order are found', () => {
    found(
      (history, pick) => {
        const one = inside(history, pick);
        if (one === undefined) return undefined;
        const [first, second] = [one.before, one.at].map((at) => entryAt(history, one.consumer, at));
        return edited(history, one.consumer, (entries) => {
          entries[one.before] = second as Received;
          entries[one.at] = first as Received;
        });
      },
      ['order'],
    );
  });

  test('a gap that was counted and never was is found', () => {
    found(
      (history, pick) => {
        const one = inside(history, pick);
        if (one === undefined) return undefined;
        const { producer, priority } = entryAt(history, one.consumer, one.at);
        return edited(history, one.consumer, (entries) =>
          entries.splice(one.at, 0, { kind: 'gap', producer, priority, count: 1 }),
        );
      },
      ['gap'],
    );
  });

  test('gaps that name no producer add up all the same', () => {
    const entries = [0, 1, 2, 3].map(
      (sequence): LogEntry => ({ kind: 'offer', producer: 1, priority: 0, sequence }),
    );
    const history = (count: number): History => ({
      deliver: 'all',
      producers: [{ id: 1, isDead: false, entries }],
      consumers: [
        {
          id: 1,
          isDead: false,
          isFromStart: true,
          entries: [
            { kind: 'gap', producer: ANY_PRODUCER, priority: 0, count },
            { kind: 'received', producer: 1, priority: 0, sequence: 3, deliveries: 1, isWhole: true },
          ],
        },
      ],
    });
    expect(rules(history(3))).toEqual([]);
    expect(rules(history(2))).toEqual(['gap']);
    expect(rules(history(4))).toEqual(['gap']);
  });
});

describe('the log', () => {
  const written = (entries: readonly LogEntry[]): Uint8Array => {
    const bytes: number[] = [];
    const log = new HistoryLog((part) => bytes.push(...part));
    for (const entry of entries) log.add(entry);
    return Uint8Array.from(bytes);
  };

  test('is read as it was written, also when its end was cut off', () => {
    fc.assert(
      fc.property(commands, fc.nat(LOG_ENTRY_BYTES - 1), (list, cut) => {
        for (const { entries } of [...playQueue(list).consumers, ...playTopic(list, true, true).producers]) {
          const bytes = written(entries);
          expect(readLog(bytes)).toEqual(entries);
          if (cut > 0) expect(readLog(bytes.subarray(0, -cut))).toEqual(entries.slice(0, -1));
        }
      }),
      { numRuns: 30 },
    );
  });

  test('is refused when it is something else', () => {
    expect(() => readLog(new Uint8Array(16))).toThrow('byte 0');
    expect(() => readLog(new Uint8Array(16).fill(200))).toThrow('byte 0');
  });
});
