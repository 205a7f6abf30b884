// Who has subscribed to a publisher: libzmq hands its socket every subscription and every end of one, those of the dead included.

/** First byte of what an XPUB socket receives. */
const SUBSCRIBED = 1;
const UNSUBSCRIBED = 0;

export class Subscribers {
  readonly #joined: (prefix: Buffer) => void;
  readonly #changed: () => void;
  #count = 0;

  /** @param joined  somebody subscribed to what begins so */
  constructor(joined: (prefix: Buffer) => void, changed: () => void) {
    this.#joined = joined;
    this.#changed = changed;
  }

  /** Subscriptions; a stranger may have several. */
  get count(): number {
    return this.#count;
  }

  /** What came over the publisher's socket. */
  hear([news]: readonly Buffer[]): void {
    if (news === undefined) return;
    if (news[0] === SUBSCRIBED) {
      this.#count += 1;
      this.#joined(news.subarray(1));
    } else if (news[0] === UNSUBSCRIBED) this.#count = Math.max(0, this.#count - 1);
    else return;
    this.#changed();
  }
}
