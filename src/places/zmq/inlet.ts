// What comes in over one socket: zeromq.js gives one message at a time, and takes back no request for one. So such a request ends
// by itself twice a second (LOOK_MS), and is made again only while somebody wants it.
//
// A request that may wait asks libzmq first whether it must, which is a system call for each message. So while messages come one upon
// the other, a request may not wait, until one finds nothing.

import { nextTurn, turnIsOver, turnTime } from '../../mailbox/waiting.ts';
import { codeOf } from './errors.ts';
import { LOOK_MS, TURN_MASK, type ZmqSocket } from './zeromq.ts';

/** What an inlet needs of its driver. */
export interface InletInit {
  readonly socket: ZmqSocket;
  /** Whether to ask for a message. @param hasWaited  none came for LOOK_MS */
  readonly wants: (hasWaited: boolean) => boolean;
  readonly got: (parts: Buffer[]) => void;
}

/** Messages in one turn of the event loop that are a stream: to find nothing then costs an error, which must be worth it. */
const STREAM_MIN = 16;

export class Inlet {
  readonly #init: InletInit;
  #isStreaming = false;
  /** When this turn began, and messages that it has brought. */
  #turn = 0;
  #inTurn = 0;
  #isBusy = false;
  #isClosed = false;

  constructor(init: InletInit) {
    this.#init = init;
  }

  /** Asks for a message, if one is wanted. Idempotent. */
  run(hasWaited = false): void {
    if (this.#isBusy || this.#isClosed || !this.#init.wants(hasWaited)) return;
    this.#isBusy = true;
    this.#init.socket.receive?.().then(this.#onMessage, this.#onNothing);
  }

  /** A peer has come: only a socket that is looked at takes it in, and sends it what it subscribes to. */
  attend(): void {
    // While a receive waits, it does that; asking then could take its news away.
    if (!this.#isBusy && !this.#isClosed && this.#init.socket.readable) this.run();
  }

  /** Takes what is there already, up to one message. */
  async look(): Promise<void> {
    if (this.#isBusy || this.#isClosed) return;
    const { socket, got } = this.#init;
    const usual = socket.receiveTimeout;
    this.#isBusy = true;
    socket.receiveTimeout = 0;
    const asked = socket.receive?.();
    if (usual !== undefined) socket.receiveTimeout = usual;
    const parts = await asked?.catch(() => undefined);
    this.#isBusy = false;
    if (parts !== undefined && !this.#isClosed) got(parts);
    this.run();
  }

  close(): void {
    this.#isClosed = true;
  }

  readonly #onMessage = (parts: Buffer[]): void => {
    this.#isBusy = false;
    if (this.#isClosed) return;
    this.#init.got(parts);
    this.#count();
    if ((this.#inTurn & TURN_MASK) === 0 && turnIsOver()) {
      this.#isBusy = true;
      void nextTurn().then(this.#onTurn);
    } else this.run();
  };

  readonly #onTurn = (): void => {
    this.#isBusy = false;
    this.run();
    // A peer may have come meanwhile.
    this.attend();
  };

  readonly #onNothing = (error: unknown): void => {
    this.#isBusy = false;
    // Anything but EAGAIN says that the socket has been closed.
    if (codeOf(error) !== 'EAGAIN' || this.#isClosed) return;
    const hasWaited = !this.#isStreaming;
    if (!hasWaited) this.#stream(false);
    this.run(hasWaited);
  };

  #count(): void {
    const turn = turnTime();
    this.#inTurn = turn === this.#turn ? this.#inTurn + 1 : 1;
    this.#turn = turn;
    if (this.#inTurn === STREAM_MIN && !this.#isStreaming) this.#stream(true);
  }

  #stream(isStreaming: boolean): void {
    this.#isStreaming = isStreaming;
    this.#inTurn = 0;
    this.#init.socket.receiveTimeout = isStreaming ? 0 : LOOK_MS;
  }
}
