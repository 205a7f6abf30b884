// The subscribing end of a channel. The server pushes: what nobody takes waits here, up to a bound; then the oldest goes, and the consumer hears of the
// gap. Nothing is settled: what was handed out is gone.

import { GapWatch } from '../../client/gaps.ts';
import type { Delivery, DriverHooks, Receiver } from '../../mailbox/driver.ts';
import { NamedReader } from '../../wire/named-envelope.ts';
import { readFrame } from './channel-frames.ts';

/** Messages and bytes that wait for a slow consumer. */
const KEPT_MAX = 16_384;
const KEPT_BYTES_MAX = 33_554_432;
/** Publishers that are known to have been heard since the connection was made. */
const HEARD_MAX = 1_024;

export interface ChannelReceiverInit {
  readonly hooks: DriverHooks;
  readonly dropped: (reason: string, count: number) => void;
  readonly hold: (isNeeded: boolean) => void;
  readonly onClose: () => Promise<void>;
}

export class ChannelReceiver implements Receiver {
  readonly ended = false;
  readonly #init: ChannelReceiverInit;
  readonly #reader = new NamedReader();
  #kept: Delivery[] = [];
  #bytes = 0;
  #token = 0;
  #wanted = 0;
  #missed = 0;
  readonly #gaps = new GapWatch();
  /** Publishers that were heard on this connection: of these nothing is lost on the way. */
  readonly #heard = new Set<string>();
  #closed: Promise<void> | undefined;

  constructor(init: ChannelReceiverInit) {
    this.#init = init;
  }

  /** The server pushed what somebody published. */
  hear(bytes: Buffer): void {
    if (this.#closed !== undefined) return;
    try {
      readFrame(bytes, (from, to) => this.#keep(bytes, from, to));
    } catch {
      // Anybody may publish there who knows nothing of envelopes.
      this.#init.dropped('undecodable', 1);
    }
    while (this.#kept.length > KEPT_MAX || (this.#bytes > KEPT_BYTES_MAX && this.#kept.length > 1))
      this.#miss();
    if (this.#wanted > 0) this.#init.hooks.readable();
  }

  /** The connection broke: what is published until it is back goes by. */
  lost(): void {
    this.#heard.clear();
  }

  take(max: number, out: Delivery[]): number {
    if (this.#missed > 0) {
      this.#init.hooks.event('gap', { count: this.#missed });
      this.#missed = 0;
    }
    const given = this.#kept.splice(0, max);
    for (const delivery of given) {
      this.#bytes -= delivery.body.byteLength;
      out.push(delivery);
    }
    return given.length;
  }

  want(count: number): void {
    this.#wanted = count;
    this.#init.hold(count > 0 && this.#closed === undefined);
  }

  settle(): void {
    // Nothing is owed.
  }

  ackAll(): void {
    // Nothing is owed.
  }

  putBack(delivery: Delivery): void {
    this.#kept.push(delivery);
    this.#kept.sort((a, b) => a.token - b.token);
    this.#bytes += delivery.body.byteLength;
  }

  received(): void {
    // Nobody waits for it.
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #keep(bytes: Buffer, from: number, to: number): void {
    const { body, sender, sequence, time, fields } = this.#reader.decode(bytes, from, to);
    this.#token += 1;
    this.#lookForGap(sender, sequence);
    const token = this.#token;
    // A spread would cost more than everything else here.
    this.#kept.push({ body, sender, sequence, time, fields, deliveries: 1, receipt: false, token });
    this.#bytes += body.byteLength;
  }

  /** Numbers that a publisher gave up by itself are no loss, so only the first message after a break is looked at. */
  #lookForGap(sender: string, sequence: number): void {
    const missed = this.#gaps.arrive(sender, sequence);
    if (this.#heard.has(sender)) return;
    this.#heard.add(sender);
    if (this.#heard.size > HEARD_MAX) this.#heard.delete(this.#heard.values().next().value ?? '');
    if (missed === 0) return;
    this.#missed += missed;
    this.#init.dropped('missed', missed);
  }

  #miss(): void {
    const oldest = this.#kept.shift();
    this.#bytes -= oldest?.body.byteLength ?? 0;
    this.#missed += 1;
    this.#init.dropped('full', 1);
  }

  async #close(): Promise<void> {
    this.#wanted = 0;
    this.#init.hold(false);
    this.#kept = [];
    await this.#init.onClose();
  }
}
