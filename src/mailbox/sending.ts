// Sending one message: the fast path where there is room, waiting where there is none, waiting for a receipt where one is
// asked for. Order among waiting sends is the outbox's; lists are in send-many.ts.

import { NaruError } from '../errors/index.ts';
import type { Confirm } from './capabilities.ts';
import type { Diagnostics } from './diagnostics.ts';
import type { ClaimRequest, DriverFacts, Outgoing, Sender } from './driver.ts';
import type { SendOptions } from './lacks.ts';
import type { Encoder } from './outgoing.ts';
import { exceeds, type Outbox } from './outbox.ts';
import { Receipt, type SendManyResult } from './receipt.ts';
import { sendMany } from './send-many.ts';
import { awaitOutcome, nextTurn, turnIsOver } from './waiting.ts';

/** What sending needs of its mailbox. */
export interface SendingSettings {
  readonly mailbox: string;
  readonly facts: DriverFacts;
  readonly encoder: Encoder;
  readonly outbox: Outbox;
  readonly diagnostics: Diagnostics;
  /** Level that every send waits for unless it says otherwise. */
  readonly confirm: Confirm;
}

/** Looks at the clock once in so many sends (a power of two, less one). */
const TURN_MASK = 0xff;

const ignore = (): void => undefined;

export class Sending {
  readonly #settings: SendingSettings;
  /** What wantedConfirm() answers to a call that does not say; open() has checked that the place can do it. */
  readonly #usualConfirm: Confirm | undefined;

  constructor(settings: SendingSettings) {
    const { confirm, facts } = settings;
    this.#settings = settings;
    this.#usualConfirm = exceeds(confirm, facts.offered) ? confirm : undefined;
  }

  /** The level to wait for, when it is more than what offer() gives. @throws NARU_UNSUPPORTED */
  wantedConfirm(options: SendOptions | undefined): Confirm | undefined {
    const wanted = options?.confirm;
    if (wanted === undefined) return this.#usualConfirm;
    const { facts, encoder } = this.#settings;
    if (!exceeds(wanted, facts.offered)) return undefined;
    if (wanted === 'received') encoder.require('receipts', 'confirm: "received"');
    if (wanted === 'durable') encoder.require('durable', 'confirm: "durable"');
    return wanted;
  }

  /** Sends data that has passed its schema. */
  send(sender: Sender, data: unknown, options: SendOptions | undefined): Promise<Receipt> {
    const { encoder, outbox, facts } = this.#settings;
    const confirm = this.wantedConfirm(options);
    if (confirm !== undefined) return this.#sendConfirmed(sender, data, options, confirm);
    const message = encoder.encode(data, Date.now(), options, undefined, undefined);
    const offered = outbox.offerOne(sender, message, this.#mayAsk(options));
    if (offered === 'ask') return this.#askAndSend(sender, message, options);
    if (offered === 'dropped') return Promise.resolve(this.#receipt(message, 'dropped'));
    this.#tell(message);
    if (offered === 'taken') return this.#taken(message, facts.offered);
    const waited = outbox.sendBatch(sender, [message], options ?? {}, ignore) ?? Promise.resolve();
    return waited.then(() => this.#receipt(message, facts.offered));
  }

  /** The same once data and sender are there. */
  async sendLater(data: unknown, options: SendOptions | undefined): Promise<Receipt> {
    const ready = await data;
    return this.send(await this.#settings.outbox.attach(options), ready, options);
  }

  /** A list, in order. @throws what send() raises, with `partial` */
  async sendMany(
    list: Iterable<unknown> | AsyncIterable<unknown>,
    options: SendOptions | undefined,
  ): Promise<SendManyResult> {
    const { mailbox, facts, encoder, outbox, diagnostics } = this.#settings;
    const sender = await outbox.attach(options);
    const confirm = this.wantedConfirm(options);
    const source = { sender, outbox, encoder, diagnostics, confirm, mailbox };
    return await sendMany(source, list, options, confirm ?? facts.offered);
  }

  /** @throws NARU_INVALID_ARGUMENT  a call that does not wait is to wait for a receipt */
  refuseConfirm(options: SendOptions | undefined, what: string): void {
    const confirm = this.wantedConfirm(options);
    if (confirm === undefined) return;
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${this.#settings.mailbox}: ${what} cannot wait for the receipt "${confirm}"`,
    );
  }

  /** The message of a synchronous send. */
  encodeSync(data: unknown, options: SendOptions | undefined): Outgoing {
    const { encoder } = this.#settings;
    this.refuseConfirm(options, 'a synchronous send');
    return encoder.encode(encoder.checkSync(data), Date.now(), options, undefined, undefined);
  }

  /** Without waiting. @returns whether the message was taken */
  offer(sender: Sender, message: Outgoing): boolean {
    const taken = this.#settings.outbox.offerOne(sender, message) === 'taken';
    if (taken) this.#tell(message);
    return taken;
  }

  async #sendConfirmed(
    sender: Sender,
    data: unknown,
    options: SendOptions | undefined,
    confirm: Confirm,
  ): Promise<Receipt> {
    const { encoder, outbox } = this.#settings;
    let done: (error?: Error) => void = ignore;
    const confirmed = new Promise<void>((resolve, reject) => {
      done = (error) => (error === undefined ? resolve() : reject(error));
    });
    confirmed.catch(ignore);
    const message = encoder.encode(data, Date.now(), options, confirm, (error) => done(error));
    const limits = options ?? {};
    let offered = outbox.offerOne(sender, message, this.#mayAsk(options));
    if (offered === 'ask') {
      await sender.poll?.(message);
      offered = outbox.offerOne(sender, message);
    }
    if (offered === 'dropped') return this.#receipt(message, 'dropped');
    if (offered === 'full') await outbox.sendBatch(sender, [message], limits, ignore);
    this.#tell(message);
    const what = `the message was sent but its receipt (${confirm}) did not come`;
    await awaitOutcome(confirmed, limits, what, this.#settings.mailbox);
    return this.#receipt(message, confirm);
  }

  /** Whether being full now would be the end of this send: then the place itself must say so. */
  #mayAsk(options: SendOptions | undefined): boolean {
    return options?.timeoutMs === 0 || this.#settings.outbox.endsWhenFull;
  }

  async #askAndSend(sender: Sender, message: Outgoing, options: SendOptions | undefined): Promise<Receipt> {
    const { outbox, facts } = this.#settings;
    await sender.poll?.(message);
    const offered = outbox.offerOne(sender, message);
    if (offered === 'dropped') return this.#receipt(message, 'dropped');
    this.#tell(message);
    if (offered === 'full') await outbox.sendBatch(sender, [message], options ?? {}, ignore);
    return this.#receipt(message, facts.offered);
  }

  /** A loop of sends that never wait must still let the event loop turn. */
  #taken(message: Outgoing, reached: Confirm): Promise<Receipt> {
    const receipt = this.#receipt(message, reached);
    if ((message.sequence & TURN_MASK) !== 0 || !turnIsOver()) return Promise.resolve(receipt);
    return nextTurn().then(() => receipt);
  }

  #receipt(message: Pick<Outgoing, 'fields' | 'sequence'>, reached: Receipt['reached']): Receipt {
    return new Receipt(reached, message.fields?.id, this.#settings.facts.identity, message.sequence);
  }

  /** A claim was committed: as if it had been sent. */
  committed(message: ClaimRequest, usedBytes: number, reached: Receipt['reached']): Receipt {
    const receipt = this.#receipt(message, reached);
    if (reached !== 'dropped' && this.#settings.diagnostics.heard('send')) this.#publish(receipt, usedBytes);
    return receipt;
  }

  #tell(message: Outgoing): void {
    if (!this.#settings.diagnostics.heard('send')) return;
    this.#publish(this.#receipt(message, 'accepted'), message.body.byteLength);
  }

  #publish(receipt: Receipt, bytes: number): void {
    this.#settings.diagnostics.publish('send', 'send', 1, {
      'messaging.message.id': receipt.id,
      'messaging.message.body.size': bytes,
    });
  }
}
