// What one consumer has of one partition: messages in order, each waiting, handed out or done. Kafka knows one number a partition, the
// offset before which the group has had everything: it moves over what is done without a gap.

import type { Delivery } from '../../mailbox/driver.ts';
import type { Envelope, MessageFields } from '../../wire/envelope-types.ts';

/** One message of the partition; it is what a consumer is given. */
export class Entry implements Delivery {
  readonly receipt = false;
  readonly token = 0;
  readonly window: Window;
  readonly offset: number;
  readonly body: Uint8Array;
  readonly sender: string;
  readonly sequence: number;
  readonly time: number;
  readonly fields: MessageFields | undefined;
  deliveries = 0;
  state: 'waiting' | 'handed' | 'done' = 'waiting';
  /** Not before this time of performance.now(). */
  readyAt = 0;

  constructor(window: Window, offset: number, { body, sender, sequence, time, fields }: Envelope) {
    this.window = window;
    this.offset = offset;
    this.body = body;
    this.sender = sender;
    this.sequence = sequence;
    this.time = time;
    this.fields = fields;
  }
}

export class Window {
  readonly partition: number;
  /** From `#first` on: those before it are done and committed or to be committed. */
  #entries: Entry[] = [];
  #first = 0;
  /** Offset of the next message to come. */
  next: number;
  /** It went to another consumer: nothing here counts any more. */
  isLost = false;

  constructor(partition: number, position: number) {
    this.partition = partition;
    this.next = position;
  }

  /** Messages that are not done, and done ones that wait for those before them. */
  get length(): number {
    return this.#entries.length - this.#first;
  }

  /** Where the group stands: everything before it is done. */
  get position(): number {
    return this.#entries[this.#first]?.offset ?? this.next;
  }

  /** Adds the next message. */
  add(offset: number, envelope: Envelope): Entry {
    const entry = new Entry(this, offset, envelope);
    this.#entries.push(entry);
    this.next = offset + 1;
    return entry;
  }

  /** A message came back: another object stands for it from now on, because whoever had the old one may look at it still. */
  renew(entry: Entry): Entry {
    const again = new Entry(this, entry.offset, entry);
    again.deliveries = entry.deliveries;
    entry.state = 'done';
    let low = this.#first;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#entries[middle] as Entry).offset < entry.offset) low = middle + 1;
      else high = middle;
    }
    this.#entries[low] = again;
    return again;
  }

  /** A message is done. @returns whether the position moved */
  finish(entry: Entry): boolean {
    entry.state = 'done';
    const before = this.#first;
    while (this.#entries[this.#first]?.state === 'done') this.#first += 1;
    if (this.#first === before) return false;
    if (this.#first > 1_024 && this.#first * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#first);
      this.#first = 0;
    }
    return true;
  }
}
