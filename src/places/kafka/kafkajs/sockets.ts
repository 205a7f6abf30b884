// The sockets of one consumer: one on which nothing comes is closed soon, but not while its group waits for a member.

import type { Socket } from 'node:net';
import { GROUP, REQUEST } from '../limits.ts';
import { loosened, type SocketRequest } from './package.ts';

export class Sockets {
  readonly #open = new Set<Socket>();
  #silenceMs: number = REQUEST.answerMs;
  #isOver = false;

  /** The package's `socketFactory`. */
  readonly make = (request: SocketRequest): Socket => {
    if (this.#isOver) throw new Error('it is closed');
    const socket = loosened(request).setTimeout(this.#silenceMs);
    this.#open.add(socket);
    socket.once('close', () => this.#open.delete(socket));
    return socket;
  };

  /** The group answers when all its members have, or their sessions are over. */
  beginJoin(): void {
    this.#allow(GROUP.joinMs);
  }

  endJoin(): void {
    this.#allow(REQUEST.answerMs);
  }

  /** Hangs up, and makes no more: the package would try to join again. */
  end(): void {
    this.#isOver = true;
    for (const socket of this.#open) socket.destroy(new Error('it is closed'));
  }

  #allow(silenceMs: number): void {
    this.#silenceMs = silenceMs;
    for (const socket of this.#open) socket.setTimeout(silenceMs);
  }
}
