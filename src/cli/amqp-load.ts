// A raw AMQP 0-9-1 client for load, used by the demo and the benchmarks: frames made once and written in large pieces, frames read
// by offset. It knows just enough of the protocol to publish, confirmed or not, and to consume, so that what is measured is the broker.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  emptyTable,
  encodeProperties,
  FrameParser,
  METHOD,
  PROTOCOL_HEADER,
  readBasicAck,
  readQueueDeclareOk,
  Reader,
  writeBasicAck,
  writeBasicConsume,
  writeBasicPublish,
  writeBasicQos,
  writeChannelOpen,
  writeConfirmSelect,
  writeConnectionOpen,
  writeConnectionStartOk,
  writeConnectionTuneOk,
  writeQueueDeclare,
  Writer,
} from '../wire/amqp091/index.ts';

const CHANNEL = 1;
const FRAME_BYTES_MAX = 131_072;
/** One write of the publisher. */
const PIECE_BYTES = 64 * 1024;
const BODY_FRAME = 3;
/** Published and not yet confirmed at a time, where confirms are asked for. */
const UNCONFIRMED_MAX = 20_000;
/** Delivered and not yet settled at a time, where messages are settled; each ack settles so many. */
const PREFETCH = 2_000;
const SETTLED_AT_A_TIME = 200;

export class AmqpLoad {
  readonly #socket: Socket;
  /** Resolves when the connection is over: with undefined when close() ended it. */
  readonly closed: Promise<Error | undefined>;
  readonly #writer = new Writer();
  readonly #reader = new Reader();
  readonly #parser: FrameParser;
  readonly #confirms = new ConfirmCount();
  #published = 0;
  #delivered = 0;
  #settles = false;
  #answered: ((method: Buffer) => void) | undefined;
  #isClosed = false;
  /** Called with each body that is delivered; valid during the call. */
  onBody: (body: Uint8Array) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#parser = new FrameParser({
      frame: (type, _channel, buffer, start, end) => {
        if (type === BODY_FRAME) {
          this.onBody(buffer.subarray(start, end));
          if (this.#settles) this.#settle();
        } else if (type === 1) this.#method(buffer, start, end);
      },
      broken: (problem) => socket.destroy(new Error(`the broker sent a broken frame: ${problem.kind}`)),
    });
    this.#parser.payloadMax = FRAME_BYTES_MAX;
    socket.on('data', (chunk: Buffer) => this.#parser.push(chunk));
    this.closed = new Promise((resolve) => {
      socket.on('error', resolve);
      socket.on('close', () => {
        const error = this.#isClosed ? undefined : new Error('the connection was closed');
        this.#confirms.end(error);
        resolve(error);
      });
    });
  }

  /** Connects as guest and opens channel 1. */
  static async connect(port: number): Promise<AmqpLoad> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    await once(socket, 'connect');
    const client = new AmqpLoad(socket);
    await client.#call((writer) => writer.bytes(PROTOCOL_HEADER));
    await client.#call((writer) =>
      writeConnectionStartOk(writer, 0, {
        clientProperties: emptyTable(),
        mechanism: 'PLAIN',
        response: Buffer.from('\0guest\0guest'),
        locale: 'en_US',
      }),
    );
    await client.#call((writer) => {
      writeConnectionTuneOk(writer, 0, { channelMax: 2047, frameMax: FRAME_BYTES_MAX, heartbeat: 0 });
      writeConnectionOpen(writer, 0, { virtualHost: '/' });
    });
    await client.#call((writer) => writeChannelOpen(writer, CHANNEL));
    return client;
  }

  /** Declares a queue. @returns how many messages wait in it */
  async declare(queue: string, durable = false): Promise<number> {
    const flags = { passive: false, durable, exclusive: false, autoDelete: false, nowait: false };
    const answer = await this.#call((writer) =>
      writeQueueDeclare(writer, CHANNEL, { queue, ...flags, args: emptyTable() }),
    );
    return readQueueDeclareOk(new Reader().reset(answer, 4, answer.length)).messageCount;
  }

  /** Consumes, and settles what comes, many with one ack. */
  async consumeAndSettle(queue: string): Promise<void> {
    await this.#call((writer) =>
      writeBasicQos(writer, CHANNEL, { prefetchSize: 0, prefetchCount: PREFETCH, global: false }),
    );
    this.#settles = true;
    await this.consume(queue, false);
  }

  /** Messages are persistent from now on, and publish() resolves when all are confirmed. */
  async askForConfirms(): Promise<void> {
    await this.#call((writer) => writeConfirmSelect(writer, CHANNEL, { nowait: false }));
    this.#confirms.isOn = true;
  }

  /** Consumes; with acks, what comes is never settled. */
  async consume(queue: string, noAck = true): Promise<void> {
    const flags = { noLocal: false, noAck, exclusive: false, nowait: false };
    await this.#call((writer) =>
      writeBasicConsume(writer, CHANNEL, { queue, consumerTag: 'c', ...flags, args: emptyTable() }),
    );
  }

  /** Publishes `count` messages, many in one write, as fast as the socket takes them. */
  async publish(queue: string, count: number, make: (sequence: number) => Uint8Array): Promise<void> {
    const head = this.#headOf(queue, make(0).length);
    const size = head.length + make(0).length + 1;
    const perPiece = Math.max(1, Math.floor(PIECE_BYTES / size));
    for (let sequence = 0; sequence < count; ) {
      const messages = Math.min(perPiece, count - sequence);
      const piece = Buffer.allocUnsafeSlow(messages * size);
      for (let at = 0; at < piece.length; at += size) {
        piece.set(head, at);
        piece.set(make(sequence), at + head.length);
        piece[at + size - 1] = 0xce;
        sequence += 1;
      }
      this.#published += messages;
      if (!this.#socket.write(piece)) await once(this.#socket, 'drain');
      await this.#confirms.reached(this.#published - UNCONFIRMED_MAX);
    }
    await this.#confirms.reached(this.#published);
  }

  /** Reads nothing any more, as a client that hangs. */
  hang(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#isClosed = true;
    this.#socket.destroy();
  }

  /** Everything of a message in front of its body. */
  #headOf(queue: string, bodyBytes: number): Buffer {
    const writer = new Writer();
    writeBasicPublish(writer, CHANNEL, {
      exchange: '',
      routingKey: queue,
      mandatory: false,
      immediate: false,
    });
    writer.beginFrame(2, CHANNEL);
    writer.short(60);
    writer.short(0);
    writer.longlong(bodyBytes);
    writer.bytes(encodeProperties({ deliveryMode: this.#confirms.isOn ? 2 : 1 }));
    writer.endFrame();
    writer.octet(BODY_FRAME);
    writer.short(CHANNEL);
    writer.long(bodyBytes);
    return writer.take();
  }

  #method(buffer: Buffer, start: number, end: number): void {
    const method = buffer.readUInt32BE(start);
    if (method === METHOD.basicDeliver) return;
    if (method === METHOD.basicAck) {
      const { deliveryTag, multiple } = readBasicAck(this.#reader.reset(buffer, start + 4, end));
      this.#confirms.add(deliveryTag, multiple);
    } else this.#answered?.(Buffer.from(buffer.subarray(start, end)));
  }

  #settle(): void {
    this.#delivered += 1;
    if (this.#delivered % SETTLED_AT_A_TIME !== 0) return;
    writeBasicAck(this.#writer, CHANNEL, { deliveryTag: this.#delivered, multiple: true });
    this.#socket.write(this.#writer.take());
  }

  /** @returns the method that answers */
  #call(write: (writer: Writer) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      void this.closed.then((error) => reject(error ?? new Error('the client is closed')));
      write(this.#writer);
      this.#socket.write(this.#writer.take());
    });
  }
}

/** How many of the first messages are confirmed without a gap. */
class ConfirmCount {
  isOn = false;
  #floor = 0;
  readonly #ahead = new Set<number>();
  #wanted = 0;
  #waiting: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  add(tag: number, multiple: boolean): void {
    if (multiple) this.#floor = Math.max(this.#floor, tag);
    else this.#ahead.add(tag);
    while (this.#ahead.delete(this.#floor + 1)) this.#floor += 1;
    if (this.#floor >= this.#wanted) this.#waiting?.resolve();
  }

  /** Nothing more is confirmed. */
  end(error = new Error('the client is closed')): void {
    this.#waiting?.reject(error);
  }

  /** Resolves when so many are confirmed; at once when confirms are not asked for. */
  async reached(count: number): Promise<void> {
    if (!this.isOn || this.#floor >= count) return;
    this.#wanted = count;
    await new Promise<void>((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
    this.#waiting = undefined;
  }
}
