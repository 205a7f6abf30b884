// What this place needs of the package zeromq, in interfaces of its own; loading it, and making a socket that loses nothing
// in silence. The only file that knows the package.

import { isMainThread } from 'node:worker_threads';
import { importPackage } from '../../client/optional-package.ts';
import { FIELD_LIMITS } from '../../wire/envelope.ts';
import type { Pattern } from './capabilities.ts';
import type { ZmqOptions } from './options.ts';

/** One message: its only part, or all of them. */
export type Parts = Uint8Array | readonly Uint8Array[];

/** A socket of zeromq.js. Its calls may only be made by the thread that made it. */
export interface ZmqSocket {
  readonly lastEndpoint: string | null;
  /** Whether a message is there. Asking makes libzmq take up what its own threads have told the socket. */
  readonly readable: boolean;
  /** How long close() lets what was accepted go out, in milliseconds. */
  linger: number;
  /** How long the next send() may wait, in milliseconds; 0: not at all. */
  sendTimeout?: number;
  receiveTimeout?: number;
  send?(message: Parts): Promise<void>;
  receive?(): Promise<Buffer[]>;
  subscribe?(prefix: string): void;
  bind(endpoint: string): Promise<void>;
  bindSync(endpoint: string): void;
  connect(endpoint: string): void;
  /** Takes an endpoint back, also one that was bound. */
  disconnect(endpoint: string): void;
  close(): void;
}

/** One thing that happened to a connection of a socket. */
export interface ZmqEvent {
  readonly type: string;
  readonly error?: Error;
}

/** Tells what happens to a socket's connections. */
export interface ZmqObserver {
  receive(): Promise<ZmqEvent>;
  close(): void;
}

type SocketClass = new (options: Record<string, unknown>) => ZmqSocket;

/** The package. */
export interface Zeromq {
  readonly Observer: new (socket: ZmqSocket) => ZmqObserver;
  readonly classes: Readonly<Record<Pattern, SocketClass>>;
}

/** Bytes of an envelope beside the largest body. */
const ENVELOPE_BYTES = FIELD_LIMITS.fieldsBytesMax + 1_024;
/** How long libzmq tries to come back, growing from the first to the second, in milliseconds. */
const RECONNECT = { reconnectInterval: 50, reconnectMaxInterval: 1_000 };
/** A receive that waits for nothing any more must come to an end, for it keeps the process: see idle.ts. In milliseconds. */
export const LOOK_MS = 500;
/** Looks at the clock once in so many calls that may not wait (a power of two, less one): what resolves at once gives nobody else a turn. */
export const TURN_MASK = 0x3f;

let loaded: Promise<Zeromq> | undefined;

/**
 * Loads the package once.
 * @throws NARU_PACKAGE_MISSING  it is not installed, or has no binary for this machine
 */
export function loadZeromq(place: string): Promise<Zeromq> {
  loaded ??= load(place).catch((error: unknown) => {
    loaded = undefined;
    throw error;
  });
  return loaded;
}

async function load(place: string): Promise<Zeromq> {
  const module = (await importPackage('zeromq', 'zeromq@^6.8', place)) as {
    readonly default?: Record<string, unknown>;
  } & Record<string, unknown>;
  const names = (module.default ?? module) as Record<string, SocketClass>;
  const { Push, Pull, XPublisher, Subscriber, Dealer, Router, Pair, Observer } = names;
  return {
    Observer: Observer as unknown as Zeromq['Observer'],
    // DEALER and ROUTER speak with REP and REQ, without their lockstep; XPUB tells who has subscribed.
    classes: {
      push: Push as SocketClass,
      pull: Pull as SocketClass,
      pub: XPublisher as SocketClass,
      sub: Subscriber as SocketClass,
      req: Dealer as SocketClass,
      rep: Router as SocketClass,
      pair: Pair as SocketClass,
    },
  };
}

/** Open sockets, and who listens to them. */
const sockets = new Map<ZmqSocket, ZmqObserver | undefined>();
/** How long libzmq may take to let go of the sockets of a thread that ends, in milliseconds. */
const LEAVE_MS = 30;

/** A thread that ends while anything waits in zeromq.js would take the whole process down: zeromq.js issue 411. */
function leaveThread(): void {
  for (const socket of sockets.keys()) socket.close();
  // Observers may only be closed after their sockets are gone: monitor.ts.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LEAVE_MS);
  for (const observer of sockets.values()) observer?.close();
  sockets.clear();
}

/** Hears what happens to the connections of a socket. */
export function observe({ Observer }: Zeromq, socket: ZmqSocket): ZmqObserver {
  const observer = new Observer(socket);
  sockets.set(socket, observer);
  return observer;
}

/** Closes a socket. What it was given may go out until its `linger` is over. */
export function closeSocket(socket: ZmqSocket): void {
  sockets.delete(socket);
  socket.close();
}

/** A socket as this place uses it. @param flushMs  how long what was accepted may take to leave after close() */
export function makeSocket(zeromq: Zeromq, own: ZmqOptions, flushMs: number): ZmqSocket {
  const { pattern, highWaterMark, maxMessageBytes, heartbeatMs, isEnvelope } = own;
  const sends = { sendHighWaterMark: highWaterMark };
  const receives = { receiveHighWaterMark: highWaterMark, receiveTimeout: LOOK_MS };
  const byPattern: Readonly<Record<Pattern, Record<string, unknown>>> = {
    // What may wait for room, and when, is for Outlet to say.
    push: { ...sends, sendTimeout: 0 },
    pull: receives,
    // A subscriber that is behind makes send() fail, rather than lose what it is sent.
    pub: { ...sends, sendTimeout: 0, receiveTimeout: LOOK_MS, noDrop: true, verbosity: 'allSubsUnsubs' },
    sub: receives,
    req: { ...sends, ...receives, sendTimeout: 0 },
    // Who is gone makes send() fail, rather than swallow the answer.
    rep: { ...sends, ...receives, sendTimeout: 0, mandatory: true },
    pair: { ...sends, ...receives, sendTimeout: 0 },
  };
  const socket = new zeromq.classes[pattern]({
    ...byPattern[pattern],
    ...RECONNECT,
    linger: flushMs,
    ipv6: own.endpoint.includes('['),
    maxMessageSize: maxMessageBytes + (isEnvelope ? ENVELOPE_BYTES : 0),
    ...(heartbeatMs === 0
      ? {}
      : {
          heartbeatInterval: heartbeatMs,
          heartbeatTimeout: heartbeatMs * 2,
          heartbeatTimeToLive: heartbeatMs * 3,
        }),
  });
  if (!isMainThread && sockets.size === 0) process.off('exit', leaveThread).once('exit', leaveThread);
  sockets.set(socket, undefined);
  return socket;
}
