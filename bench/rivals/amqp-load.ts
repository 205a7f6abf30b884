// A raw AMQP 0-9-1 client for load: frames made once and written in large pieces, frames read by offset. It knows just enough of
// the protocol to publish and to consume, so that what is measured is the broker.

import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import {
  emptyTable,
  encodeProperties,
  FrameParser,
  METHOD,
  PROTOCOL_HEADER,
  writeBasicConsume,
  writeBasicPublish,
  writeChannelOpen,
  writeConnectionOpen,
  writeConnectionStartOk,
  writeConnectionTuneOk,
  Writer,
  writeQueueDeclare,
} from '#naru/wire/amqp091/index';

const CHANNEL = 1;
const FRAME_BYTES_MAX = 131_072;
/** One write of the publisher. */
const PIECE_BYTES = 64 * 1024;
const BODY_FRAME = 3;

export class AmqpLoad {
  readonly #socket: Socket;
  readonly #writer = new Writer();
  readonly #parser: FrameParser;
  #answered: (() => void) | undefined;
  /** Called with each body that is delivered; valid during the call. */
  onBody: (body: Uint8Array) => void = () => undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#parser = new FrameParser({
      frame: (type, _channel, buffer, start, end) => {
        if (type === BODY_FRAME) this.onBody(buffer.subarray(start, end));
        else if (type === 1 && buffer.readUInt32BE(start) !== METHOD.basicDeliver) this.#answered?.();
      },
      broken: (problem) => socket.destroy(new Error(`the broker sent a broken frame: ${problem.kind}`)),
    });
    this.#parser.payloadMax = FRAME_BYTES_MAX;
    socket.on('data', (chunk: Buffer) => this.#parser.push(chunk));
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

  /** Declares a queue that is not durable. */
  async declare(queue: string): Promise<void> {
    const flags = { passive: false, durable: false, exclusive: false, autoDelete: false, nowait: false };
    await this.#call((writer) => writeQueueDeclare(writer, CHANNEL, { queue, ...flags, args: emptyTable() }));
  }

  /** Consumes without acks. */
  async consume(queue: string): Promise<void> {
    const flags = { noLocal: false, noAck: true, exclusive: false, nowait: false };
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
      if (!this.#socket.write(piece)) await once(this.#socket, 'drain');
    }
  }

  close(): void {
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
    writer.bytes(encodeProperties({ deliveryMode: 1 }));
    writer.endFrame();
    writer.octet(BODY_FRAME);
    writer.short(CHANNEL);
    writer.long(bodyBytes);
    return writer.take();
  }

  #call(write: (writer: Writer) => void): Promise<void> {
    return new Promise((resolve) => {
      this.#answered = resolve;
      write(this.#writer);
      this.#socket.write(this.#writer.take());
    });
  }
}
