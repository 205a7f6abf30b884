// Claims: messages that a producer writes in place. Opening one, with or without waiting; committing and aborting it; what
// becomes of it when its handle ends or its user forgets it. Order among claims and sends is the outbox's.

import { NaruError } from '../errors/index.ts';
import type { ClaimRequest, DriverClaim, DriverFacts, Sender } from './driver.ts';
import type { SendOptions } from './lacks.ts';
import type { Leakable, LeakWatch } from './leaks.ts';
import type { Encoder } from './outgoing.ts';
import type { ClaimSlot, Outbox } from './outbox.ts';
import type { Receipt } from './receipt.ts';
import type { Sending } from './sending.ts';
import { nextTurn, turnIsOver } from './waiting.ts';

/** What claims need of their mailbox. */
export interface ClaimSettings {
  readonly mailbox: string;
  readonly facts: DriverFacts;
  readonly encoder: Encoder;
  readonly outbox: Outbox;
  readonly sending: Sending;
  readonly leaks: LeakWatch;
}

/**
 * Room for one message, to be written in place: fill `data`, then `commit()`.
 *
 * The body is exactly what was written: codec and schema are not applied. Nobody sees anything of it before the commit. While
 * a claim is open, the handle's other sends and claims wait behind it. Commit or abort each claim, or let a `using` block
 * abort it; one that is forgotten is aborted and reported (event `leak`) when it is collected as garbage.
 */
export class Claim implements Disposable {
  readonly #data: Uint8Array;
  readonly #behind: OpenClaim;

  /** @internal Use `mailbox.claim()`. */
  constructor(behind: OpenClaim, body: Uint8Array) {
    // An object of its own: who else knows the driver's must not keep this one from being collected.
    this.#data = new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    this.#behind = behind;
  }

  /**
   * The body to be written; what lies in it at first is undefined. Not to be used after commit or abort, when the memory
   * belongs to others: an array kept from before would write into their messages.
   * @throws NARU_SETTLED  the claim was committed or aborted; NARU_CLOSED  its handle was closed
   */
  get data(): Uint8Array {
    this.#behind.check('its data cannot be used');
    return this.#data;
  }

  /**
   * Sends what was written.
   *
   * @param usedBytes  send only so many of the bytes, from the start. Default: all
   * @returns how far the message got
   * @throws NARU_SETTLED           it was committed or aborted before
   * @throws NARU_CLOSED, NARU_PEER_GONE  the handle was closed, the mailbox has ended or is gone; nothing was sent
   * @throws NARU_INVALID_ARGUMENT  `usedBytes` is no number from 0 to the claim's size; the claim stays open
   */
  commit(usedBytes?: number): Receipt {
    return this.#behind.commit(usedBytes ?? this.#data.byteLength);
  }

  /**
   * Gives the room back; nothing is sent. Again does nothing.
   * @throws NARU_SETTLED  it was committed before
   */
  abort(): void {
    this.#behind.abort();
  }

  /** `using`: what was not committed is aborted. */
  [Symbol.dispose](): void {
    this.#behind.giveBack();
  }
}

/** What a claim is to its mailbox. Never leads to the `Claim` in the user's hand. */
class OpenClaim implements ClaimSlot, Leakable {
  readonly kind = 'claim';
  readonly madeAt: Error | undefined;
  readonly #settings: ClaimSettings;
  readonly #request: ClaimRequest;
  #room: DriverClaim | undefined;
  #droppedFor: string | undefined;
  #ended: 'committed' | 'aborted' | Error | undefined;

  constructor(settings: ClaimSettings, request: ClaimRequest) {
    this.madeAt = settings.leaks.mark();
    this.#settings = settings;
    this.#request = request;
  }

  get isOpen(): boolean {
    return this.#ended === undefined;
  }

  open(sender: Sender): boolean {
    this.#room = sender.claim?.(this.#request);
    return this.#room !== undefined;
  }

  openToDrop(reason: string): void {
    this.#droppedFor = reason;
  }

  /** It is open now: what the user gets. */
  handOut(): Claim {
    const claim = new Claim(this, this.#room?.body ?? new Uint8Array(this.#request.sizeBytes));
    this.#settings.leaks.watch(claim, this);
    return claim;
  }

  /** @throws NARU_SETTLED, NARU_CLOSED  it is not open any more */
  check(what: string): void {
    if (this.#ended === undefined) return;
    if (typeof this.#ended !== 'string') throw this.#ended;
    const { mailbox } = this.#settings;
    throw new NaruError('NARU_SETTLED', `${mailbox}: the claim was ${this.#ended} before; ${what}`, {
      mailbox,
    });
  }

  commit(usedBytes: number): Receipt {
    this.check('it cannot be committed now');
    const { mailbox, outbox, sending, facts } = this.#settings;
    const { sizeBytes } = this.#request;
    if (!Number.isInteger(usedBytes) || usedBytes < 0 || usedBytes > sizeBytes) {
      throw new NaruError(
        'NARU_INVALID_ARGUMENT',
        `${mailbox}: commit takes from 0 to the ${sizeBytes} bytes that were claimed, got ${String(usedBytes)}`,
      );
    }
    this.#ended = 'committed';
    const reason = this.#droppedFor;
    if (reason !== undefined) {
      outbox.letGo({ dropped: reason });
      return sending.committed(this.#request, usedBytes, 'dropped');
    }
    try {
      this.#room?.commit(usedBytes);
    } catch (error) {
      this.#ended = error instanceof Error ? error : 'aborted';
      outbox.letGo('aborted');
      throw error;
    }
    outbox.letGo('sent');
    return sending.committed(this.#request, usedBytes, facts.offered);
  }

  abort(): void {
    if (this.#ended === 'committed') this.check('it cannot be aborted now');
    this.giveBack();
  }

  giveBack(): void {
    if (this.#ended !== undefined) return;
    this.#ended = 'aborted';
    this.#room?.abort();
    this.#settings.outbox.letGo('aborted');
  }

  end(error: Error): void {
    this.#ended = error;
    this.#room?.abort();
  }
}

/** Looks at the clock once in so many claims (a power of two, less one). */
const TURN_MASK = 0xff;

/** The claims of one handle. */
export class Claims {
  readonly #settings: ClaimSettings;
  #count = 0;

  constructor(settings: ClaimSettings) {
    this.#settings = settings;
  }

  /** A claim, once there is room. */
  claim(sizeBytes: number, options: SendOptions | undefined): Promise<Claim> {
    const { outbox } = this.#settings;
    const behind = this.#prepare(sizeBytes, options);
    const sender = outbox.attached;
    this.#count += 1;
    // A loop of claims that never waits must still let the event loop turn.
    const mustTurn = (this.#count & TURN_MASK) === 0 && turnIsOver();
    if (sender === undefined || mustTurn) return this.#claimLater(behind, options, mustTurn);
    const waiting = outbox.claim(sender, behind, options ?? {});
    if (waiting === undefined) return Promise.resolve(behind.handOut());
    return waiting.then(() => behind.handOut());
  }

  /** A claim, if there is room now. */
  tryClaim(sender: Sender, sizeBytes: number, options: SendOptions | undefined): Claim | undefined {
    const behind = this.#prepare(sizeBytes, options);
    return this.#settings.outbox.tryClaim(sender, behind) ? behind.handOut() : undefined;
  }

  async #claimLater(behind: OpenClaim, options: SendOptions | undefined, mustTurn: boolean): Promise<Claim> {
    const { outbox } = this.#settings;
    if (mustTurn) await nextTurn();
    const sender = await outbox.attach(options);
    await outbox.claim(sender, behind, options ?? {});
    return behind.handOut();
  }

  #prepare(sizeBytes: number, options: SendOptions | undefined): OpenClaim {
    const { sending, encoder } = this.#settings;
    sending.refuseConfirm(options, 'a claim');
    return new OpenClaim(this.#settings, encoder.claim(sizeBytes, Date.now(), options));
  }
}
