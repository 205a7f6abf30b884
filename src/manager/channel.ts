// One connection of a client to a Manager, after the handshake: calls and their answers, many at a time, and news. It neither comes back nor
// knows what is called; link.ts does the one, drivers the other.

import { NaruError } from '../errors/index.ts';
import type { Connected } from '../client/reconnecting.ts';
import { Connection } from '../link/connection.ts';
import {
  FrameType,
  type FrameRecord,
  parseJson,
  PROTOCOL,
  readFrameText,
  readRecord,
} from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import type { Target } from './address.ts';
import { greetServer } from './greeting.ts';
import { NOTHING, Verb } from './protocol.ts';

/** What a call says beside its verb and its handle. */
export interface Said {
  readonly x?: number;
  readonly y?: number;
  readonly text?: string;
  readonly body?: Uint8Array;
}

/** What a handle hears of its connection. */
export interface ChannelEvents {
  news(type: number, record: FrameRecord): void;
  /** It broke. */
  lost(error: NaruError): void;
}

interface Pending {
  readonly resolve: (answer: FrameRecord) => void;
  readonly reject: (error: unknown) => void;
  readonly isWrite: boolean;
}

/** Frames are bounded by the Manager's limits; this is the most that any Manager can be told to take. */
const ANSWER_BYTES_MAX = 67_108_864 + 65_536;
const ID_MAX = 2 ** 32;

export class Channel implements Connected {
  readonly #connection: Connection;
  readonly #target: Target;
  readonly #lost: () => void;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Map<number, ChannelEvents>();
  #id = 0;
  #isHeld = true;
  #isOver: NaruError | undefined;

  private constructor(connection: (channel: Channel) => Connection, target: Target, lost: () => void) {
    this.#target = target;
    this.#lost = lost;
    this.#connection = connection(this);
    this.#connection.allow(ANSWER_BYTES_MAX);
    this.#connection.startHeartbeat();
  }

  /** @throws NARU_DISCONNECTED, NARU_DENIED, NARU_UNSUPPORTED, NARU_LIMIT, NARU_CORRUPT; the signal's reason */
  static async connect(target: Target, lost: () => void, signal: AbortSignal): Promise<Channel> {
    const socket = await target.connect(signal);
    socket.on('error', () => undefined);
    try {
      await greetServer(socket, target.key, target.text, signal);
    } catch (error) {
      socket.destroy();
      throw error;
    }
    const { text: mailbox, place, heartbeatMs } = target;
    return new Channel(
      (channel) =>
        new Connection(
          socket,
          { mailbox, place, heartbeatMs },
          {
            preamble: (major) => channel.#checkVersion(major),
            frame: (type, chunk, start, end) => channel.#onFrame(type, chunk, start, end),
            read: () => undefined,
            drain: () => undefined,
            closed: (error) => channel.#onClosed(error),
          },
        ),
      target,
      lost,
    );
  }

  /** @param isWrite  something may have changed when no answer comes */
  call(verb: number, ref: number, said: Said, isWrite: boolean): Promise<FrameRecord> {
    if (this.#isOver !== undefined) return Promise.reject(this.#isOver);
    this.#id = (this.#id + 1) % ID_MAX;
    const id = this.#id;
    this.#write(verb, id, ref, said);
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { resolve, reject, isWrite });
      if (this.#pending.size === 1) this.#hold();
    });
  }

  /** A call without an answer. */
  tell(verb: number, ref: number, said: Said): void {
    if (this.#isOver === undefined) this.#write(verb, 0, ref, said);
  }

  /** News of a handle. */
  listen(ref: number, events: ChannelEvents): void {
    this.#listeners.set(ref, events);
  }

  forget(ref: number): void {
    this.#listeners.delete(ref);
  }

  ref(): void {
    this.#isHeld = true;
    this.#hold();
  }

  unref(): void {
    this.#isHeld = false;
    this.#hold();
  }

  destroy(): void {
    this.#connection.close(undefined);
  }

  /** Resolves when the descriptor is free. */
  whenGone(): Promise<void> {
    return this.#connection.whenGone();
  }

  #hold(): void {
    if (this.#isOver === undefined) this.#connection.hold(this.#isHeld || this.#pending.size > 0);
  }

  #write(verb: number, id: number, ref: number, { x = 0, y = 0, text = '', body = NOTHING }: Said): void {
    this.#connection.writer.record(verb, { id, ref, x, y }, text, body);
  }

  #checkVersion(major: number): void {
    if (major === PROTOCOL.major) return;
    throw this.#error(
      'NARU_UNSUPPORTED',
      `the Manager speaks version ${major} of the protocol, this process ${PROTOCOL.major}.${PROTOCOL.minor}; use the same version of naru on both sides`,
    );
  }

  #onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    if (type === FrameType.bye) {
      const json = parseJson(readFrameText(chunk, start, end));
      this.#connection.abort(
        NaruError.fromJSON({ code: 'NARU_DISCONNECTED', message: 'the Manager said goodbye', ...json }),
      );
      return;
    }
    const record = readRecord(type, chunk, start, end);
    if (type !== Verb.done && type !== Verb.failed) {
      this.#listeners.get(record.ref)?.news(type, record);
      return;
    }
    const pending = this.#pending.get(record.id);
    if (pending === undefined) return;
    this.#pending.delete(record.id);
    if (this.#pending.size === 0) this.#hold();
    if (type === Verb.done) pending.resolve(record);
    else pending.reject(NaruError.fromJSON(parseJson(record.text)));
  }

  #onClosed(error: NaruError | undefined): void {
    const why = error?.message ?? `${this.#target.text}: the connection was closed`;
    const isOver = new NaruError('NARU_DISCONNECTED', why, {
      place: this.#target.place,
      mailbox: this.#target.text,
    });
    this.#isOver = isOver;
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, isWrite } of pending) reject(isWrite ? this.#unknown(why) : isOver);
    const listeners = [...this.#listeners.values()];
    this.#listeners.clear();
    if (error !== undefined) for (const listener of listeners) listener.lost(isOver);
    this.#lost();
  }

  #unknown(why: string): NaruError {
    return this.#error(
      'NARU_OUTCOME_UNKNOWN',
      `the connection broke before the answer came, so it may have happened or not (${why})`,
    );
  }

  #error(code: 'NARU_UNSUPPORTED' | 'NARU_OUTCOME_UNKNOWN', what: string): NaruError {
    const { text, place } = this.#target;
    return new NaruError(code, `${text}: ${what}`, { place, mailbox: text });
  }
}
