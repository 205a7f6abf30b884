// One connection to a Redis or Valkey server through the package @redis/client, as a place needs it: raw commands, bytes as
// bytes, what the server pushes, and errors that say what to do. Reconnecting is not its business.

import { importPackage } from '../../client/optional-package.ts';
import type { Connected } from '../../client/reconnecting.ts';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import type { Script } from './script.ts';
import { tlsMeaning, tlsOptions, tlsQuery } from './tls.ts';

/** What is used of the package. */
interface Client {
  connect(): Promise<unknown>;
  sendCommand(args: readonly (string | Uint8Array)[]): Promise<unknown>;
  on(event: string, listener: (value: unknown) => void): unknown;
  subscribe(
    channels: readonly string[],
    listener: (message: Buffer, channel: Buffer) => void,
    asBytes: true,
  ): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  ref(): void;
  unref(): void;
  destroy(): void;
}

interface RedisPackage {
  createClient(options: object): Client;
}

/**
 * Bulk strings, which hold any bytes, come as Buffers and not as text. Nothing waits in the package for a connection, so its time limit
 * for that, an AbortSignal for each command, is left out.
 */
const COMMANDS = { typeMapping: { [36]: Buffer }, timeout: 0 };
const CONNECT_TIMEOUT_MS = 5_000;
/** From the first byte until a connection is ready for use: a network that is silent from the beginning answers no greeting either. */
const READY_TIMEOUT_MS = 8_000;

export interface RedisTarget {
  readonly text: string;
  readonly options: object;
}

/**
 * Reads host, port, user, password, number of the database and the files of TLS out of a URL. A URL without a password takes that of
 * REDISCLI_AUTH, as redis-cli does.
 * @throws NARU_INVALID_ARGUMENT
 */
export function redisTarget(url: PlaceUrl): RedisTarget {
  const database = /^(?:\/(\d{1,5})?)?$/.exec(url.path);
  if (database === null)
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${url.text}: the path of a Redis URL is the number of a database: redis://host:6379/0`,
      { place: url.scheme, mailbox: url.text },
    );
  const password = url.password === '' ? (process.env['REDISCLI_AUTH'] ?? '') : url.password;
  const host = url.host.replace(/^\[|\]$/g, '');
  return {
    text: url.text,
    options: {
      RESP: 3,
      disableOfflineQueue: true,
      commandOptions: COMMANDS,
      ...(url.username === '' ? {} : { username: url.username }),
      ...(password === '' ? {} : { password }),
      database: Number(database[1] ?? 0),
      socket: {
        host: host === '' ? '127.0.0.1' : host,
        port: url.port ?? 6379,
        connectTimeout: CONNECT_TIMEOUT_MS,
        reconnectStrategy: false,
        ...tlsOptions(url),
      },
    },
  };
}

/** The URL that others open: without the password, which they have from where this handle had it. */
export function redisAddress(url: PlaceUrl, query: string): string {
  const user = url.username === '' ? '' : `${encodeURIComponent(url.username)}@`;
  const port = url.port === undefined ? '' : `:${url.port}`;
  return `${url.scheme}://${user}${url.host}${port}${url.path}?${query}${tlsQuery(url)}`;
}

export class RedisConnection implements Connected {
  readonly #client: Client;
  readonly #text: string;
  readonly #lost: () => void;

  private constructor(client: Client, text: string, lost: () => void) {
    this.#client = client;
    this.#text = text;
    this.#lost = lost;
  }

  /**
   * @param lost         called once when the connection breaks
   * @param prepare      what is to be done before anybody uses it; when that fails, there is no connection
   * @param invalidated  called with the name of a key that the server says has changed; undefined: any may have
   * @throws NARU_PACKAGE_MISSING, NARU_DISCONNECTED (nobody listens or answers), NARU_DENIED, NARU_UNSUPPORTED (too old), what `prepare`
   *   throws
   */
  static async connect(
    { text, options }: RedisTarget,
    lost: () => void,
    prepare: (connection: RedisConnection) => Promise<unknown>,
    invalidated?: (key: Buffer | undefined) => void,
  ): Promise<RedisConnection> {
    const loaded = await importPackage('@redis/client', '@redis/client@^6.3.1', 'redis');
    // The package switches tracking on for whoever wants to hear of it.
    const emitInvalidate = invalidated !== undefined;
    const client = (loaded as RedisPackage).createClient({ ...options, emitInvalidate });
    client.on('error', lost);
    client.on('end', lost);
    if (emitInvalidate) client.on('invalidate', (key) => invalidated((key as Buffer | null) ?? undefined));
    const connection = new RedisConnection(client, text, lost);
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      destroy(client);
    }, READY_TIMEOUT_MS);
    try {
      await client.connect().catch((error: unknown) => {
        throw translate(error, text, false);
      });
      await prepare(connection);
      return connection;
    } catch (error) {
      destroy(client);
      throw isLate ? silentError(text, error) : error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** A command as it is; what it was refused with is for `failure()`. */
  send(command: readonly (string | Uint8Array)[]): Promise<unknown> {
    return this.#client.sendCommand(command);
  }

  /** @param mayHaveHappened  it changes something */
  failure(error: unknown, mayHaveHappened: boolean): NaruError {
    // It ends the connection after this answer: whoever calls meanwhile waits for the next one.
    if (PROTOCOL_ERROR.test((error as Error).message)) this.#lost();
    return translate(error, this.#text, mayHaveHappened);
  }

  /** A command that changes nothing. @throws NARU_DISCONNECTED when the connection breaks meanwhile */
  read(...command: readonly (string | Uint8Array)[]): Promise<unknown> {
    return this.#client.sendCommand(command).catch((error: unknown) => {
      throw this.failure(error, false);
    });
  }

  /** A command that changes something. @throws NARU_OUTCOME_UNKNOWN when the connection breaks meanwhile */
  write(...command: readonly (string | Uint8Array)[]): Promise<unknown> {
    return this.#client.sendCommand(command).catch((error: unknown) => {
      throw this.failure(error, true);
    });
  }

  /** Hears channels from now on. */
  async subscribe(
    channels: readonly string[],
    heard: (message: Buffer, channel: string) => void,
  ): Promise<void> {
    try {
      await this.#client.subscribe(channels, (message, channel) => heard(message, String(channel)), true);
    } catch (error) {
      throw translate(error, this.#text, false);
    }
  }

  /** Hears a channel no more. */
  async unsubscribe(channel: string): Promise<void> {
    await this.#client.unsubscribe(channel);
  }

  /**
   * The server knows these scripts from now on by their hashes, so that calls of them keep their order.
   * @throws NARU_UNSUPPORTED  the server is older than Redis 6.2
   */
  async prepare(scripts: readonly Script[]): Promise<void> {
    const [info] = await Promise.all([
      this.read('INFO', 'server'),
      ...scripts.map(({ text }) => this.read('SCRIPT', 'LOAD', text)),
    ]);
    const [, version = ''] = /redis_version:(\S+)/.exec(String(info)) ?? [];
    checkVersion(version, this.#text);
  }

  /** A script that changes something: by its hash, and in full where the server does not know it yet. */
  async script(
    { text, hash }: Script,
    key: string,
    ...args: readonly (string | Uint8Array)[]
  ): Promise<unknown> {
    try {
      return await this.#client.sendCommand(['EVALSHA', hash, '1', key, ...args]);
    } catch (error) {
      if (!(error as Error).message.startsWith('NOSCRIPT')) throw this.failure(error, true);
      return this.write('EVAL', text, '1', key, ...args);
    }
  }

  ping(): Promise<unknown> {
    return this.read('PING');
  }

  ref(): void {
    this.#client.ref();
  }

  unref(): void {
    this.#client.unref();
  }

  destroy(): void {
    destroy(this.#client);
  }
}

/** XPENDING with exclusive ranges. */
const VERSION_MIN = [6, 2] as const;

/** @throws NARU_UNSUPPORTED  mailboxes need a newer server */
function checkVersion(version: string, text: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > VERSION_MIN[0] || (major === VERSION_MIN[0] && minor >= VERSION_MIN[1])) return;
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: the server is Redis ${version}, mailboxes need ${VERSION_MIN.join('.')} or newer, or Valkey`,
    { place: 'redis', mailbox: text },
  );
}

function silentError(text: string, cause: unknown): NaruError {
  const what = `${text}: the server took the connection and did not answer within ${READY_TIMEOUT_MS} ms`;
  return new NaruError('NARU_DISCONNECTED', what, { place: 'redis', mailbox: text, cause });
}

function destroy(client: Client): void {
  try {
    client.destroy();
  } catch {
    // It was not connected.
  }
}

/** The answer to what the server did not read to its end. */
const PROTOCOL_ERROR = /^ERR Protocol error/;

/** By the first word of the server's answer. */
const ANSWERS: Readonly<Record<string, readonly [NaruErrorCode, string]>> = {
  WRONGPASS: ['NARU_DENIED', 'the server refuses user or password'],
  NOAUTH: ['NARU_DENIED', 'the server wants a password: redis://:password@host'],
  NOPERM: ['NARU_DENIED', 'this user may not do that on the server'],
  READONLY: ['NARU_DENIED', 'the server is a read-only replica; connect to its primary'],
  OOM: ['NARU_FULL', 'the server has no memory left (maxmemory)'],
  NOPROTO: ['NARU_UNSUPPORTED', 'the server is too old: Redis 6 or newer, or Valkey'],
  MISCONF: ['NARU_LIMIT', 'the server takes no writes because it cannot save to its disk'],
  WRONGTYPE: ['NARU_CORRUPT', 'the key holds something that Naru did not write'],
  NARUGONE: ['NARU_CLOSED', 'the mailbox was removed'],
  NOGROUP: ['NARU_CLOSED', 'the mailbox was removed'],
  LOADING: ['NARU_DISCONNECTED', 'the server is still loading its data'],
  BUSY: ['NARU_DISCONNECTED', 'the server runs a script that does not end'],
};

function translate(error: unknown, text: string, mayHaveHappened: boolean): NaruError {
  const { message, code } = error as NodeJS.ErrnoException;
  const context = { place: 'redis', mailbox: text, cause: error };
  const word = /^([A-Z]+) /.exec(message)?.[1] ?? '';
  const [name, advice] = ANSWERS[word] ?? meaningOf(word, message, code, mayHaveHappened);
  return new NaruError(
    name,
    `${text}: ${advice} (${message === '' ? (code ?? 'no reason given') : message})`,
    context,
  );
}

function meaningOf(
  word: string,
  message: string,
  code: string | undefined,
  mayHaveHappened: boolean,
): readonly [NaruErrorCode, string] {
  const ofTls = tlsMeaning(code);
  if (ofTls !== undefined) return ofTls;
  if (/unknown command .?.?HELLO/i.test(message)) return ANSWERS['NOPROTO'] as [NaruErrorCode, string];
  if (/DB index is out of range|invalid DB index/i.test(message))
    return ['NARU_INVALID_ARGUMENT', 'the server has no database of this number'];
  if (/invalid (username-password|password)|AUTH .*without any password/i.test(message))
    return ['NARU_DENIED', 'the server refuses user or password'];
  if (/^ERR Protocol error: invalid (bulk|multibulk) length/.test(message))
    return ['NARU_TOO_LARGE', 'it is larger than the server takes (its setting proto-max-bulk-len)'];
  if (word !== '') return ['NARU_LIMIT', 'the server refused it'];
  const wasSent = code === undefined && !/client is (closed|offline)/i.test(message);
  return mayHaveHappened && wasSent
    ? [
        'NARU_OUTCOME_UNKNOWN',
        'the connection broke before the server had answered: it may or may not have been stored',
      ]
    : ['NARU_DISCONNECTED', 'there is no connection to the server; is it running, are host and port right?'];
}
