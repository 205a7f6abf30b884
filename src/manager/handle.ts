// A client's handle of one object of a Manager, over all its connections: after each new one it is opened again, with what it was opened with.

import { NaruError, type NaruErrorCode } from '../errors/index.ts';
import { newHandleIdentity } from '../native/identity.ts';
import { type FrameRecord, parseJson } from '../wire/frames.ts';
import type { Target } from './address.ts';
import type { Channel, Said } from './channel.ts';
import { joinLink, type Link } from './link.ts';
import { type Asked, NOTHING, type Told, Verb } from './protocol.ts';

/** What the owner of a handle hears. */
export interface HandleEvents {
  /** News: Verb.changed and its like. */
  news?(type: number, record: FrameRecord): void;
  /** The connection is there again, and the handle is open on it: what the old one had is gone. */
  back?(): void;
  /** The connection broke: what this handle had in the Manager is given back. */
  lost?(error: NaruError): void;
  /** It will never work again. */
  failed?(error: NaruError): void;
}

export type Wanted = Omit<Asked, 'identity' | 'before' | 'name'>;

export class Handle {
  readonly target: Target;
  readonly identity: string = newHandleIdentity();
  readonly #wanted: Wanted;
  readonly #link: Link;
  readonly #events: HandleEvents;
  readonly #stopHearing: () => void;
  #channel: Channel | undefined;
  #ref = 0;
  #told: Told | undefined;
  #opening: { readonly channel: Channel; readonly done: Promise<void> } | undefined;
  /** Calls that wait for a connection: whoever comes later waits behind them. */
  #waiting = 0;
  #failure: NaruError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(target: Target, link: Link, wanted: Wanted, events: HandleEvents) {
    this.target = target;
    this.#link = link;
    this.#wanted = wanted;
    this.#events = events;
    this.#stopHearing = link.connection.onBack(() => void this.#comeBack());
  }

  /** @throws what the Manager refuses it with; NARU_DISCONNECTED, NARU_DENIED; the signal's reason */
  static async open(
    target: Target,
    wanted: Wanted,
    signal: AbortSignal,
    events: HandleEvents = {},
  ): Promise<Handle> {
    const link = await joinLink(target, signal);
    const handle = new Handle(target, link, wanted, events);
    try {
      await link.connection.run((channel) => handle.#attach(channel));
      signal.throwIfAborted();
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** What the Manager said of the object when it was opened last. */
  get told(): Told {
    return this.#told as Told;
  }

  /** Whether it is open on a connection at this moment. */
  get isConnected(): boolean {
    return this.#channel !== undefined && this.#channel === this.#link.connection.current;
  }

  /**
   * Calls in the order in which they are made.
   * @param isWrite  without an answer it is NARU_OUTCOME_UNKNOWN, else NARU_DISCONNECTED
   * @throws what the Manager answers; NARU_CLOSED
   */
  call(verb: number, said: Said, isWrite: boolean): Promise<FrameRecord> {
    const channel = this.#channel;
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (this.#waiting === 0 && channel !== undefined && channel === this.#link.connection.current)
      return channel.call(verb, this.#ref, said, isWrite);
    return this.#callLater(verb, said, isWrite);
  }

  /** A call that has no answer; lost when there is no connection. */
  tell(verb: number, said: Said): void {
    if (this.isConnected) this.#channel?.tell(verb, this.#ref, said);
  }

  /** Throws what ended this handle. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** A version of an entry for the user: of this object only, since one that was made anew counts from the beginning. */
  versionOf(number: number): string {
    return `${this.told.life}.${number}`;
  }

  /** @returns undefined when no entry of this object has it */
  numberOf(version: unknown): number | undefined {
    const prefix = `${this.told.life}.`;
    const isOurs = typeof version === 'string' && version.startsWith(prefix);
    const number = isOurs ? Number(version.slice(prefix.length)) : 0;
    return Number.isInteger(number) && number > 0 ? number : undefined;
  }

  /** @throws NARU_TOO_LARGE  more than the Manager takes in one call */
  checkBody(body: Uint8Array | undefined): void {
    const most = this.told.maxValueBytes + SLACK_BYTES;
    const bytes = body?.byteLength ?? 0;
    if (bytes > most)
      throw this.error(
        'NARU_TOO_LARGE',
        `${bytes} bytes in one call, the Manager takes ${most}; do it in parts`,
      );
  }

  async unlink(): Promise<void> {
    await this.call(Verb.unlink, {}, true);
  }

  /** May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  error(code: NaruErrorCode, what: string): NaruError {
    const { text, place } = this.target;
    return new NaruError(code, `${text}: ${what}`, { place, mailbox: text });
  }

  /** It never works again, for a reason. */
  fail(error: NaruError): void {
    if (this.#failure !== undefined) return;
    this.#failure = error;
    this.#events.failed?.(error);
  }

  async #close(): Promise<void> {
    this.#failure ??= this.error('NARU_CLOSED', 'this handle was closed');
    this.#stopHearing();
    if (this.isConnected) {
      this.#channel?.tell(Verb.close, this.#ref, {});
      this.#channel?.forget(this.#ref);
    }
    await this.#link.release();
  }

  async #callLater(verb: number, said: Said, isWrite: boolean): Promise<FrameRecord> {
    // The caller's bytes may be others by then. (A Buffer's own slice() copies nothing.)
    const body = said.body === undefined ? NOTHING : Uint8Array.prototype.slice.call(said.body);
    const kept = { ...said, body };
    this.#waiting += 1;
    let isWaiting = true;
    try {
      return await this.#link.connection.run(async (channel) => {
        await this.#attach(channel);
        this.#waiting -= 1;
        isWaiting = false;
        return await channel.call(verb, this.#ref, kept, isWrite);
      });
    } finally {
      if (isWaiting) this.#waiting -= 1;
    }
  }

  async #attach(channel: Channel): Promise<void> {
    this.check();
    if (this.#channel === channel) return;
    if (this.#opening?.channel !== channel) this.#opening = { channel, done: this.#openOn(channel) };
    await this.#opening.done;
    this.check();
  }

  async #openOn(channel: Channel): Promise<void> {
    const before = this.#told;
    const { name } = this.target;
    const { create } = this.#wanted;
    const asked: Asked = {
      ...this.#wanted,
      name,
      identity: this.identity,
      // Who comes back finds its object, or makes it anew where the Manager is another one.
      create: before === undefined || create === 'never' ? create : 'if-missing',
      ...(before === undefined ? {} : { before: { manager: before.manager, life: before.life } }),
    };
    try {
      const record = await channel.call(Verb.open, 0, { text: JSON.stringify(asked) }, true);
      this.#told = parseJson(record.text) as unknown as Told;
      this.#ref = record.ref;
      this.#channel = channel;
      channel.listen(record.ref, {
        news: (type, news) => this.#onNews(type, news),
        lost: (why) => this.#events.lost?.(why),
      });
    } catch (error) {
      if (this.#opening?.channel === channel) this.#opening = undefined;
      if (before !== undefined && error instanceof NaruError && error.code === 'NARU_CLOSED')
        this.fail(error);
      throw error;
    }
  }

  async #comeBack(): Promise<void> {
    if (this.#failure !== undefined || this.#events.back === undefined) return;
    try {
      await this.#link.connection.run((channel) => this.#attach(channel));
      this.#events.back?.();
    } catch (error) {
      // A connection that broke again comes back again; anything else is for ever.
      const isPassing = error instanceof NaruError && PASSING.has(error.code);
      if (!isPassing && error instanceof NaruError) this.fail(error);
    }
  }

  #onNews(type: number, record: FrameRecord): void {
    if (type === Verb.removed) this.fail(this.error('NARU_CLOSED', 'it was removed'));
    else this.#events.news?.(type, record);
  }
}

/** What a call may have beside one value: heads of pages. */
const SLACK_BYTES = 512;

const PASSING: ReadonlySet<NaruErrorCode> = new Set(['NARU_DISCONNECTED', 'NARU_OUTCOME_UNKNOWN']);
