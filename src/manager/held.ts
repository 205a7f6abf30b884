// The contract between a Manager's table of objects and the kinds of objects there are: one class a kind, one seat for each handle of a client.

import { NaruError } from '../errors/index.ts';
import type { Budget } from '../state/map-contents.ts';
import type { Answer, Asked, Call } from './protocol.ts';

/** How a seat reaches its client. */
export interface Desk {
  /** Who has the handle. */
  readonly identity: string;
  /** The client's newest news of this kind stand for those before, if it is slow to read. @param write  called when there is room */
  news(write: () => void): void;
  /** Writes a frame that is no answer. */
  tell(type: number, answer: Answer): void;
}

/** One handle of a client. */
export interface Seat {
  /** @returns undefined when the verb has no answer @throws NaruError: the answer is the error */
  serve(call: Call): Answer | undefined;
  /** The handle is closed, or its client is dead: what it had comes back. */
  leave(died: boolean): void;
}

/** One named object. */
export interface Held {
  /** What a client is told of it. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** @throws NARU_EXISTS  what was asked for differs from what is there */
  check(asked: Asked): void;
  attach(desk: Desk): Seat;
  /** It is removed; its seats leave right after. */
  dispose(): void;
}

/** What an object is made with. */
export interface HeldInit {
  /** The object, for errors: `map orders`. */
  readonly text: string;
  readonly maxValueBytes: number;
  readonly budget: Budget;
}

export function managerError(
  code: ConstructorParameters<typeof NaruError>[0],
  text: string,
  what: string,
): NaruError {
  return new NaruError(code, `${text}: ${what}`, { place: 'manager' });
}

/** A number that a client sent, or `otherwise` where it sent none. @throws NARU_INVALID_ARGUMENT */
export function countOf(
  asked: Asked,
  name: string,
  otherwise: number,
  min: number,
  max: number,
  text: string,
): number {
  const value = asked.settings[name];
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw managerError(
    'NARU_INVALID_ARGUMENT',
    text,
    `${name} is a whole number from ${min} to ${max}, got ${shown(value)}`,
  );
}

/** @throws NARU_EXISTS  something that was asked for differs from what is */
export function compareSettings(asked: Asked, actual: Readonly<Record<string, unknown>>, text: string): void {
  for (const [name, is] of Object.entries(actual)) {
    const wanted = asked.settings[name];
    if (wanted !== undefined && wanted !== is)
      throw managerError(
        'NARU_EXISTS',
        text,
        `it exists with ${name} ${String(is)}, asked was ${shown(wanted)}; leave it out to take what is there`,
      );
  }
}

/** What a client sent, for an error. */
function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 80);
}

/** A verb that the object does not have. */
export function strangeVerb(call: Call, text: string): NaruError {
  return managerError('NARU_UNSUPPORTED', text, `it has no call 0x${call.verb.toString(16)}`);
}
