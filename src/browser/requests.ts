// Requests of a page and their answers: the way back, correlation, and errors of the serving side brought home.

import { NaruError } from '../errors/index.ts';
import { Operation } from '../link/operation.ts';
import { decodeEnvelope, type Encodable, encodedSize } from '../wire/envelope.ts';
import type { Envelope } from '../wire/envelope-types.ts';
import { FrameType } from '../wire/frame-types.ts';
import type { Connection } from './connection.ts';
import type { Frame } from './frame-reader.ts';
import { type Limits, Waiter } from './waiting.ts';

/** Message type of an answer that carries an error instead of data, as in mailbox/requests.ts. */
const ERROR_TYPE = 'naru.error';
/** Numbers and the length of the text before an answer. */
const ADDRESSED_BYTES = 10;

export class Requests {
  readonly #url: string;
  readonly #pending = new Map<string, Waiter<Envelope>>();
  #way: { readonly connection: Connection; readonly address: Promise<string> } | undefined;
  #count = 0;

  constructor(url: string) {
    this.#url = url;
  }

  /** Where answers reach this page over a connection. */
  address(connection: Connection): Promise<string> {
    if (this.#way?.connection !== connection) {
      const address = connection
        .request(Operation.openReplies, {})
        .then((answer) => String(answer['address']));
      this.#way = { connection, address };
    }
    return this.#way.address;
  }

  /** Waits for an answer. @param send  sends the request that carries this correlation id */
  async answer(
    identity: string,
    limits: Limits,
    send: (correlationId: string) => Promise<unknown>,
  ): Promise<Envelope> {
    this.#count += 1;
    const correlationId = `${identity}-r${this.#count}`;
    const waiter = new Waiter<Envelope>();
    waiter.limit(
      limits,
      () => ['NARU_TIMEOUT', `${this.#url}: no answer came`],
      () => undefined,
    );
    this.#pending.set(correlationId, waiter);
    // It may be rejected while the request is still being sent: that is no unhandled rejection.
    waiter.promise.catch(() => undefined);
    try {
      await send(correlationId);
      const answer = await waiter.promise;
      if (answer.fields?.type === ERROR_TYPE) throw this.#remoteError(answer.body);
      return answer;
    } finally {
      this.#pending.delete(correlationId);
    }
  }

  /** Sends an answer. @throws NARU_PEER_GONE */
  async reply(connection: Connection, replyTo: string, message: Encodable): Promise<void> {
    const size = encodedSize(message);
    await connection.ask((id) => connection.writer.reply(FrameType.reply, id, replyTo, message, size));
  }

  onAnswer(frame: Frame): void {
    frame.need(ADDRESSED_BYTES);
    const { view, bytes, start, end } = frame;
    const at = start + ADDRESSED_BYTES + view.getUint16(start + 8, true);
    const answer = decodeEnvelope(bytes, view, at, end - at, '');
    this.#pending.get(answer.fields?.correlationId ?? '')?.resolve(answer);
  }

  /** The way back is gone, and with it every answer. */
  lost(error: NaruError): void {
    this.#way = undefined;
    for (const waiter of this.#pending.values()) waiter.reject(error);
  }

  #remoteError(body: Uint8Array): NaruError {
    let cause: NaruError;
    try {
      cause = NaruError.fromJSON(JSON.parse(new TextDecoder().decode(body)));
    } catch (error) {
      cause = new NaruError('NARU_REMOTE', 'the error could not be decoded', { cause: error });
    }
    const context = { place: 'ws', mailbox: this.#url, cause };
    return new NaruError('NARU_REMOTE', `${this.#url}: the handler failed: ${cause.message}`, context);
  }
}
