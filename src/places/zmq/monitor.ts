// Who is connected to a socket, from what libzmq tells of its connections. A connection counts from the end of its handshake:
// what speaks another protocol or another pattern never counts.
//
// Two things that libzmq and zeromq.js leave to us. An observer must never be closed while its socket lives: libzmq would wait for
// ever to tell it something, in the thread that serves all sockets. And waiting for news keeps the event loop alive and cannot be
// taken back: so that a process may end, an event of our own is made for the wait to end with (rest()).

import { observe, type Zeromq, type ZmqEvent, type ZmqObserver, type ZmqSocket } from './zeromq.ts';

/** What became of a connection: ready for messages, gone, or ended before it was ready. */
export type Change = 'up' | 'down' | 'refused';

/** Where a socket listens for a moment, to have an event. */
const OWN_EVENT = 'tcp://127.0.0.1:*';
/** How often news are read while resting: there is room for a thousand, and then libzmq waits. In milliseconds. */
const READ_MS = 5_000;

export class Monitor {
  readonly #socket: ZmqSocket;
  readonly #observer: ZmqObserver;
  readonly #changed: (change: Change) => void;
  readonly #ended: Promise<void>;
  #tellEnd: () => void = () => undefined;
  #isListening = false;
  /** The next event of our own ends the wait for news. */
  #isResting = false;
  #readAt = 0;
  /** Connections before the end of their handshake. */
  #young = 0;
  #ready = 0;

  constructor(zeromq: Zeromq, socket: ZmqSocket, changed: (change: Change) => void) {
    this.#socket = socket;
    this.#changed = changed;
    this.#ended = new Promise((resolve) => {
      this.#tellEnd = resolve;
    });
    this.#observer = observe(zeromq, socket);
    this.resume();
  }

  /** Peers whose handshake is done. */
  get ready(): number {
    return this.#ready;
  }

  /** Listens, if it does not. */
  resume(): void {
    this.#isResting = false;
    if (this.#isListening) return;
    this.#isListening = true;
    void this.#listen();
  }

  /** Lets the event loop go until resume(), but for a look every now and then. */
  rest(): void {
    const now = performance.now();
    if (!this.#isListening && now - this.#readAt < READ_MS) return;
    this.#readAt = now;
    this.#socket.bindSync(OWN_EVENT);
    this.#socket.disconnect(this.#socket.lastEndpoint ?? OWN_EVENT);
    this.resume();
    this.#isResting = true;
  }

  /** Resolves when libzmq has let go of a socket that was closed, with everything that it still had to send. */
  ended(): Promise<void> {
    this.resume();
    return this.#ended;
  }

  async #listen(): Promise<void> {
    try {
      for (;;) {
        const event = await this.#observer.receive();
        if (event.type === 'end') break;
        if (event.type === 'bind' && this.#isResting) {
          this.#isListening = false;
          return;
        }
        this.#hear(event);
      }
    } catch {
      // It has ended.
    }
    this.#tellEnd();
  }

  #hear({ type }: ZmqEvent): void {
    if (type === 'accept' || type === 'connect') this.#young += 1;
    else if (type === 'handshake') this.#onHandshake();
    else if (type === 'disconnect') this.#onDisconnect();
  }

  #onHandshake(): void {
    // Without a young one: another connection ended meanwhile and was taken for this one.
    if (this.#young === 0) return;
    this.#young -= 1;
    this.#ready += 1;
    this.#changed('up');
  }

  #onDisconnect(): void {
    if (this.#young > 0) {
      this.#young -= 1;
      this.#changed('refused');
    } else if (this.#ready > 0) {
      this.#ready -= 1;
      this.#changed('down');
    }
  }
}
