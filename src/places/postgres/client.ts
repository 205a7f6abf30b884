// One connection to a PostgreSQL server through the package pg, as a place needs it: prepared statements sent one behind the other
// without waiting, notifications, and errors that say what to do. Reconnecting is not its business.

import { importPackage } from '../../client/optional-package.ts';
import type { Connected } from '../../client/reconnecting.ts';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';

/** A statement; its name makes the server keep its plan. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

export type PgRow = readonly unknown[];

/** What is used of the package. */
interface Client {
  connect(): Promise<unknown>;
  query(query: object): Promise<{ readonly rows: PgRow[] }>;
  on(event: string, listener: (value: unknown) => void): unknown;
  end(): Promise<void>;
  ref(): void;
  unref(): void;
  readonly connection: { readonly stream: { destroy(): void } };
}

interface PgPackage {
  readonly default: { readonly Client: new (options: object) => Client };
}

const CONNECT_TIMEOUT_MS = 5_000;
const PING: Statement = { name: '', text: 'SELECT 1' };
const SSL_MODES: Readonly<Record<string, unknown>> = {
  disable: false,
  require: { rejectUnauthorized: false },
  'verify-full': true,
};

export interface PgTarget {
  readonly text: string;
  readonly options: object;
}

/**
 * Reads server, user, password and database out of a URL.
 * @throws NARU_INVALID_ARGUMENT
 */
export function pgTarget(url: PlaceUrl): PgTarget {
  const database = url.path.slice(1);
  const mode = url.extra['sslmode'] ?? 'disable';
  if (database === '' || database.includes('/') || database.includes('\0'))
    throw wrong(url, 'name a database: postgres://user:password@host:5432/database');
  if (!Object.hasOwn(SSL_MODES, mode))
    throw wrong(url, `sslmode is one of ${Object.keys(SSL_MODES).join(', ')}`);
  const host = url.extra['host'] ?? url.host.replace(/^\[|\]$/g, '');
  return {
    text: url.text,
    options: {
      host: host === '' ? '127.0.0.1' : host,
      port: url.port ?? 5432,
      database,
      ...(url.username === '' ? {} : { user: url.username }),
      ...(url.password === '' ? {} : { password: url.password }),
      ssl: SSL_MODES[mode],
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: 'naru',
      keepAlive: true,
      pipeline: true,
    },
  };
}

/** The URL that others open: without the password, which they have from where this handle had it, or from PGPASSWORD. */
export function addressOf(url: PlaceUrl, what: 'map' | 'mailbox', name: string): string {
  const user = url.username === '' ? '' : `${encodeURIComponent(url.username)}@`;
  const port = url.port === undefined ? '' : `:${url.port}`;
  const rest = ['sslmode', 'host'].flatMap((one) => {
    const value = url.extra[one];
    return value === undefined ? [] : [`&${one}=${encodeURIComponent(value)}`];
  });
  return `postgres://${user}${url.host}${port}${encodeURI(url.path)}?${what}=${name}${rest.join('')}`;
}

function wrong(url: PlaceUrl, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${url.text}: ${what}`, {
    place: 'postgres',
    mailbox: url.text,
  });
}

export class PgConnection implements Connected {
  readonly #client: Client;
  readonly #text: string;

  private constructor(client: Client, text: string) {
    this.#client = client;
    this.#text = text;
  }

  /**
   * @param lost      called when the connection breaks
   * @param notified  called with the payload of each notification
   * @throws NARU_PACKAGE_MISSING, NARU_DISCONNECTED (nobody listens), NARU_DENIED, NARU_NOT_FOUND (the database), NARU_LIMIT
   */
  static async connect(
    { text, options }: PgTarget,
    lost: () => void,
    notified: (payload: string) => void,
  ): Promise<PgConnection> {
    const loaded = (await importPackage('pg', 'pg@^8.23.0', 'postgres')) as PgPackage;
    const client = new loaded.default.Client(options);
    client.on('error', lost);
    client.on('end', lost);
    client.on('notification', (one) => notified((one as { payload?: string }).payload ?? ''));
    try {
      await client.connect();
      return new PgConnection(client, text);
    } catch (error) {
      client.connection.stream.destroy();
      throw translate(error, text, false);
    }
  }

  /** A statement that changes nothing. @throws NARU_DISCONNECTED when the connection breaks meanwhile */
  read(statement: Statement, values: readonly unknown[] = []): Promise<PgRow[]> {
    return this.#query({ ...statement, values, rowMode: 'array' }, false);
  }

  /** A statement that changes something. @throws NARU_OUTCOME_UNKNOWN when the connection breaks meanwhile */
  write(statement: Statement, values: readonly unknown[] = []): Promise<PgRow[]> {
    return this.#query({ ...statement, values, rowMode: 'array' }, true);
  }

  /** A statement that is used once. */
  async execute(text: string): Promise<void> {
    await this.#query({ text }, true);
  }

  ping(): Promise<unknown> {
    return this.read(PING);
  }

  ref(): void {
    this.#client.ref();
  }

  unref(): void {
    this.#client.unref();
  }

  destroy(isLost = false): void {
    if (isLost) this.#client.connection.stream.destroy();
    // Says goodbye first, so that the server does not log a broken connection.
    this.#client.end().catch(() => undefined);
    this.#client.unref();
  }

  async #query(query: object, mayHaveHappened: boolean): Promise<PgRow[]> {
    try {
      return (await this.#client.query(query)).rows;
    } catch (error) {
      throw translate(error, this.#text, mayHaveHappened);
    }
  }
}

/** Codes of https://www.postgresql.org/docs/current/errcodes-appendix.html, the longest that matches. */
const STATES: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  '28': ['NARU_DENIED', 'the server refuses user or password'],
  '42501': [
    'NARU_DENIED',
    'this user may not do that; grant CREATE on the database, or make the schema "naru" as its owner',
  ],
  '25006': ['NARU_DENIED', 'the server takes no writes (a standby, or read-only transactions)'],
  '3D': ['NARU_NOT_FOUND', 'the server has no such database; create it'],
  '53300': ['NARU_LIMIT', 'the server has no connections left (max_connections)'],
  '53100': ['NARU_FULL', 'the disk of the server is full'],
  '53': ['NARU_LIMIT', 'the server has no resources left'],
  '54': ['NARU_TOO_LARGE', 'it is larger than the server takes'],
  '55P03': ['NARU_TIMEOUT', 'others held a lock for too long; nothing was changed'],
  '57014': ['NARU_TIMEOUT', 'the server gave up (statement_timeout); nothing was changed'],
  '57P03': ['NARU_DISCONNECTED', 'the server is starting or stopping'],
  XX001: ['NARU_CORRUPT', 'the data of the server is damaged'],
  XX002: ['NARU_CORRUPT', 'an index of the server is damaged'],
};

/** The server has no such table: the map was removed. */
export function isMissingTable(error: unknown): boolean {
  const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: unknown };
  return code === '42P01' || code === '3F000';
}

function translate(error: unknown, text: string, mayHaveHappened: boolean): NaruError {
  const { message, code = '' } = error as NodeJS.ErrnoException;
  const known = Object.keys(STATES)
    .filter((state) => code.startsWith(state))
    .sort((a, b) => b.length - a.length)[0];
  // The server's codes have a digit; EPIPE, the socket's, has as many letters.
  const isState = /^(?=.*\d)[0-9A-Z]{5}$/.test(code) && !/^(?:57P|08)/.test(code);
  const [name, advice] =
    known === undefined ? (isState ? REFUSED : broken(mayHaveHappened)) : (STATES[known] ?? REFUSED);
  return new NaruError(name, `${text}: ${advice} (${message === '' ? code : message})`, {
    place: 'postgres',
    mailbox: text,
    cause: error,
  });
}

const REFUSED = ['NARU_LIMIT', 'the server refused it'] as const;

function broken(mayHaveHappened: boolean): readonly [NaruErrorCode, string] {
  return mayHaveHappened
    ? [
        'NARU_OUTCOME_UNKNOWN',
        'the connection broke before the server had answered: it may or may not have happened',
      ]
    : ['NARU_DISCONNECTED', 'there is no connection to the server; is it running, are host and port right?'];
}
