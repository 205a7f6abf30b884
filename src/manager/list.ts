// A list in a Manager, from a client's side: what Python's Manager().list() is, with frozen values and compare-and-set.

import type { Codec } from '../mailbox/codec.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import type { Schema } from '../mailbox/schema.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';
import { withCodec } from '../mailbox/shared-mailbox.ts';
import { awaitOutcome, checkLimits, type WaitLimits, within } from '../mailbox/waiting.ts';
import type { Frozen } from '../state/frozen.ts';
import type { MapPlaceOptions } from '../state/map-place.ts';
import { MapValues } from '../state/map-values.ts';
import type { FrameRecord } from '../wire/frames.ts';
import { PARAMETERS, readTarget } from './address.ts';
import type { Said } from './channel.ts';
import { Handle } from './handle.ts';
import { MANAGER } from './limits.ts';
import { checkOwner } from './owner.ts';
import { decodePage, encodePage } from './pages.ts';
import { Verb } from './protocol.ts';

/** An element as it was at one moment. */
export interface ListEntry<V> {
  readonly value: Frozen<V>;
  /** Opaque: give it to `set()` as `ifVersion`. */
  readonly version: string;
}

/** Behind every list that there can be. */
const END = 2 ** 40;

/**
 * A list that several processes share, in a Manager. Values are copies, frozen all the way down. An index below 0 counts from the end. Every call
 * rejects with NARU_CLOSED, NARU_DISCONNECTED (no Manager for 5 s), NARU_INVALID_ARGUMENT, NARU_INVALID_MESSAGE (codec, schema) and, where it changes
 * something, NARU_OUTCOME_UNKNOWN, NARU_FULL and NARU_TOO_LARGE. Made by `openList()`.
 */
export class ManagerList<In = unknown, Out = In> {
  readonly #handle: Handle;
  readonly #values: MapValues;
  readonly #codec: unknown;

  /** @internal */
  constructor(handle: Handle, codec: Codec, schema: Schema | undefined, given: unknown) {
    const { text } = handle.target;
    this.#handle = handle;
    this.#codec = given;
    this.#values = new MapValues(
      { text, maxKeyBytes: MANAGER.maxKeyBytes, maxValueBytes: handle.told.maxValueBytes },
      codec,
      schema,
    );
  }

  /** A URL by which others open this very list; they need the key as well. */
  get address(): string {
    return this.#handle.target.address;
  }

  /** Whether this handle made the list. */
  get created(): boolean {
    return this.#handle.told.created;
  }

  /** What `spawn()` hands over. @internal */
  toShared(): SharedHandle {
    const { address, secrets } = this.#handle.target;
    const options = { ...secrets };
    return withCodec({ kind: 'list', url: address, options, shapes: ['worker', 'child'] }, this.#codec);
  }

  /** How many elements it has. @throws NARU_TIMEOUT */
  async length(limits: WaitLimits = {}): Promise<number> {
    return (await this.#read(Verb.size, {}, limits)).x;
  }

  /** @returns the value, frozen; undefined when there is no such element @throws NARU_TIMEOUT */
  async get(index: number, limits: WaitLimits = {}): Promise<Frozen<Out> | undefined> {
    return (await this.getEntry(index, limits))?.value;
  }

  /** The value with its version, for `ifVersion`. @throws NARU_TIMEOUT */
  async getEntry(index: number, limits: WaitLimits = {}): Promise<ListEntry<Out> | undefined> {
    const { ref, x, body } = await this.#read(Verb.get, { x: this.#check(index) }, limits);
    if (ref === 0) return undefined;
    return { value: await this.#decode(index, body), version: this.#handle.versionOf(x) };
  }

  /**
   * Stores a value at an index that is there.
   * @returns false when `ifVersion` did not hold: somebody changed the element, or others came or went before it
   */
  async set(
    index: number,
    value: In,
    options: WaitLimits & { readonly ifVersion?: string } = {},
  ): Promise<boolean> {
    const y = options.ifVersion === undefined ? 0 : this.#handle.numberOf(options.ifVersion);
    if (y === undefined) return false;
    const encoded = this.#values.encode(`[${index}]`, value);
    const body = encoded instanceof Promise ? await encoded : encoded;
    const { ref } = await this.#write(Verb.set, { x: this.#check(index), y, body }, options);
    return ref === 1;
  }

  /**
   * Changes an element by a function of its value, which may be asynchronous. When somebody else changed it meanwhile, or moved it, the function is
   * called again: it must do nothing but compute.
   * @returns the value that was stored, frozen
   * @throws NARU_INVALID_ARGUMENT  there is no such element; what the function throws; NARU_TIMEOUT
   */
  async update(
    index: number,
    change: (value: Frozen<Out>) => In | Promise<In>,
    limits: WaitLimits = {},
  ): Promise<Frozen<Out>> {
    for (;;) {
      const entry = await this.getEntry(index, limits);
      if (entry === undefined)
        throw this.#handle.error('NARU_INVALID_ARGUMENT', `there is no element ${index}`);
      const after = await change(entry.value);
      if (!(await this.set(index, after, { ...limits, ifVersion: entry.version }))) continue;
      return this.#decode(index, await this.#encode(index, after));
    }
  }

  /** Adds values at the end, in one step. @returns how many elements there are then */
  async push(...values: readonly In[]): Promise<number> {
    return (await this.#splice(END, 0, values)).length;
  }

  /** Takes the last element out. @returns undefined when there is none */
  pop(): Promise<Frozen<Out> | undefined> {
    return this.remove(-1);
  }

  /** Takes the first element out. @returns undefined when there is none */
  shift(): Promise<Frozen<Out> | undefined> {
    return this.remove(0);
  }

  /** Takes one element out. @returns undefined when there is no such one */
  async remove(index: number): Promise<Frozen<Out> | undefined> {
    return (await this.#splice(index, 1, [])).gone[0];
  }

  /** Puts values before an element, in one step; behind the end: at the end. */
  async insert(index: number, ...values: readonly In[]): Promise<void> {
    await this.#splice(index, 0, values);
  }

  /** Takes so many elements out and puts others there, in one step. @returns what was taken out */
  async splice(index: number, count: number, ...values: readonly In[]): Promise<Frozen<Out>[]> {
    return (await this.#splice(index, count, values)).gone;
  }

  /** A copy of the elements from one index up to and without another. Many are fetched in parts: what changes meanwhile may be in it or not. */
  async slice(from = 0, to: number = END, limits: WaitLimits = {}): Promise<Frozen<Out>[]> {
    const all: Frozen<Out>[] = [];
    for await (const part of this.#pages(from, to, limits)) all.push(...part);
    return all;
  }

  /** Every element, in order, fetched in parts. What comes or goes meanwhile moves what follows. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Frozen<Out>, void, undefined> {
    for await (const part of this.#pages(0, END, {})) yield* part;
  }

  /** Takes every element out. */
  async clear(limits: WaitLimits = {}): Promise<void> {
    await this.#write(Verb.clear, {}, limits);
  }

  /** Lets the list go; the list itself stays, as its `owner` says. May be called again. */
  close(): Promise<void> {
    return this.#handle.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Removes the list for everybody: other handles get NARU_CLOSED. */
  unlink(): Promise<void> {
    return this.#handle.unlink();
  }

  async *#pages(from: number, to: number, limits: WaitLimits): AsyncGenerator<Frozen<Out>[]> {
    let [start, end] = [this.#check(from), this.#check(to)];
    if (start < 0 || end < 0) {
      const length = await this.length(limits);
      if (start < 0) start = Math.max(start + length, 0);
      if (end < 0) end += length;
    }
    for (;;) {
      const { body } = await this.#read(Verb.slice, { x: start, y: Math.max(end, 0) }, limits);
      const page = decodePage(body);
      if (page.length === 0) return;
      yield await Promise.all(page.map(({ value }, n) => this.#decode(start + n, value)));
      start += page.length;
    }
  }

  async #splice(
    index: number,
    count: number,
    values: readonly In[],
  ): Promise<{ readonly length: number; readonly gone: Frozen<Out>[] }> {
    const at = this.#check(index);
    const isCount = Number.isInteger(count) && count >= 0;
    if (!isCount) throw this.#handle.error('NARU_INVALID_ARGUMENT', `${count} elements cannot be taken out`);
    const encoded = values.map((value, n) => this.#values.encode(`[${at + n}]`, value));
    // Not awaited where it is there: calls of one handle reach the Manager in the order in which they were made.
    const bodies = encoded.some((one) => one instanceof Promise)
      ? await Promise.all(encoded.map(async (one) => one))
      : encoded;
    const page = encodePage(
      (bodies as Uint8Array[]).map((value) => ({ key: '', value, version: 0, expiresMs: 0 })),
    );
    const record = await this.#write(Verb.splice, { x: at, y: count, body: page }, {});
    const gone = decodePage(record.body).map(({ value }) => this.#decode(at, value));
    return { length: record.x, gone: await Promise.all(gone) };
  }

  async #read(verb: number, said: Said, limits: WaitLimits): Promise<FrameRecord> {
    checkLimits(limits, this.#handle.target.text);
    return within(this.#handle.call(verb, said, false), limits, 'no answer', this.#handle.target.text);
  }

  async #write(verb: number, said: Said, limits: WaitLimits): Promise<FrameRecord> {
    const { text } = this.#handle.target;
    checkLimits(limits, text);
    this.#handle.checkBody(said.body);
    const answer = this.#handle.call(verb, said, true);
    const done = answer.then(() => undefined);
    await awaitOutcome(done, limits, 'no answer', text);
    return answer;
  }

  async #decode(index: number, bytes: Uint8Array): Promise<Frozen<Out>> {
    return (await this.#values.decode(`[${index}]`, bytes)) as Frozen<Out>;
  }

  async #encode(index: number, value: In): Promise<Uint8Array> {
    return this.#values.encode(`[${index}]`, value);
  }

  #check(index: number): number {
    if (Number.isInteger(index) && Math.abs(index) <= END) return index;
    throw this.#handle.error('NARU_INVALID_ARGUMENT', `an index is a whole number, not ${String(index)}`);
  }
}

export { PARAMETERS };

/** The handle behind openList(). @throws as openMap() */
export function openListHandle(url: PlaceUrl, options: MapPlaceOptions): Promise<Handle> {
  const { create = 'if-missing', maxEntries, signal } = options;
  const target = readTarget(url, options.key);
  const owner = checkOwner(options.owner, target.text);
  return Handle.open(target, { kind: 'list', create, owner, settings: { maxEntries } }, signal);
}
