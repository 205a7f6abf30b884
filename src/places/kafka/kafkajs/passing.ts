// A client of the package kafkajs that is connected only while somebody uses it.

/** How long what is connected may be without use. */
const REST_MS = 1_000;

export interface Connectable {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
}

/**
 * Connected while it is used, and a moment longer: every connection of this package has a timer that fires each millisecond and keeps the
 * process alive.
 */
export class Passing<T extends Connectable> {
  readonly #one: T;
  #connected: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #users = 0;
  #rest: NodeJS.Timeout | undefined;

  constructor(one: T) {
    this.#one = one;
  }

  async use<R>(act: (one: T) => Promise<R>): Promise<R> {
    clearTimeout(this.#rest);
    this.#users += 1;
    try {
      await this.#closing;
      this.#connected ??= this.#one.connect();
      await this.#connected;
    } catch (error) {
      this.#connected = undefined;
      this.#users -= 1;
      throw error;
    }
    try {
      return await act(this.#one);
    } finally {
      this.#users -= 1;
      if (this.#users === 0) this.#rest = setTimeout(() => void this.close(), REST_MS).unref();
    }
  }

  close(): Promise<void> {
    clearTimeout(this.#rest);
    this.#closing ??= this.#disconnect().finally(() => {
      this.#closing = undefined;
    });
    return this.#closing;
  }

  async #disconnect(): Promise<void> {
    const connected = this.#connected;
    this.#connected = undefined;
    try {
      await connected;
      await this.#one.disconnect();
    } catch {
      // It was not connected.
    }
  }
}
