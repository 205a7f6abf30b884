// A list that lives in a Manager: elements in order, each with a version. Every call is one step.

import type { Budget } from '../state/map-contents.ts';
import {
  compareSettings,
  countOf,
  type Desk,
  type Held,
  type HeldInit,
  managerError,
  type Seat,
  strangeVerb,
} from './held.ts';
import { MANAGER } from './limits.ts';
import { decodePage, encodePage, type PageEntry } from './pages.ts';
import { type Answer, type Asked, type Call, DONE, NO, Verb, YES } from './protocol.ts';

/** Elements that a list has at most, unless more is asked for. */
const MAX_ENTRIES = 1_000_000;
/** Bytes of elements that one call takes out and gives back. */
const REMOVED_BYTES_MAX = 16_777_216;

/** Elements that one call adds or takes out. */
const COME_MAX = 10_000;

interface Element {
  readonly value: Uint8Array;
  readonly version: number;
}

export class HeldList implements Held {
  readonly settings: { readonly maxEntries: number };
  readonly #text: string;
  readonly #maxValueBytes: number;
  readonly #budget: Budget;
  readonly #elements: Element[] = [];
  #bytes = 0;
  #version = 0;

  constructor(asked: Asked, { text, maxValueBytes, budget }: HeldInit) {
    this.#text = text;
    this.#maxValueBytes = maxValueBytes;
    this.#budget = budget;
    this.settings = { maxEntries: countOf(asked, 'maxEntries', MAX_ENTRIES, 1, 2 ** 31, text) };
  }

  check(asked: Asked): void {
    compareSettings(asked, this.settings, this.#text);
  }

  attach(_desk: Desk): Seat {
    return { serve: (call) => this.#serve(call), leave: () => undefined };
  }

  dispose(): void {
    this.#elements.length = 0;
    this.#take(-this.#bytes);
  }

  #serve(call: Call): Answer {
    switch (call.verb) {
      case Verb.get: {
        const element = this.#elements[this.#indexOf(call.x)];
        return element === undefined ? NO : { ref: 1, x: element.version, body: element.value };
      }
      case Verb.set:
        return this.#set(call);
      case Verb.size:
        return { x: this.#elements.length };
      case Verb.clear:
        this.dispose();
        return DONE;
      case Verb.slice:
        return { body: encodePage(this.#page(this.#indexOf(call.x), this.#indexOf(call.y))) };
      case Verb.splice:
        return this.#splice(call);
      default:
        throw strangeVerb(call, this.#text);
    }
  }

  /** From the end where it is negative. */
  #indexOf(index: number): number {
    return index < 0 ? index + this.#elements.length : index;
  }

  #set({ x, y, body }: Call): Answer {
    const index = this.#indexOf(x);
    const before = this.#elements[index];
    if (before === undefined)
      throw managerError(
        'NARU_INVALID_ARGUMENT',
        this.#text,
        `there is no element ${x}, it has ${this.#elements.length}`,
      );
    if (y !== 0 && before.version !== y) return NO;
    this.#checkSize(body);
    this.#makeRoom(0, body.byteLength - before.value.byteLength);
    this.#elements[index] = this.#elementOf(body);
    return YES;
  }

  /** What fits into one answer, the first element in any case. */
  #page(from: number, to: number): PageEntry[] {
    const page: PageEntry[] = [];
    let bytes = 0;
    for (let at = Math.max(from, 0); at < Math.min(to, this.#elements.length); at += 1) {
      if (page.length >= MANAGER.pageEntries || bytes >= MANAGER.pageBytes) break;
      const element = this.#elements[at] as Element;
      page.push(entryOf(element));
      bytes += element.value.byteLength;
    }
    return page;
  }

  /** x: where; y: how many go; the bytes: what comes. */
  #splice({ x, y, body }: Call): Answer {
    const elements = this.#elements;
    const at = Math.min(Math.max(this.#indexOf(x), 0), elements.length);
    const gone = elements.slice(at, at + Math.max(y, 0));
    const come = decodePage(body);
    if (come.length > COME_MAX || gone.length > COME_MAX)
      throw managerError(
        'NARU_LIMIT',
        this.#text,
        `one call adds and removes at most ${COME_MAX} elements; do it in parts`,
      );
    const goneBytes = bytesOf(gone);
    if (goneBytes > REMOVED_BYTES_MAX)
      throw managerError(
        'NARU_LIMIT',
        this.#text,
        `${goneBytes} bytes of removed elements, one call gives back ${REMOVED_BYTES_MAX}; remove fewer at a time, or clear()`,
      );
    for (const { value } of come) this.#checkSize(value);
    this.#makeRoom(come.length - gone.length, bytesOf(come) - goneBytes);
    elements.splice(at, gone.length, ...come.map(({ value }) => this.#elementOf(value)));
    return { x: elements.length, body: encodePage(gone.map(entryOf)) };
  }

  #elementOf(value: Uint8Array): Element {
    this.#version += 1;
    return { value: Uint8Array.prototype.slice.call(value), version: this.#version };
  }

  #checkSize({ byteLength }: Uint8Array): void {
    if (byteLength <= this.#maxValueBytes) return;
    throw managerError(
      'NARU_TOO_LARGE',
      this.#text,
      `the value has ${byteLength} bytes, the limit is ${this.#maxValueBytes}`,
    );
  }

  #makeRoom(entries: number, bytes: number): void {
    const { maxEntries } = this.settings;
    const { used, max } = this.#budget;
    if (entries > 0 && this.#elements.length + entries > maxEntries)
      throw managerError(
        'NARU_FULL',
        this.#text,
        `it has ${this.#elements.length} elements of ${maxEntries}`,
      );
    if (bytes > 0 && used + bytes > max)
      throw managerError('NARU_FULL', this.#text, `all objects together have ${used} bytes of ${max}`);
    this.#take(bytes);
  }

  #take(bytes: number): void {
    this.#bytes += bytes;
    this.#budget.used += bytes;
  }
}

function entryOf({ value, version }: Element): PageEntry {
  return { key: '', value, version, expiresMs: 0 };
}

function bytesOf(elements: readonly { readonly value: Uint8Array }[]): number {
  let bytes = 0;
  for (const { value } of elements) bytes += value.byteLength;
  return bytes;
}
