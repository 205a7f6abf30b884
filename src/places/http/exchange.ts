// One request and its answer: parameters checked against the route, the body read within its limit, answers as JSON, and the end
// of it when whoever asked hangs up.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { NaruError } from '../../errors/index.ts';
import { HTTP } from './limits.ts';

/** A query parameter or header of a route. */
export interface Parameter {
  readonly name: string;
  readonly in: 'query' | 'header';
  readonly text: string;
  /** Of a JSON schema; the check is made from it. */
  readonly schema:
    | {
        readonly type: 'integer';
        readonly minimum: number;
        readonly maximum: number;
        readonly default?: number;
      }
    | {
        readonly type: 'string';
        readonly enum?: readonly string[];
        readonly maxLength?: number;
        readonly default?: string;
      };
}

/** Bytes of bodies that are being read, over all requests of a mailbox. */
export class ReadingBudget {
  bytes = 0;
}

/** Requests that wait to hear that their body is wanted. */
const expecting = new WeakSet<IncomingMessage>();

/** The request said `Expect: 100-continue`, and nobody has answered that yet. */
export function expectContinue(request: IncomingMessage): void {
  expecting.add(request);
}

/** A request as a framework in front may have left it: its body read, its path shortened. */
interface ParsedRequest extends IncomingMessage {
  readonly body?: unknown;
  readonly originalUrl?: string;
}

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What stands for `{id}` in the route's path. */
  readonly id: string;
  /** Path of the mailbox, as whoever asks knows it. */
  readonly base: string;
  readonly #query: URLSearchParams;
  readonly #budget: ReadingBudget;
  readonly #hangUp = new AbortController();

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    at: {
      readonly id: string;
      readonly path: string;
      readonly query: string;
      readonly budget: ReadingBudget;
    },
  ) {
    this.request = request;
    this.response = response;
    this.id = at.id;
    const [target = ''] = ((request as ParsedRequest).originalUrl ?? request.url ?? '').split('?', 1);
    this.base = target.slice(0, target.length - at.path.length);
    this.#query = new URLSearchParams(at.query);
    this.#budget = at.budget;
    response.once('close', () => this.#hangUp.abort());
  }

  /** Fires when the connection is gone, or the answer was sent. */
  get gone(): AbortSignal {
    return this.#hangUp.signal;
  }

  /** Value of a text parameter. @throws NARU_INVALID_ARGUMENT */
  text(parameter: Parameter): string | undefined {
    const { name, schema } = parameter;
    const value = this.#value(parameter);
    if (value === undefined) return schema.type === 'string' ? schema.default : undefined;
    if (schema.type !== 'string') return value;
    if (schema.enum !== undefined && !schema.enum.includes(value)) {
      throw invalid(`${name} must be one of ${schema.enum.join(', ')}`);
    }
    if (value.length > (schema.maxLength ?? 1_024)) {
      throw invalid(`${name} has ${value.length} characters, the limit is ${schema.maxLength ?? 1_024}`);
    }
    return value;
  }

  /** Value of a parameter that is a number, with its default. @throws NARU_INVALID_ARGUMENT */
  number(parameter: Parameter): number | undefined {
    const { name, schema } = parameter;
    if (schema.type !== 'integer') return undefined;
    const text = this.#value(parameter);
    if (text === undefined) return schema.default;
    const value = Number(text);
    if (/^-?\d{1,15}$/.test(text) && value >= schema.minimum && value <= schema.maximum) return value;
    throw invalid(`${name} must be a whole number from ${schema.minimum} to ${schema.maximum}`);
  }

  /** @throws NARU_INVALID_ARGUMENT  a query parameter that the route does not have: a slip of the pen would go unseen */
  checkQuery(known: readonly Parameter[]): void {
    for (const name of this.#query.keys()) {
      if (!known.some((parameter) => parameter.in === 'query' && parameter.name === name)) {
        throw invalid(`there is no query parameter "${name.slice(0, 80)}" here`);
      }
    }
  }

  /**
   * The whole body.
   * @throws NARU_TOO_LARGE  before anything is read, where the length is announced; NARU_OVERLOADED
   */
  async body(bytesMax: number): Promise<Buffer> {
    const budget = this.#budget;
    const announced = Number(this.request.headers['content-length'] ?? 0);
    if (budget.bytes > 0 && announced <= bytesMax) checkBudget(budget.bytes + announced);
    const parts: Buffer[] = [];
    let bytes = 0;
    // Room for what is announced is set aside; what is not is counted as it comes.
    let counted = Math.min(announced, bytesMax);
    budget.bytes += counted;
    try {
      for await (const part of this.parts(bytesMax)) {
        bytes += part.length;
        if (bytes > counted) {
          budget.bytes += bytes - counted;
          counted = bytes;
          // One alone may have its way.
          if (budget.bytes > counted) checkBudget(budget.bytes);
        }
        parts.push(part);
      }
    } finally {
      budget.bytes -= counted;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts, bytes);
  }

  /**
   * The body as it comes. Bytes are not kept here.
   * @throws NARU_TOO_LARGE  as body()
   */
  async *parts(bytesMax: number): AsyncGenerator<Buffer, void> {
    const { request } = this;
    const announced = Number(request.headers['content-length'] ?? 0);
    if (announced > bytesMax) throw tooLarge(announced, bytesMax);
    const parsed = (request as ParsedRequest).body;
    if (parsed !== undefined && request.complete) {
      yield bodyOf(parsed, bytesMax);
      return;
    }
    if (expecting.delete(request)) this.response.writeContinue();
    let bytes = 0;
    for await (const part of request as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > bytesMax) throw tooLarge(bytes, bytesMax);
      yield part;
    }
  }

  /** A body that is a JSON object. @throws NARU_INVALID_ARGUMENT, and as body() */
  async json(): Promise<Record<string, unknown>> {
    const bytes = await this.body(HTTP.smallBodyBytes);
    try {
      const value: unknown = JSON.parse(bytes.toString('utf8'));
      if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
    } catch {
      // Said below.
    }
    throw invalid('the body must be a JSON object');
  }

  /** Answers with JSON. Resolves once the connection has it. @returns false when whoever asked is gone */
  answer(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): Promise<boolean> {
    return this.send(status, Buffer.from(JSON.stringify(value)), {
      'content-type': 'application/json',
      ...headers,
    });
  }

  /** The same with any body, or none. */
  send(
    status: number,
    body: Uint8Array | undefined,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<boolean> {
    const { response } = this;
    const { socket } = response;
    if (response.destroyed) return Promise.resolve(false);
    return new Promise((resolve) => {
      response.once('close', () => resolve(false));
      const length = body === undefined ? {} : { 'content-length': body.length };
      response.writeHead(status, { 'cache-control': 'no-store', ...length, ...headers });
      // The event `finish` comes too early, and this callback also when the connection was lost.
      if (body !== undefined) response.write(body, () => resolve(socket?.destroyed === false));
      response.end(body === undefined ? () => resolve(true) : undefined);
    });
  }

  #value({ in: where, name }: Parameter): string | undefined {
    if (where === 'query') return this.#query.get(name) ?? undefined;
    const value = this.request.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  }
}

export function invalid(what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', what, { place: 'http' });
}

function checkBudget(bytes: number): void {
  if (bytes <= HTTP.readingBytesMax) return;
  throw new NaruError(
    'NARU_OVERLOADED',
    'too many bytes are being received at the moment; send again later',
    {
      place: 'http',
    },
  );
}

function tooLarge(bytes: number, max: number): NaruError {
  return new NaruError('NARU_TOO_LARGE', `the body has ${bytes} bytes or more, the limit is ${max}`, {
    place: 'http',
  });
}

/** express.json() and its like have read it already. */
function bodyOf(parsed: unknown, bytesMax: number): Buffer {
  const bytes = Buffer.isBuffer(parsed)
    ? parsed
    : Buffer.from(typeof parsed === 'string' ? parsed : JSON.stringify(parsed));
  if (bytes.length > bytesMax) throw tooLarge(bytes.length, bytesMax);
  return bytes;
}
