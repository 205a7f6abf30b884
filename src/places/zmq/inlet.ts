// What comes in over one socket: zeromq.js gives one message at a time, and takes back no request for one. So such a request ends
// by itself twice a second (LOOK_MS), and is made again only while somebody wants it.

import { codeOf } from './errors.ts';
import type { ZmqSocket } from './zeromq.ts';

/** What an inlet needs of its driver. */
export interface InletInit {
  readonly socket: ZmqSocket;
  /** Whether to ask for a message. @param hasWaited  none came for LOOK_MS */
  readonly wants: (hasWaited: boolean) => boolean;
  readonly got: (parts: Buffer[]) => void;
}

export class Inlet {
  readonly #init: InletInit;
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
    this.run();
  };

  readonly #onNothing = (error: unknown): void => {
    this.#isBusy = false;
    // Anything but EAGAIN says that the socket has been closed.
    if (codeOf(error) === 'EAGAIN') this.run(true);
  };
}
