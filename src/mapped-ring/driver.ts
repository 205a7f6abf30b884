// The driver behind one handle of a mailbox in mapped memory: joins its part in the mailbox with the hooks, makes its ends, watches over peers and
// the object, and leaves.

import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  ReplyPort,
  Sender,
} from '../mailbox/driver.ts';
import { findBlockers, type PeekedMessage, peekLanes, takeCensus } from '../ring/census.ts';
import { HEADER, RECORD_DELIVERIES_MAX, RECORD_DELIVERIES_SHIFT } from '../ring/layout.ts';
import { headerWord } from '../ring/memory.ts';
import { countSeats, identityOf, listParticipants, participantAt } from '../ring/participants.ts';
import type { Recovered } from '../ring/recovery.ts';
import { decodeEnvelope, PREFIX_BYTES } from '../wire/envelope.ts';
import type { Attached } from './attach.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import { atExit } from './exit.ts';
import { isWhole, objectState, releaseObject } from './object-file.ts';
import type { RingOptions } from './options.ts';
import { closedError, isClosed, lostError, partError, type Participation } from './participation.ts';
import { RingReceiver } from './receiver.ts';
import {
  claimConsumerSeat,
  claimProducerSeat,
  destroy,
  hasDead,
  leave,
  leaveNow,
  recoverAll,
} from './seats.ts';
import { RingSender } from './sender.ts';
import { SAFETY_MS, type WaitingEnd } from './waiter.ts';

/** What a place says of a mailbox that it opens. */
export interface PlaceFacts {
  readonly capabilities: Capabilities;
  /** The URL under which others open it. */
  readonly address: string;
  /** Opens the port of a handle, when its first request needs one. Absent where there are no replies. */
  readonly openReplies?: (hooks: DriverHooks, identity: string) => Promise<ReplyPort>;
}

export class RingDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #part: Participation;
  readonly #hooks: DriverHooks;
  readonly #from: 'now' | 'start';
  readonly #senders = new Set<RingSender>();
  readonly #dropped: Record<string, number> = {};
  #gaps = 0;
  readonly #control: WaitingEnd;
  readonly #timer: NodeJS.Timeout;
  readonly #forgetExit: () => void;
  #receiver: RingReceiver | undefined;
  #membership: number;
  #isRecovering = false;
  #closing: Promise<{ undelivered: number }> | undefined;

  readonly openReplies?: () => Promise<ReplyPort>;

  constructor(attached: Attached, options: RingOptions, place: PlaceFacts, hooks: DriverHooks) {
    const { part, created, recovered } = attached;
    const { geometry } = part.memory;
    this.#part = part;
    this.#hooks = hooks;
    const { openReplies } = place;
    if (openReplies !== undefined) this.openReplies = () => openReplies(hooks, part.identity);
    this.#from = options.from;
    this.facts = {
      capabilities: withLevels(place.capabilities, geometry.levels),
      offered: 'placed',
      maxMessageBytes:
        geometry.slotBytes === 0 ? geometry.maxMessageBytes : geometry.slotBytes - PREFIX_BYTES,
      identity: part.identity,
      address: place.address,
      deliver: geometry.deliver,
      created,
    };
    this.#membership = this.#loadMembership();
    this.#control = {
      wants: () => 0,
      holdsProcess: () => false,
      isReady: () => this.#hasControlNews(),
      wake: () => this.#onControl(),
      rung: () => undefined,
    };
    part.waiter.guard(() => isWhole(part.object, part.edges) || this.#checkObject());
    part.waiter.add(this.#control);
    part.waiter.arm();
    this.#timer = setInterval(() => this.#lookAround(), SAFETY_MS);
    this.#timer.unref();
    this.#forgetExit = atExit(() => leaveNow(part));
    this.#tellOrphans(recovered);
  }

  get peers(): { readonly producers: number; readonly consumers: number } {
    if (this.#part.health.error !== undefined) return { producers: 0, consumers: 0 };
    return countSeats(this.#part.memory);
  }

  async attachSender(): Promise<Sender> {
    this.#checkOpen();
    const { seat, recovered } = await claimProducerSeat(this.#part);
    this.#tellOrphans(recovered);
    const sender = new RingSender(this.#part, seat, {
      writable: () => this.#hooks.writable(),
      dropped: (reason, count) => this.#dropNoted(reason, count),
      closed: (closed) => {
        this.#senders.delete(closed);
        this.#hooks.peers();
      },
      housekeeping: () => this.#lookAround(),
    });
    this.#senders.add(sender);
    this.#hooks.peers();
    return sender;
  }

  async attachReceiver(): Promise<Receiver> {
    this.#checkOpen();
    const taken = await claimConsumerSeat(this.#part, this.#from);
    this.#tellOrphans(taken.recovered);
    const receiver = new RingReceiver(this.#part, taken, {
      readable: () => this.#hooks.readable(),
      closed: () => {
        this.#receiver = undefined;
        this.#hooks.peers();
      },
      housekeeping: () => this.#lookAround(),
      dropped: (reason) => this.#dropNoted(reason, 1),
      gap: (count) => {
        this.#gaps += count;
        this.#hooks.event('gap', { count });
      },
      error: (error) => this.#hooks.event('error', { error }),
    });
    this.#receiver = receiver;
    this.#hooks.peers();
    return receiver;
  }

  async stats(): Promise<PlaceStats> {
    const { memory, waiter, bells, health } = this.#part;
    const { geometry } = memory;
    const census =
      health.error === undefined ? takeCensus(memory) : { depth: -1, depthBytes: -1, unsettled: -1 };
    return {
      depth: census.depth,
      depthBytes: census.depthBytes,
      unsettled: census.unsettled,
      ...this.peers,
      capacityBytes: geometry.laneBytes,
      capacityMessages: -1,
      dropped: { ...this.#dropped },
      extra: { ...waiter.counters, rings: bells.rings, missed: this.#gaps },
      blockedBy:
        health.error === undefined
          ? findBlockers(memory).map((slot) => identityOf(participantAt(memory, slot)))
          : [],
    };
  }

  async peek(max: number): Promise<Delivery[]> {
    this.#checkOpen();
    return peekLanes(this.#part.memory, max)
      .map(deliveryOf)
      .filter((delivery) => delivery !== undefined)
      .sort((a, b) => (b.fields?.priority ?? 0) - (a.fields?.priority ?? 0) || a.time - b.time)
      .slice(0, max);
  }

  #dropNoted(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#hooks.event('drop', { reason, count });
  }

  close(): Promise<{ undelivered: number }> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async unlink(): Promise<void> {
    // Our own handle is about to close: it need not be told that the mailbox has gone.
    this.#part.waiter.remove(this.#control);
    clearInterval(this.#timer);
    await destroy(this.#part);
  }

  async #close(): Promise<{ undelivered: number }> {
    const part = this.#part;
    clearInterval(this.#timer);
    for (const sender of this.#senders) await sender.close();
    await this.#receiver?.close();
    const undelivered = await leave(part);
    this.#forgetExit();
    part.waiter.close();
    part.bells.close();
    part.health.error ??= partError(part, 'NARU_CLOSED', 'this handle is closed');
    releaseObject(part.object, part.edges);
    return { undelivered };
  }

  #checkOpen(): void {
    if (this.#part.health.error !== undefined) throw this.#part.health.error;
  }

  #loadMembership(): number {
    return Atomics.load(this.#part.memory.words, headerWord(HEADER.membership));
  }

  #hasControlNews(): boolean {
    const { memory, health } = this.#part;
    if (health.error !== undefined) return false;
    return this.#loadMembership() !== this.#membership || isClosed(memory);
  }

  #onControl(): void {
    const closed = closedError(this.#part);
    if (closed !== undefined) {
      this.#fail(closed);
      return;
    }
    this.#membership = this.#loadMembership();
    this.#hooks.peers();
  }

  /** The mailbox is gone for good. */
  #fail(error: Error): void {
    const { waiter } = this.#part;
    waiter.remove(this.#control);
    clearInterval(this.#timer);
    for (const sender of this.#senders) sender.fail(error);
    this.#hooks.failed(error);
    waiter.wakeAll();
  }

  /** Every SAFETY_MS: what no bell tells. Deaths, the object's removal, and news whose teller died before ringing. */
  #lookAround(): void {
    const { memory, waiter, health } = this.#part;
    if (health.error !== undefined || this.#closing !== undefined) return;
    if (!this.#checkObject()) return;
    waiter.lookForSafety();
    this.#receiver?.finishForOthers();
    const slots = listParticipants(memory).map(({ slot }) => slot);
    if (!this.#isRecovering && hasDead(this.#part, slots)) this.#recover();
  }

  /** @returns false when the object is gone or truncated: the handle has failed, and its memory must not be touched */
  #checkObject(): boolean {
    const { object, memory, health, edges } = this.#part;
    if (health.error !== undefined) return false;
    const state = objectState(object, edges);
    if (state === 'ok') return true;
    if (state === 'removed' && isClosed(memory)) return true;
    health.error = lostError(this.#part, state);
    if (state === 'truncated') this.#part.waiter.abandon();
    this.#fail(health.error);
    return false;
  }

  #recover(): void {
    this.#isRecovering = true;
    recoverAll(this.#part)
      .then(
        (recovered) => this.#tellOrphans(recovered),
        // Closed meanwhile, or the lock was busy: whoever looks next does it.
        () => undefined,
      )
      .finally(() => {
        this.#isRecovering = false;
        if (this.#part.health.error === undefined) this.#part.waiter.arm();
      });
  }

  #tellOrphans(recovered: readonly Recovered[]): void {
    for (const { participant, wasConsumer } of recovered) {
      const role = wasConsumer ? 'consumer' : 'producer';
      this.#hooks.event('orphan', { role, identity: identityOf(participant) });
    }
  }
}

/** What a mailbox with so many priorities can do. */
function withLevels(capabilities: Capabilities, levels: number): Capabilities {
  return { ...capabilities, limits: { ...capabilities.limits, priorityMax: levels - 1 } };
}

/** A look at a message; undefined when its bytes are no message. */
function deliveryOf({ payload, sender, flags }: PeekedMessage): Delivery | undefined {
  const deliveries = ((flags >>> RECORD_DELIVERIES_SHIFT) & RECORD_DELIVERIES_MAX) + 1;
  try {
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const envelope = decodeEnvelope(payload, view, 0, payload.length, sender);
    return { ...envelope, deliveries, receipt: false, token: -1 };
  } catch {
    return undefined;
  }
}
