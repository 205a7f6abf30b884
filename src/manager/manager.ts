// The server: takes connections, has each prove that it knows the key, and holds the objects. It runs in the process that starts it.

import type { AddressInfo, Server, Socket } from 'node:net';
import { isNaruError, NaruError } from '../errors/index.ts';
import { checkKey } from '../link/key.ts';
import type { Connection } from '../link/connection.ts';
import { type HostLock, tryHostLock } from '../link/host-lock.ts';
import { listenSocket, tcpAddress } from '../link/tcp-socket.ts';
import { bindSocket, checkPeer, socketError, socketPath, unixAddress } from '../link/unix-socket.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { greetClient, tellConsent } from './greeting.ts';
import { Guest, readAsked } from './guest.ts';
import { joinMailbox } from './join-mailbox.ts';
import { newKey } from './key.ts';
import { MANAGER } from './limits.ts';
import { Objects } from './objects.ts';

/** How a Manager is started. */
export interface ManagerOptions {
  /** `unix:///path.sock`, or `tcp://127.0.0.1:port`; port 0 picks a free one. */
  readonly listen: string;
  /** What clients must prove to know: a text of 16 to 1,024 bytes. Default: 32 random bytes. */
  readonly key?: string;
  /** Listen on an address that other machines reach, without encryption: keys stay secret, everything else can be read and changed on its way.
   * Default false. */
  readonly plainNetwork?: boolean;
  /** Connections at a time. Default 1,000. */
  readonly maxConnections?: number;
  /** Named objects. Default 10,000. */
  readonly maxObjects?: number;
  /** Largest value of an entry or element, in bytes. Default 1 MiB, at most 64 MiB. */
  readonly maxValueBytes?: number;
  /** All objects together, in bytes. Default 1 GiB. */
  readonly memoryBytes?: number;
  /** How often a silent connection over tcp:// is asked whether it is alive, in milliseconds; 0 = never. Default 5,000. */
  readonly heartbeatMs?: number;
}

/** What a Manager did so far. */
export interface ManagerStats {
  /** Clients that are connected. */
  readonly connections: number;
  readonly objects: number;
  /** Connections that did not prove to know the key, or were too many. */
  readonly refused: number;
  /** Bytes in objects. */
  readonly bytes: number;
}

const VALUE_BYTES_MAX = 67_108_864;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

interface Settings {
  readonly key: string;
  readonly connectionsMax: number;
  readonly objectsMax: number;
  readonly maxValueBytes: number;
  readonly memoryBytes: number;
  readonly heartbeatMs: number;
  readonly isNetworkAllowed: boolean;
}

/**
 * A server of maps, lists, values, arrays, locks, semaphores, events and mailboxes for processes that know its key. It keeps its process alive
 * until `stop()`. Everything in it is gone when it stops.
 */
export class Manager {
  /** Where clients reach it: add the name of an object, `?name=orders` (unix) or `/orders` (tcp). */
  readonly url: string;
  /** What clients must know. */
  readonly key: string;
  readonly #server: Server;
  readonly #settings: Settings;
  readonly #objects: Objects;
  readonly #guests = new Set<{ readonly connection: Connection }>();
  readonly #strangers = new Set<Socket>();
  readonly #place: 'unix' | 'tcp';
  readonly #release: () => void;
  #refused = 0;
  #stopping: Promise<void> | undefined;

  private constructor(
    server: Server,
    settings: Settings,
    at: { readonly url: string; readonly place: 'unix' | 'tcp'; readonly release: () => void },
  ) {
    this.#server = server;
    this.#settings = settings;
    this.url = at.url;
    this.key = settings.key;
    this.#place = at.place;
    this.#release = at.release;
    this.#objects = new Objects({ ...settings, text: at.url });
    server.on('connection', (socket: Socket) => void this.#welcome(socket));
  }

  /**
   * Starts one in this process.
   * @throws NARU_INVALID_ARGUMENT  an option is wrong, or the address is reached by other machines and `plainNetwork` is not set
   * @throws NARU_EXISTS  the port or the path is in use; NARU_DENIED, NARU_NOT_FOUND (the folder), NARU_LIMIT
   */
  static async start(options: ManagerOptions): Promise<Manager> {
    const settings = readSettings(options);
    const { parts } = parseUrl(options.listen);
    const extra = Object.keys(parts.extra);
    if (extra.length > 0) throw invalid(parts.text, `listen has no parameter ${extra.join(', ')}`);
    if (parts.scheme === 'unix') return await startOnUnix(parts, settings, Manager.#make);
    if (parts.scheme === 'tcp') return await startOnTcp(parts, settings, Manager.#make);
    throw invalid(parts.text, 'a Manager listens on unix:///path.sock or tcp://127.0.0.1:port');
  }

  static readonly #make: Make = (server, settings, at) => new Manager(server, settings, at);

  /** What it did so far. */
  stats(): ManagerStats {
    return {
      connections: this.#guests.size,
      objects: this.#objects.size,
      refused: this.#refused,
      bytes: this.#objects.usedBytes,
    };
  }

  /** Closes every connection, forgets every object, and removes the socket. May be called again. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#strangers) socket.destroy();
    const gone = Array.from(this.#guests, ({ connection }) => {
      connection.close(
        new NaruError('NARU_PEER_GONE', `${this.url}: the Manager stops`, { place: this.#place }),
      );
      return connection.whenGone();
    });
    await Promise.all(gone);
    await closed;
    this.#objects.dispose();
    this.#release();
  }

  async #welcome(socket: Socket): Promise<void> {
    // Until somebody hears its errors for good.
    socket.on('error', () => undefined);
    if (this.#strangers.size >= MANAGER.strangersMax || this.#stopping !== undefined) {
      this.#refused += 1;
      socket.destroy();
      return;
    }
    this.#strangers.add(socket);
    const { key, connectionsMax } = this.#settings;
    let purpose: Record<string, unknown>;
    try {
      if (this.#place === 'unix') checkPeer(socket, { place: 'unix', mailbox: this.url });
      socket.setNoDelay?.(true);
      purpose = await greetClient(socket, key, this.url, () => this.#guests.size >= connectionsMax);
      if (this.#stopping !== undefined) throw new NaruError('NARU_CLOSED', 'it stops');
    } catch {
      this.#refused += 1;
      socket.destroySoon();
      return;
    } finally {
      this.#strangers.delete(socket);
    }
    this.#take(socket, purpose);
  }

  /** A client that has proved to know the key. */
  #take(socket: Socket, purpose: Record<string, unknown>): void {
    const { maxValueBytes } = this.#settings;
    // The kernel tells when a process of this machine dies; one that is only stopped keeps what it has.
    const heartbeatMs = this.#place === 'unix' ? 0 : this.#settings.heartbeatMs;
    const closed = (one: { readonly connection: Connection }): void => void this.#guests.delete(one);
    if (purpose['kind'] !== 'mailbox') {
      const init = {
        objects: this.#objects,
        text: this.url,
        place: this.#place,
        heartbeatMs,
        maxValueBytes,
        closed,
      };
      this.#guests.add(new Guest(socket, init));
      return;
    }
    try {
      const found = (created: boolean): void => tellConsent(socket, { created });
      const asked = readAsked(purpose, this.url);
      this.#guests.add(joinMailbox(socket, this.#objects, asked, { heartbeatMs, closed, found }));
    } catch (error) {
      const known = isNaruError(error) ? error : new NaruError('NARU_REMOTE', String(error));
      tellConsent(socket, known);
      socket.destroySoon();
    }
  }
}

type Make = (
  server: Server,
  settings: Settings,
  at: { readonly url: string; readonly place: 'unix' | 'tcp'; readonly release: () => void },
) => Manager;

async function startOnUnix(parts: PlaceUrl, settings: Settings, make: Make): Promise<Manager> {
  const path = socketPath(parts);
  let lock: HostLock | undefined;
  try {
    lock = tryHostLock(`${path}.lock`);
  } catch (error) {
    throw socketError(error as NodeJS.ErrnoException, path, { place: 'unix', mailbox: parts.text });
  }
  if (lock === undefined)
    throw new NaruError(
      'NARU_EXISTS',
      `${parts.text}: a process listens there already; choose another path`,
      {
        place: 'unix',
        mailbox: parts.text,
      },
    );
  try {
    const server = await bindSocket(path, { place: 'unix', mailbox: parts.text });
    return make(server, settings, {
      url: unixAddress(path, ''),
      place: 'unix',
      release: () => lock.release(),
    });
  } catch (error) {
    lock.release();
    throw error;
  }
}

async function startOnTcp(parts: PlaceUrl, settings: Settings, make: Make): Promise<Manager> {
  const { host, port, text } = parts;
  if (host === '' || port === undefined || (parts.path !== '' && parts.path !== '/'))
    throw invalid(text, 'name host and port: tcp://127.0.0.1:5000 (port 0 picks a free one)');
  if (!LOOPBACK.test(host) && !settings.isNetworkAllowed)
    throw invalid(
      text,
      'other machines reach this address, and nothing is encrypted; listen on 127.0.0.1, use a tunnel, or set plainNetwork',
    );
  const server = await listenSocket({ host, port, tls: undefined }, text);
  const actual = server.address() as AddressInfo;
  return make(server, settings, {
    url: tcpAddress(host, actual.port, ''),
    place: 'tcp',
    release: () => undefined,
  });
}

/** @throws NARU_INVALID_ARGUMENT */
function readSettings(options: ManagerOptions): Settings {
  const { listen, key, plainNetwork = false } = options;
  const count = (name: keyof ManagerOptions, otherwise: number, min: number, max: number): number => {
    const value = options[name] ?? otherwise;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    throw invalid(
      String(listen),
      `${name} is a whole number from ${min} to ${max}, got ${String(value).slice(0, 40)}`,
    );
  };
  return {
    key: key === undefined ? newKey() : checkKey(key, String(listen)),
    connectionsMax: count('maxConnections', MANAGER.connectionsMax, 1, 65_536),
    objectsMax: count('maxObjects', MANAGER.objectsMax, 1, 10_000_000),
    maxValueBytes: count('maxValueBytes', MANAGER.maxValueBytes, 1, VALUE_BYTES_MAX),
    memoryBytes: count('memoryBytes', MANAGER.memoryBytes, 1, Number.MAX_SAFE_INTEGER),
    heartbeatMs: count('heartbeatMs', MANAGER.heartbeatMs, 0, 3_600_000),
    isNetworkAllowed: plainNetwork,
  };
}

function invalid(text: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
}
