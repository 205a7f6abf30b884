// What the frames of a Manager's connection mean. Their layout is the record of wire/frames.ts: id, ref, two numbers, a text, bytes. A call has an
// id of its own, and its answer repeats it; ref is the handle; news have a ref and no id.

import type { FrameRecord } from '../wire/frames.ts';

export const Verb = {
  /** text: what is asked for, as JSON. Answer: ref of the new handle, text: facts as JSON. */
  open: 0x40,
  /** Lets a handle go. Not answered. */
  close: 0x41,
  /** Removes the object for everybody. */
  unlink: 0x42,
  /** Map. text: the key. Answer: ref 1 when there is one, x version, y expiry or 0, bytes. */
  get: 0x43,
  /** text: key; bytes: value; x: time to live or 0; y: 0 in any case, -1 only where absent, else the version. Answer: ref 1 when it was done. */
  set: 0x44,
  /** text: key; y: 0 or the version. Answer: ref 1 when it was done. */
  delete: 0x45,
  clear: 0x46,
  /** Answer: x. */
  size: 0x47,
  /** x: 0 begins an iteration, else its number. Answer: x its number, or 0 at the end; bytes: a page (pages.ts). */
  page: 0x48,
  /** x: number of an iteration that is over. Not answered. */
  leave: 0x49,
  /** From now on changes are told (news). */
  watch: 0x4a,
  unwatch: 0x4b,
  /** Value or array. text: the operation; x: index; bytes: operands. Answer: bytes. */
  cell: 0x4c,
  /** List: get, set, size and clear have x: the index. x, y: from, to. Answer: bytes: a page of what fits into it. */
  slice: 0x4d,
  /** x: where; y: how many go; bytes: a page of what comes. Answer: x: how many there are then; bytes: a page of what went. */
  splice: 0x4e,
  /** Lock, semaphore or event. x: number of the asking. Not answered: news when it is this handle's (granted). */
  take: 0x50,
  /** x: number of the asking that is taken back. Not answered. */
  cancel: 0x51,
  /** Answer: ref 1 when it is this handle's now, or the event is set; y 1: a holder before died with it. */
  try: 0x52,
  /** Gives back; sets the event. */
  give: 0x53,
  /** Keeps a permit for good; clears the event. */
  spend: 0x54,
  /** One more permit. */
  add: 0x55,
  /** Any answer: it was done. */
  done: 0x60,
  /** Any answer: text: the error as JSON. */
  failed: 0x61,
  /** News of a map. ref: the handle; text: the key, or empty: any of them. */
  changed: 0x62,
  /** News: the object was removed. ref: the handle. */
  removed: 0x63,
  /** News: what was asked for is this handle's. ref: the handle; x: number of the asking; y 1: a holder before died with it. */
  granted: 0x64,
} as const;

/** What is called. */
export interface Call extends Omit<FrameRecord, 'id'> {
  readonly verb: number;
}

/** What comes back. */
export interface Answer {
  readonly ref?: number;
  readonly x?: number;
  readonly y?: number;
  readonly text?: string;
  readonly body?: Uint8Array;
}

export const NOTHING: Uint8Array = new Uint8Array(0);
export const DONE: Answer = {};
export const YES: Answer = { ref: 1 };
export const NO: Answer = { ref: 0 };

/** Kinds of objects. */
export type Kind = 'map' | 'value' | 'array' | 'list' | 'lock' | 'semaphore' | 'event' | 'mailbox';

/** What a client asks for when it opens an object. */
export interface Asked {
  readonly kind: Kind;
  readonly name: string;
  readonly create: 'if-missing' | 'new' | 'never';
  readonly owner: 'users' | 'system' | undefined;
  /** Who the handle is. */
  readonly identity: string;
  /** Of a handle that lost its connection: which Manager it was, and which object. If this is that Manager, the object must be that one still. */
  readonly before?: { readonly manager: number; readonly life: number };
  /** What its kind has beside: checked by the kind. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** What a client is told of an object that it opened. */
export interface Told {
  readonly created: boolean;
  /** Random for each Manager that was ever started. */
  readonly manager: number;
  /** Random for each object that was ever made. */
  readonly life: number;
  /** Largest value, in bytes. */
  readonly maxValueBytes: number;
  readonly settings: Readonly<Record<string, unknown>>;
}
