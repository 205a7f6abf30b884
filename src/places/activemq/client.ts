// One connection to a server of AMQP 1.0 through the package rhea, as this place needs it: links that were taken or refused, what the server
// can do, and errors that say what to do. Reconnecting is not its business.

import { importPackage } from '../../client/optional-package.ts';
import type { Connected } from '../../client/reconnecting.ts';
import { NaruError } from '../../errors/index.ts';
import { activemqError, strangerError } from './failures.ts';
import type { ActivemqTarget } from './options.ts';
import type {
  ReceiverRequest,
  RheaConnection,
  RheaContext,
  RheaDelivery,
  RheaPackage,
  RheaReceiver,
  RheaSender,
  RheaSession,
  SenderRequest,
} from './protocol.ts';

const INSTALL = 'rhea@^3.0.5';
const CONNECT_TIMEOUT_MS = 5_000;
/** How long an answer may take that servers give at once. */
const ANSWER_MS = 10_000;
/** How long the goodbye may take before the socket is closed all the same. */
const GOODBYE_MS = 1_000;
/** What is on its way in either direction; rhea throws beyond it. Own limits are far below. */
const SESSION = { incoming: 16_384, outgoing: 8_192 } as const;
/** Where nobody listens: what is sent there is forgotten, and its answer says that everything before has arrived. */
const NOWHERE = 'naru.nowhere';
/** Any format of messages that is not AMQP's own, 0. */
const OTHER_FORMAT = 1;
/** Frames are gathered in pieces of this size. */
const GATHER_BYTES = 65_536;
/** The first bytes of what the server speaks. */
const HEADER_BYTES = 8;
/** Of AMQP 1.0 itself, behind TLS, behind SASL. */
const HEADERS: readonly string[] = ['\0', '\u0002', '\u0003'].map((layer) => `AMQP${layer}\u0001\0\0`);

type Library = RheaPackage['default'];

/** What became of a message: it is done; never again; as if it had never been given out; its next delivery counts. */
export type Settlement = 'accepted' | 'rejected' | 'released' | 'failed';

/** What a server says of itself. */
export interface ServerFacts {
  readonly product: string;
  readonly isArtemis: boolean;
  /** It can hold a message back. */
  readonly delays: boolean;
  /** What stands before the name of a queue and of a topic: Classic tells them apart by it. */
  readonly prefix: { readonly one: string; readonly all: string };
  /** Several connections can share a durable subscription. */
  readonly sharesSubscriptions: boolean;
}

export class ActivemqConnection implements Connected {
  readonly library: Library;
  readonly server: ServerFacts;
  /** The mailbox, for errors. */
  readonly text: string;
  readonly #rhea: RheaConnection;
  readonly #ends = new Set<(error: Error) => void>();
  readonly #states: Readonly<Record<Settlement, unknown>>;
  #lastSettlement: Settlement | undefined;
  #isOver = false;
  #nowhere: Promise<RheaSender> | undefined;
  #arrived: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;
  #barrier: Promise<void> | undefined;
  #nextBarrier: Promise<void> | undefined;

  private constructor(rhea: RheaConnection, library: Library, text: string) {
    this.#rhea = rhea;
    this.library = library;
    this.text = text;
    this.server = readServer(rhea);
    const { message } = library;
    this.#states = {
      accepted: message.accepted().described(),
      rejected: message.rejected({}).described(),
      released: message.released().described(),
      failed: message.modified({ delivery_failed: true }).described(),
    };
  }

  /**
   * @param lost  called once when the connection breaks
   * @throws NARU_PACKAGE_MISSING, NARU_DISCONNECTED, NARU_DENIED, NARU_UNSUPPORTED (no AMQP 1.0), NARU_LIMIT (the name is taken)
   */
  static async connect(target: ActivemqTarget, lost: () => void): Promise<ActivemqConnection> {
    const { default: library } = (await importPackage('rhea', INSTALL, 'activemq')) as RheaPackage;
    const { text, containerId, server } = target;
    const container = library.create_container({ id: containerId });
    // Every link has listeners of its own; what is said to nobody else must not end the process.
    container.on('error', () => undefined);
    const rhea = container.connect({ ...server, reconnect: false, session_buffer_size: SESSION });
    freeTimers(rhea);
    gatherWrites(rhea);
    await handshake(rhea, text);
    const connection = new ActivemqConnection(rhea, library, text);
    const over = (context?: RheaContext): void => {
      if (connection.#isOver) return;
      connection.#end(activemqError(context?.error, text));
      lost();
    };
    for (const event of ENDINGS) rhea.on(event, over);
    rhea.socket?.on('close', () => over());
    return connection;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws what the server says against it, NARU_DISCONNECTED */
  receiver(request: ReceiverRequest): Promise<RheaReceiver> {
    const link = this.#rhea.open_receiver({ ...request, credit_window: 0, autoaccept: false });
    leaveBytes(link.session);
    return this.#attached(link, 'receiver');
  }

  /** @throws what the server says against it, NARU_DISCONNECTED */
  sender(request: SenderRequest): Promise<RheaSender> {
    return this.#attached(this.#rhea.open_sender(request), 'sender');
  }

  /** Of messages of one turn rhea joins the first two to one frame, whatever was said of them: before something else is said it must write. */
  settle(delivery: RheaDelivery, what: Settlement): void {
    if (what !== this.#lastSettlement) {
      const { session } = delivery.link;
      session.incoming.process(session);
      this.#lastSettlement = what;
    }
    delivery.update(true, this.#states[what]);
  }

  /** Comes when the server has everything that was written before. @throws NARU_DISCONNECTED, NARU_DENIED */
  barrier(): Promise<void> {
    if (this.#barrier === undefined) {
      this.#barrier = this.#roundTrip().finally(() => {
        this.#barrier = undefined;
      });
      return this.#barrier;
    }
    // What is on its way may have left before the caller's words.
    this.#nextBarrier ??= this.#barrier
      .catch(() => undefined)
      .then(() => {
        this.#nextBarrier = undefined;
        return this.barrier();
      });
    return this.#nextBarrier;
  }

  /** Waits for an answer, and no longer than the connection lives. @param ask  gets what to call with it, or with an error */
  answer<T>(ask: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const finish = (act: () => void): void => {
        clearTimeout(timer);
        this.#ends.delete(fail);
        act();
      };
      const fail = (error: Error): void => finish(() => reject(error));
      const timer = setTimeout(() => fail(this.#silent()), ANSWER_MS).unref();
      if (this.#isOver) return fail(activemqError(undefined, this.text));
      this.#ends.add(fail);
      ask((value) => finish(() => resolve(value)), fail);
    });
  }

  /** Ends a link and comes when the server knows it. @param isForGood  else a durable subscription stays */
  async leave(link: RheaSender | RheaReceiver | undefined, isForGood = true): Promise<void> {
    if (link === undefined || this.#isOver || link.is_closed()) return;
    await this.answer<void>((resolve) => {
      link.once('receiver_close', () => resolve());
      link.once('sender_close', () => resolve());
      if (isForGood) link.close();
      else link.detach();
    }).catch(() => undefined);
  }

  ref(): void {
    this.#rhea.socket?.ref();
  }

  unref(): void {
    this.#rhea.socket?.unref();
  }

  destroy(isLost = false): void {
    this.#end(activemqError(undefined, this.text));
    const { socket } = this.#rhea;
    if (isLost || !this.#rhea.is_open()) {
      socket?.destroy();
      return;
    }
    this.#rhea.close();
    setTimeout(() => socket?.destroy(), GOODBYE_MS).unref();
  }

  /** Closes the connection and comes when the server knows it, or cannot be told. */
  async goodbye(): Promise<void> {
    if (this.#isOver) return;
    this.#end(activemqError(undefined, this.text));
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GOODBYE_MS);
      this.#rhea.once('connection_close', () => {
        clearTimeout(timer);
        resolve();
      });
      this.#rhea.close();
    });
  }

  /** Comes when the server takes a message on this link: one that waits for credit would hold up the whole session. */
  async credited(link: RheaSender): Promise<void> {
    if (link.credit > 0) return;
    await this.answer<void>((resolve) => link.once('sendable', () => resolve()));
  }

  /** One at a time. */
  async #roundTrip(): Promise<void> {
    this.#nowhere ??= this.#openNowhere();
    const link = await this.#nowhere;
    await this.credited(link);
    await this.answer<void>((resolve, reject) => {
      this.#arrived = { resolve, reject };
      link.send(this.library.message.encode({ body: '' }), undefined, 0);
    });
  }

  async #openNowhere(): Promise<RheaSender> {
    try {
      const address = `${this.server.prefix.all}${NOWHERE}`;
      const link = await this.sender({ target: { address, capabilities: ['topic'] } });
      link.on('settled', () => this.#arrived?.resolve());
      link.on('sender_close', () => {
        this.#nowhere = undefined;
        this.#arrived?.reject(activemqError(link.error, this.text));
      });
      return link;
    } catch (error) {
      this.#nowhere = undefined;
      throw error;
    }
  }

  /** A server that refuses a link first opens it without its end, and then closes it. */
  #attached<L extends RheaReceiver | RheaSender>(link: L, role: 'receiver' | 'sender'): Promise<L> {
    let isTaken = false;
    // Whoever uses the link hears of its end; until somebody does it must not end the process.
    link.on(`${role}_error`, () => undefined);
    return this.answer<L>((resolve, reject) => {
      link.once(`${role}_open`, () => {
        setImmediate(() => {
          const end = role === 'receiver' ? link.source : link.target;
          if (link.error !== undefined || end === undefined || end === null) return;
          isTaken = true;
          resolve(link);
        });
      });
      link.once(`${role}_close`, () => {
        if (!isTaken) reject(activemqError(link.error, this.text));
      });
    });
  }

  #end(error: Error): void {
    this.#isOver = true;
    for (const fail of this.#ends) fail(error);
  }

  #silent(): NaruError {
    return new NaruError('NARU_TIMEOUT', `${this.text}: the server gave no answer for ${ANSWER_MS} ms`, {
      place: 'activemq',
      mailbox: this.text,
    });
  }
}

const ENDINGS = ['connection_error', 'connection_close', 'disconnected', 'protocol_error', 'error'] as const;

/** Comes when the connection is open. @throws NARU_DISCONNECTED, NARU_DENIED, NARU_UNSUPPORTED, NARU_LIMIT */
function handshake(rhea: RheaConnection, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let header = '';
    const listen = (data: Buffer): void => {
      header = (header + data.toString('latin1')).slice(0, HEADER_BYTES);
    };
    const finish = (act: () => void): void => {
      clearTimeout(timer);
      rhea.socket?.off('data', listen);
      for (const event of ENDINGS) rhea.off(event, fail).on(event, () => undefined);
      act();
    };
    const fail = (context?: RheaContext): void => {
      const isStranger = header.length === HEADER_BYTES && !HEADERS.includes(header);
      // Who ends a connection at once without a word did not understand the first one.
      finish(() => {
        rhea.socket?.destroy();
        reject(isStranger ? strangerError(header, text) : activemqError(context?.error, text));
      });
    };
    const timer = setTimeout(() => fail(), CONNECT_TIMEOUT_MS);
    rhea.socket?.prependListener('data', listen);
    rhea.socket?.once('close', () => fail());
    for (const event of ENDINGS) rhea.on(event, fail);
    rhea.once('connection_open', () => finish(resolve));
  });
}

function readServer(rhea: RheaConnection): ServerFacts {
  const { product, version, ...others } = rhea.properties ?? {};
  const prefix = (kind: string): string => {
    const text = others[`${kind}-prefix`];
    return typeof text === 'string' ? text : '';
  };
  const offered = rhea.remote.open?.offered_capabilities;
  const capabilities: readonly unknown[] = Array.isArray(offered) ? offered : [offered];
  return {
    product: `${String(product)} ${String(version)}`,
    isArtemis: /artemis/i.test(String(product)),
    prefix: { one: prefix('queue'), all: prefix('topic') },
    delays: capabilities.includes('DELAYED_DELIVERY'),
    sharesSubscriptions: capabilities.includes('SHARED-SUBS'),
  };
}

/** rhea's own timers would keep the process alive for as long as the connection: who waits for something does that. */
function freeTimers(rhea: RheaConnection): void {
  for (const name of ['heartbeat_out', 'heartbeat_in', 'abort_idle']) {
    let timer: NodeJS.Timeout | undefined;
    Object.defineProperty(rhea, name, {
      get: () => timer,
      set: (next: NodeJS.Timeout | undefined) => {
        timer = next;
        next?.unref();
      },
    });
  }
}

/** rhea reads messages of AMQP's own format only, and slowly; told that they are of another one it gives their bytes. */
function leaveBytes(session: RheaSession): void {
  if (Object.hasOwn(session, 'on_transfer')) return;
  const take = session.on_transfer.bind(session);
  session.on_transfer = (frame) => {
    frame.performative.message_format = OTHER_FORMAT;
    take(frame);
  };
}

/**
 * rhea writes each frame by itself, from a buffer of 1 KiB: those of one turn go to the kernel together, and as copies, so that nothing
 * holds as many kilobytes as there are frames.
 */
function gatherWrites(rhea: RheaConnection): void {
  const { socket } = rhea;
  if (socket === undefined) return;
  socket.setNoDelay(true);
  const write = socket.write.bind(socket);
  const end = socket.end.bind(socket);
  let gathered = Buffer.alloc(0);
  let written = 0;
  let used = 0;
  let isWaiting = false;
  const flush = (): void => {
    if (used > written && socket.writable) write(gathered.subarray(written, used));
    written = used;
  };
  socket.write = (data) => {
    if (used + data.byteLength > gathered.byteLength) {
      flush();
      if (data.byteLength > GATHER_BYTES / 4) return write(data);
      gathered = Buffer.allocUnsafeSlow(GATHER_BYTES);
      written = 0;
      used = 0;
    }
    gathered.set(data, used);
    used += data.byteLength;
    if (!isWaiting) {
      isWaiting = true;
      setImmediate(() => {
        isWaiting = false;
        flush();
      });
    }
    return true;
  };
  socket.end = () => {
    flush();
    end();
  };
}
