// Request and reply: correlation, any number of requests in flight, errors of the serving side brought home.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { Delivery, Driver, Outgoing, ReplyPort } from './driver.ts';
import type { Message } from './message.ts';
import { watchLimits, within, type WaitLimits } from './waiting.ts';

/** Message type of an answer that carries an error instead of data. */
const ERROR_TYPE = 'naru.error';

/** What requests need of their mailbox. */
export interface RequestSettings<T> {
  readonly mailbox: string;
  readonly decode: (delivery: Delivery) => Promise<Message<T>>;
  /** Encodes an answer with the mailbox's codec, without its schema: answers have a shape of their own. */
  readonly encode: (data: unknown, fields: AnswerFields) => Outgoing;
}

/** Headers of an answer. */
interface AnswerFields {
  readonly correlationId?: string;
}

interface PendingRequest {
  readonly resolve: (delivery: Delivery) => void;
  readonly reject: (error: unknown) => void;
}

export class Requests<T> {
  readonly #driver: Driver;
  readonly #settings: RequestSettings<T>;
  readonly #pending = new Map<string, PendingRequest>();
  #port: Promise<ReplyPort> | undefined;
  #count = 0;

  constructor(driver: Driver, settings: RequestSettings<T>) {
    this.#driver = driver;
    this.#settings = settings;
  }

  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Sends a request through `send` and waits for its answer.
   *
   * @throws NARU_REMOTE   the handler failed; its error is the cause
   * @throws NARU_TIMEOUT  no answer in time; and what `send` can raise
   */
  async request(
    send: (replyTo: string, correlationId: string) => Promise<unknown>,
    limits: WaitLimits,
  ): Promise<Message<T>> {
    const { mailbox } = this.#settings;
    const port = await within(this.#openPort(), limits, 'there was no way back for answers', mailbox);
    this.#count += 1;
    const correlationId = `${this.#driver.facts.identity}-r${this.#count}`;
    let stop = (): void => undefined;
    const answer = new Promise<Delivery>((resolve, reject) => {
      this.#pending.set(correlationId, { resolve, reject });
      stop = watchLimits(limits, 'no answer came', mailbox, reject);
    });
    // The answer may be rejected while the request is still being sent: that is no unhandled rejection.
    answer.catch(() => undefined);
    try {
      // An answer proves more than a receipt, and may overtake it; and when the time is over, it is over for the answer, however far the
      // request has come.
      await Promise.race([send(port.address, correlationId), answer]);
      const delivery = await answer;
      if (delivery.fields?.type === ERROR_TYPE) throw remoteError(delivery, this.#settings.mailbox);
      return await this.#settings.decode(delivery);
    } finally {
      stop();
      this.#pending.delete(correlationId);
    }
  }

  /** An answer arrived. Late ones find nobody and are ignored. */
  onReply(delivery: Delivery): void {
    const id = delivery.fields?.correlationId;
    if (id !== undefined) this.#pending.get(id)?.resolve(delivery);
  }

  /** Answers a request. @throws NARU_PEER_GONE */
  async reply(request: Message<unknown>, data: unknown): Promise<void> {
    const { correlationId } = request;
    await this.#send(
      request,
      this.#settings.encode(data, correlationId === undefined ? {} : { correlationId }),
    );
  }

  /** Calls a handler for one request and answers with what it returns, or with the error it throws. */
  async serve(handler: (request: Message<T>) => unknown, request: Message<T>): Promise<void> {
    if (request.replyTo === undefined) {
      await handler(request);
      return;
    }
    try {
      const answer = await handler(request);
      await this.reply(request, answer === undefined ? null : answer);
    } catch (error) {
      // A requester that died in the meantime is no reason to work the request out again.
      if (!isNaruError(error, 'NARU_PEER_GONE')) await this.#fail(request, error);
    }
  }

  /** Every open request rejects. */
  async close(error: Error): Promise<void> {
    for (const pending of this.#pending.values()) pending.reject(error);
    const port = this.#port;
    this.#port = undefined;
    if (port !== undefined) await (await port).close();
  }

  /** The error goes as JSON, whatever the mailbox's codec: the other side knows it by its type. */
  async #fail(request: Message<unknown>, error: unknown): Promise<void> {
    const known = isNaruError(error)
      ? error
      : new NaruError('NARU_REMOTE', String((error as Error)?.message ?? error));
    const body = Buffer.from(JSON.stringify(known), 'utf8');
    const fields = { correlationId: request.correlationId, type: ERROR_TYPE };
    const message = { body, sequence: 0, time: Date.now(), fields, confirm: undefined, done: undefined };
    await this.#send(request, message).catch((failure: unknown) => {
      if (!isNaruError(failure, 'NARU_PEER_GONE')) throw failure;
    });
  }

  async #send(request: Message<unknown>, answer: Outgoing): Promise<void> {
    const port = await this.#openPort();
    await port.send(request.replyTo ?? '', answer);
  }

  #openPort(): Promise<ReplyPort> {
    this.#port ??= this.#driver.openReplies?.();
    return (
      this.#port ??
      Promise.reject(
        new NaruError(
          'NARU_UNSUPPORTED',
          `${this.#settings.mailbox}: this place has no way back for replies`,
        ),
      )
    );
  }
}

function remoteError(delivery: Delivery, mailbox: string): NaruError {
  let cause: NaruError;
  try {
    cause = NaruError.fromJSON(JSON.parse(Buffer.from(delivery.body).toString('utf8')));
  } catch (error) {
    cause = new NaruError('NARU_REMOTE', 'the error could not be decoded', { cause: error });
  }
  return new NaruError('NARU_REMOTE', `${mailbox}: the handler failed: ${cause.message}`, { mailbox, cause });
}
