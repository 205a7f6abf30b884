// What the broker answers when it will not do something: a reply code and a text, exactly as RabbitMQ words them. Thrown by the
// core, caught where frames are handled; never leaves the broker.

import { FIELD_TYPE_NAMES, type Field } from '../wire/amqp091/index.ts';

/** Reply codes of AMQP 0-9-1 by number, with the names that reply texts begin with. */
export const REPLY_NAMES: Readonly<Record<number, string>> = {
  311: 'CONTENT_TOO_LARGE',
  312: 'NO_ROUTE',
  313: 'NO_CONSUMERS',
  320: 'CONNECTION_FORCED',
  402: 'INVALID_PATH',
  403: 'ACCESS_REFUSED',
  404: 'NOT_FOUND',
  405: 'RESOURCE_LOCKED',
  406: 'PRECONDITION_FAILED',
  501: 'FRAME_ERROR',
  502: 'SYNTAX_ERROR',
  503: 'COMMAND_INVALID',
  504: 'CHANNEL_ERROR',
  505: 'UNEXPECTED_FRAME',
  506: 'RESOURCE_ERROR',
  530: 'NOT_ALLOWED',
  540: 'NOT_IMPLEMENTED',
  541: 'INTERNAL_ERROR',
};

/** Codes that end the channel; all others end the connection. */
const SOFT = new Set([311, 312, 313, 403, 404, 405, 406]);
const TEXT_BYTES_MAX = 255;

export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly code: number;
  /** Whether only the channel ends. */
  readonly soft: boolean;

  /** @param explanation  what follows `CODE_NAME - ` in the reply text */
  constructor(code: number, explanation: string, scope?: 'channel' | 'connection') {
    super(explanation);
    this.code = code;
    this.soft = scope === undefined ? SOFT.has(code) : scope === 'channel';
  }

  /** The reply text, at most 255 bytes. */
  get replyText(): string {
    return cut(`${REPLY_NAMES[this.code] ?? 'INTERNAL_ERROR'} - ${this.message}`);
  }
}

/** Cuts a text to 255 bytes of UTF-8 without splitting a character. */
function cut(text: string): string {
  if (Buffer.byteLength(text) <= TEXT_BYTES_MAX) return text;
  let end = Math.min(text.length, TEXT_BYTES_MAX);
  while (Buffer.byteLength(text.slice(0, end)) > TEXT_BYTES_MAX) end -= 1;
  const last = text.charCodeAt(end - 1);
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end);
}

/** A frame that must not come now. @param expects  what must: 0 a method, 1 a content header, 2 a content body */
export class MisplacedFrame extends Refusal {
  /** Whether a message was begun and is not complete. */
  readonly isInContent: boolean;

  constructor(expects: 0 | 1 | 2, explanation: string = MISPLACED[expects]) {
    super(505, explanation);
    this.isInContent = expects !== 0;
  }
}

const MISPLACED = [
  'expected method frame, got non method frame instead',
  'expected content header for class 60, got non content header frame instead',
  'expected content body, got non content body frame instead',
] as const;

/** What a name of another type than a text is told. */
export function wrongNameType(key: string, { type }: Field, where: string): string {
  return `invalid type '${FIELD_TYPE_NAMES[type]}' for arg '${key}' in ${where}`;
}

/** `queue 'q' in vhost '/'` */
export function resource(kind: 'queue' | 'exchange', name: string, vhost: string): string {
  return `${kind} '${name}' in vhost '${vhost}'`;
}

export function notFound(kind: 'queue' | 'exchange', name: string, vhost: string): Refusal {
  return new Refusal(404, `no ${resource(kind, name, vhost)}`);
}

export function preconditionFailed(explanation: string): Refusal {
  return new Refusal(406, explanation);
}

export function accessRefused(explanation: string): Refusal {
  return new Refusal(403, explanation);
}

export function notAllowed(explanation: string): Refusal {
  return new Refusal(530, explanation);
}

export function notImplemented(explanation: string): Refusal {
  return new Refusal(540, explanation);
}
