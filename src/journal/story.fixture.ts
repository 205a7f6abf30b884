// A journal on a simulated disk, and a protocol of what happened to its messages: what was sent, how far it had got, what was handed out,
// what was settled. After a crash the next start is held against it.

import type { ContentsEvents } from '../link/contents.ts';
import type { LinkMessage } from '../link/item.ts';
import { settled, SimClock } from '../log/clock.fixture.ts';
import { seeded, type SimDisk } from '../log/sim-disk.fixture.ts';
import type { Confirm } from '../mailbox/capabilities.ts';
import type { Entry, OfferResult, Subscription } from '../store/types.ts';
import { encodedSize } from '../wire/envelope.ts';
import type { Journal } from './journal.ts';
import { openJournal, type OpenedJournal } from './open.ts';

export interface StoryOptions {
  readonly deliver: 'one' | 'all';
  readonly seed: number;
}

/** The name of the topic's group. */
const GROUP = 'g';
const TOPIC = { group: GROUP, from: 'start' } as const;
const QUEUE = { group: undefined, from: undefined } as const;

/** One run of a journal: from its opening to its end. */
export class Run {
  readonly clock: SimClock;
  readonly opened: OpenedJournal;
  readonly journal: Journal;
  readonly subscription: Subscription<LinkMessage>;
  readonly errors: Error[] = [];
  /** Times it was told that there is room. */
  rooms = 0;

  private constructor(
    opened: OpenedJournal,
    clock: SimClock,
    deliver: 'one' | 'all',
    told: (run: Run) => void,
  ) {
    this.opened = opened;
    this.clock = clock;
    const events: ContentsEvents = {
      room: () => {
        this.rooms += 1;
      },
      drop: () => undefined,
      advanced: () => told(this),
      failed: (error) => this.errors.push(error),
    };
    this.journal = opened.contents(events);
    this.subscription = this.journal.subscribe(() => undefined, deliver === 'all' ? TOPIC : QUEUE);
  }

  static async open(
    disk: SimDisk,
    { deliver, seed }: StoryOptions,
    boot: string,
    told: (run: Run) => void = () => undefined,
  ): Promise<Run> {
    const random = seeded(seed);
    const clock = new SimClock();
    const opened = await openJournal({
      outside: {
        disk,
        clock,
        time: () => 1_700_000_000_000,
        random: (bytes) => {
          for (let at = 0; at < bytes.length; at += 1) bytes[at] = Math.floor(random() * 256);
        },
        boot,
      },
      mailbox: 'file:///simulated',
      stated: { deliver },
      retainMs: undefined,
      segmentBytes: 64 << 10,
      isBack: false,
    });
    if (opened === undefined) throw new Error('somebody has it open');
    const run = new Run(opened, clock, deliver, told);
    await opened.filled();
    return run;
  }

  /** A message that says its number. */
  send(number: number, confirm: Confirm, bytes: number): OfferResult {
    const body = Buffer.alloc(Math.max(8, bytes), String(number).padEnd(8));
    const message = { body, sequence: number, time: 0, fields: undefined, confirm, done: undefined };
    const length = encodedSize(message);
    return this.journal.take(message, length, body.length, 'sender', undefined, number);
  }

  take(max: number): Entry<LinkMessage>[] {
    const entries: Entry<LinkMessage>[] = [];
    this.subscription.take(max, entries);
    return entries;
  }

  /** Closes it as a host does. */
  async close(): Promise<void> {
    this.journal.stopping();
    this.journal.dispose();
    await this.opened.close();
  }
}

/** Everything that is still there, as the next start hands it out. Settles all of it. */
export async function drain(run: Run): Promise<Entry<LinkMessage>[]> {
  const all: Entry<LinkMessage>[] = [];
  for (let idle = 0; idle < 3; ) {
    const taken = run.take(100);
    for (const { token } of taken) run.subscription.settle(token, 'ack', 0);
    all.push(...taken);
    idle = taken.length === 0 ? idle + 1 : 0;
    await settled();
  }
  return all;
}

/** The number that a message says. */
export function numberIn({ item }: Entry<LinkMessage>): number {
  return Number(Buffer.from(item.body).toString('latin1', 0, 8));
}

/** What is known of the messages of one run, whatever becomes of it. */
export class Story {
  sent = 0;
  /** Everything up to these had reached the stage. */
  placed = 0;
  durable = 0;
  readonly handed: Set<number> = new Set();
  readonly acked: Set<number> = new Set();
  /** Of those, what was noted on the disk. */
  noted: ReadonlySet<number> = new Set();
  readonly #options: StoryOptions;
  readonly #random: () => number;

  constructor(options: StoryOptions) {
    this.#options = options;
    this.#random = seeded(options.seed * 31 + 7);
  }

  /** Sends, takes, settles, waits; ends early when the disk goes off. */
  async play(disk: SimDisk, steps: number): Promise<Run> {
    const run = await Run.open(disk, this.#options, 'first boot', ({ journal }) => {
      this.placed = journal.placed;
      this.durable = journal.durable;
    });
    for (let step = 0; step < steps && !disk.isOff; step += 1) {
      const choice = this.#random();
      if (choice < 0.4) this.#send(run);
      else if (choice < 0.7) this.#take(run);
      else if (choice < 0.85) await settled();
      else await this.#note(run);
    }
    await settled();
    return run;
  }

  #send(run: Run): void {
    const confirm = this.#random() < 0.5 ? 'durable' : 'placed';
    for (let left = 1 + Math.floor(this.#random() * 30); left > 0; left -= 1) {
      const isLarge = this.#random() < 0.05;
      if (run.send(this.sent + 1, confirm, isLarge ? 5_000 : this.#random() * 200) !== 'taken') return;
      this.sent += 1;
    }
  }

  #take(run: Run): void {
    for (const entry of run.take(1 + Math.floor(this.#random() * 40))) {
      const number = numberIn(entry);
      this.handed.add(number);
      const choice = this.#random();
      // Some are kept in hand.
      if (choice < 0.1) continue;
      run.subscription.settle(entry.token, choice < 0.2 ? 'requeue' : 'ack', 0);
      if (choice >= 0.2) this.acked.add(number);
    }
  }

  async #note(run: Run): Promise<void> {
    const acked = new Set(this.acked);
    run.clock.advance(1_000);
    await run.journal.flush('durable');
    this.noted = acked;
  }

  /** What the next start may not show. */
  wrongWith(found: readonly Entry<LinkMessage>[], least: number): string[] {
    const wrong: string[] = [];
    const numbers = found.map(numberIn);
    const there = new Set(numbers);
    for (let number = 1; number <= least; number += 1) {
      if (!there.has(number) && !this.acked.has(number)) wrong.push(`${number} is lost`);
    }
    for (const number of numbers) {
      if (number > this.sent) wrong.push(`${number} was never sent`);
      if (this.noted.has(number)) wrong.push(`${number} had been settled, and that was noted`);
    }
    numbers.forEach((number, at) => {
      if (at > 0 && number <= (numbers[at - 1] as number)) wrong.push(`${number} is out of order`);
    });
    for (const entry of found) {
      if (this.handed.has(numberIn(entry)) && entry.deliveries === 1) {
        wrong.push(`${numberIn(entry)} was handed out before, and is not marked`);
      }
    }
    return wrong;
  }
}
