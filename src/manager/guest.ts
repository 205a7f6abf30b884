// A client of a Manager that has proved to know the key: its connection, its handles, its calls. What a call does is its object's business.

import type { Socket } from 'node:net';
import { isNaruError, NaruError } from '../errors/index.ts';
import { Connection } from '../link/connection.ts';
import { parseJson, PROTOCOL, readRecord, FrameType } from '../wire/frames.ts';
import type { Chunk } from '../wire/splitter.ts';
import { type Desk, managerError, type Seat } from './held.ts';
import { MANAGER } from './limits.ts';
import type { Entry, Objects } from './objects.ts';
import { type Answer, type Asked, type Call, DONE, NOTHING, type Told, Verb } from './protocol.ts';

export interface GuestInit {
  readonly objects: Objects;
  /** The Manager's address, for errors. */
  readonly text: string;
  readonly place: string;
  readonly heartbeatMs: number;
  readonly maxValueBytes: number;
  readonly closed: (guest: Guest) => void;
}

interface Handle {
  readonly entry: Entry;
  readonly seat: Seat;
  readonly removed: () => void;
}

/** Kinds of objects. */
const KINDS: ReadonlySet<unknown> = new Set([
  'mailbox',
  'map',
  'value',
  'array',
  'list',
  'lock',
  'semaphore',
  'event',
]);

export class Guest {
  readonly connection: Connection;
  readonly #init: GuestInit;
  readonly #handles = new Map<number, Handle>();
  /** News that wait until the client reads again. */
  #news: (() => void)[] = [];
  #isNewsDue = false;
  #count = 0;

  constructor(socket: Socket, init: GuestInit) {
    const { text, place, heartbeatMs } = init;
    this.#init = init;
    this.connection = new Connection(
      socket,
      { mailbox: text, place, heartbeatMs },
      {
        preamble: (major) => this.#checkVersion(major),
        frame: (type, chunk, start, end) => this.#onFrame(type, chunk, start, end),
        read: () => undefined,
        drain: () => this.#tellNews(),
        closed: (error) => this.#onClosed(error),
      },
    );
    this.connection.allow(init.maxValueBytes + MANAGER.maxKeyBytes);
    this.connection.startHeartbeat();
  }

  #checkVersion(major: number): void {
    if (major === PROTOCOL.major) return;
    const own = `${PROTOCOL.major}.${PROTOCOL.minor}`;
    throw managerError(
      'NARU_UNSUPPORTED',
      this.#init.text,
      `the client speaks version ${major}, this is ${own}`,
    );
  }

  #onFrame(type: number, chunk: Chunk, start: number, end: number): void {
    if (type === FrameType.bye) {
      this.connection.close(undefined);
      return;
    }
    const record = readRecord(type, chunk, start, end);
    let answer: Answer | undefined;
    try {
      answer = this.#perform({ verb: type, ...record });
    } catch (error) {
      this.#write(Verb.failed, record.id, { text: errorText(error, this.#init.text) });
      return;
    }
    if (answer !== undefined) this.#write(Verb.done, record.id, answer);
  }

  #perform(call: Call): Answer | undefined {
    if (call.verb === Verb.open) return this.#open(call.text);
    const handle = this.#handles.get(call.ref);
    if (handle === undefined) {
      // Said by a client that did not know yet that it was removed.
      if (call.verb === Verb.close) return undefined;
      throw managerError('NARU_CLOSED', this.#init.text, 'this handle is closed, or its object was removed');
    }
    switch (call.verb) {
      case Verb.close:
        this.#leave(call.ref, handle, false);
        return undefined;
      case Verb.unlink:
        this.#init.objects.remove(handle.entry);
        return DONE;
      default:
        return handle.seat.serve(call);
    }
  }

  #open(text: string): Answer {
    const asked = readAsked(parseJson(text), this.#init.text);
    if (this.#handles.size >= MANAGER.handlesMax)
      throw managerError(
        'NARU_LIMIT',
        this.#init.text,
        `one client has at most ${MANAGER.handlesMax} handles open`,
      );
    const { entry, created } = this.#init.objects.find(asked);
    this.#count += 1;
    const ref = this.#count;
    const seat = entry.held.attach(this.#deskOf(ref, asked.identity));
    const removed = (): void => {
      this.#handles.delete(ref);
      seat.leave(false);
      this.#write(Verb.removed, 0, { ref });
    };
    entry.users.add(removed);
    this.#handles.set(ref, { entry, seat, removed });
    const { settings } = entry.held;
    const { maxValueBytes, objects } = this.#init;
    const told: Told = { created, manager: objects.id, life: entry.life, maxValueBytes, settings };
    return { ref, text: JSON.stringify(told) };
  }

  #deskOf(ref: number, identity: string): Desk {
    return {
      identity,
      news: (write) => {
        this.#news.push(write);
        if (this.#isNewsDue) return;
        this.#isNewsDue = true;
        process.nextTick(() => this.#tellNews());
      },
      tell: (type, answer) => this.#write(type, 0, { ...answer, ref }),
    };
  }

  /** All that there are, or none while the client does not read. */
  #tellNews(): void {
    this.#isNewsDue = false;
    if (this.connection.isClosed || this.connection.isCongested) return;
    const due = this.#news;
    this.#news = [];
    for (const write of due) write();
  }

  #leave(ref: number, { entry, seat, removed }: Handle, died: boolean): void {
    this.#handles.delete(ref);
    seat.leave(died);
    this.#init.objects.left(entry, removed);
  }

  #write(type: number, id: number, { ref = 0, x = 0, y = 0, text = '', body = NOTHING }: Answer): void {
    if (!this.connection.isClosed) this.connection.writer.record(type, { id, ref, x, y }, text, body);
  }

  #onClosed(error: NaruError | undefined): void {
    this.#news = [];
    for (const [ref, handle] of this.#handles) this.#leave(ref, handle, error !== undefined);
    this.#init.closed(this);
  }
}

/** @throws NARU_INVALID_ARGUMENT */
export function readAsked(json: Record<string, unknown>, text: string): Asked {
  const { kind, name, create = 'if-missing', owner, identity, before, settings = {} } = json;
  const isRight =
    KINDS.has(kind) &&
    typeof name === 'string' &&
    (create === 'if-missing' || create === 'new' || create === 'never') &&
    (owner === undefined || owner === 'users' || owner === 'system') &&
    typeof identity === 'string' &&
    identity.length <= IDENTITY_MAX &&
    (before === undefined || (typeof before === 'object' && before !== null)) &&
    typeof settings === 'object' &&
    settings !== null;
  if (isRight) return { ...json, create, settings } as unknown as Asked;
  throw managerError('NARU_INVALID_ARGUMENT', text, 'an object was asked for in words that are none');
}

const IDENTITY_MAX = 128;

/** Longest text of an error that travels; a record's text has 65,535 bytes. */
const ERROR_MAX = 8_000;

function errorText(error: unknown, text: string): string {
  const known = isNaruError(error)
    ? error
    : new NaruError('NARU_REMOTE', `${text}: ${error instanceof Error ? error.message : String(error)}`);
  const { code, message, place } = known;
  return JSON.stringify({ code, message: message.slice(0, ERROR_MAX), place });
}
