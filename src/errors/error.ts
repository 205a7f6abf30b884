// NaruError: the only class of error that Naru throws. It crosses processes (toJSON / fromJSON) and copies of the
// package (a brand by Symbol.for), so compare `code`, never `instanceof`.

import { ERROR_CODES, type NaruErrorCode } from './codes.ts';
import { redact } from './redact.ts';

const BRAND = Symbol.for('naru.error');

/** What a `NaruError` looks like as JSON; `cause` is the message of the cause, or a nested error. */
export interface NaruErrorJson {
  readonly name: 'NaruError';
  readonly code: NaruErrorCode;
  readonly message: string;
  readonly place?: string;
  readonly mailbox?: string;
  readonly cause?: NaruErrorJson | string;
  readonly partial?: PartialResult;
}

/** What became of a list when sending it failed midway, in the list's order: first these, then those, then the rest. */
export interface PartialResult {
  /** So many were sent, with the level asked for. */
  readonly sent: number;
  /** After them, so many may or may not have arrived. */
  readonly unknown: number;
  /** The rest was not sent. */
  readonly unsent: number;
}

/** Where an error happened and why. URLs may be given as they are: passwords are removed here. */
export interface NaruErrorContext {
  /** The place: a URL scheme such as `shm`. */
  readonly place?: string | undefined;
  /** The mailbox: its URL or name. */
  readonly mailbox?: string | undefined;
  readonly cause?: unknown;
  readonly partial?: PartialResult | undefined;
}

/** An error of Naru. `message` says what failed, on which mailbox, the value against the limit, and what to do. */
export class NaruError extends Error {
  override readonly name = 'NaruError';
  /** Stable; see `docs/reference/errors.md`. */
  readonly code: NaruErrorCode;
  /** The URL scheme, where one is involved. */
  readonly place: string | undefined;
  /** The mailbox's URL without its password, where one is involved. */
  readonly mailbox: string | undefined;
  /** Of `sendMany()`: what was sent and what was not. */
  readonly partial: PartialResult | undefined;

  constructor(code: NaruErrorCode, message: string, context: NaruErrorContext = {}) {
    super(redact(message), context.cause === undefined ? undefined : { cause: redactCause(context.cause) });
    this.code = code;
    this.place = context.place;
    this.mailbox = context.mailbox === undefined ? undefined : redact(context.mailbox);
    this.partial = context.partial;
    Object.defineProperty(this, BRAND, { value: true });
  }

  /** Whether the same call can succeed later without a change to the program. */
  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }

  toJSON(): NaruErrorJson {
    return {
      name: 'NaruError',
      code: this.code,
      message: this.message,
      ...(this.place === undefined ? {} : { place: this.place }),
      ...(this.mailbox === undefined ? {} : { mailbox: this.mailbox }),
      ...(this.cause === undefined ? {} : { cause: causeToJson(this.cause) }),
      ...(this.partial === undefined ? {} : { partial: this.partial }),
    };
  }

  /** Rebuilds an error that another process sent. Unknown codes become NARU_REMOTE. */
  static fromJSON(json: unknown): NaruError {
    const source = (typeof json === 'object' && json !== null ? json : {}) as Partial<NaruErrorJson>;
    const known = typeof source.code === 'string' && Object.hasOwn(ERROR_CODES, source.code);
    return new NaruError(known ? source.code : 'NARU_REMOTE', String(source.message ?? ''), {
      place: typeof source.place === 'string' ? source.place : undefined,
      mailbox: typeof source.mailbox === 'string' ? source.mailbox : undefined,
      cause: causeFromJson(source.cause),
      partial: partialFromJson(source.partial),
    });
  }
}

/**
 * Tells whether a value is an error of Naru, from any copy of the package, and optionally one with a certain code.
 */
export function isNaruError(value: unknown, code?: NaruErrorCode): value is NaruError {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as Record<symbol, unknown>)[BRAND] === true &&
    (code === undefined || (value as NaruError).code === code)
  );
}

/** A cause may be an error of node:net or of the user's codec whose text holds a URL: a redacted twin replaces it. */
function redactCause(cause: unknown): unknown {
  if (typeof cause === 'string') return redact(cause);
  if (isNaruError(cause) || isClean(cause, 0)) return cause;
  if (!(cause instanceof Error)) return redact(String(cause));
  const twin = new Error(redact(cause.message));
  twin.name = cause.name;
  twin.stack = redact(cause.stack ?? '');
  const { code } = cause as { code?: unknown };
  return typeof code === 'string' ? Object.assign(twin, { code }) : twin;
}

/** Whether no text in a value, nor in what hangs on it (`input` of ERR_INVALID_URL, `errors`, `cause`), holds a secret. */
function isClean(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return redact(value) === value;
  if (typeof value !== 'object' || value === null || depth > 4) return true;
  return Object.getOwnPropertyNames(value).every((name) => {
    try {
      return isClean((value as Record<string, unknown>)[name], depth + 1);
    } catch {
      return true;
    }
  });
}

function causeToJson(cause: unknown): NaruErrorJson | string {
  if (isNaruError(cause)) return cause.toJSON();
  return redact(cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause));
}

function partialFromJson(partial: unknown): PartialResult | undefined {
  if (typeof partial !== 'object' || partial === null) return undefined;
  const { sent, unknown, unsent } = partial as Record<string, unknown>;
  if (typeof sent !== 'number' || typeof unknown !== 'number' || typeof unsent !== 'number') return undefined;
  return { sent, unknown, unsent };
}

function causeFromJson(cause: unknown): unknown {
  if (typeof cause === 'object' && cause !== null) return NaruError.fromJSON(cause);
  return cause;
}
