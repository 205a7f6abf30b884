// What goes out on one connection: frames written by index into one piece of memory, handed to the socket once a turn or when the
// piece is full. Idle connections hold no memory.

import { FRAME_END, FRAME_OVERHEAD, FrameType, METHOD, Writer } from '../../wire/amqp091/index.ts';
import { copy, type MessageTable } from '../message-table.ts';
import type { Transport } from './transport.ts';

const SLAB_BYTES = 64 * 1024;
/** Less than this is copied out, so that the slab is free again at once. */
const COPY_BYTES_MAX = 8 * 1024;
const SPARE_MAX = 32;
const NOTHING = Buffer.alloc(0);
/** Method frame of basic.deliver without its names, and the content header without its properties. */
const DELIVER_BYTES = 64;

/** Slabs that nobody uses. */
export class SlabPool {
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SLAB_BYTES);
  }

  give(slab: Buffer): void {
    if (slab.length === SLAB_BYTES && this.#spare.length < SPARE_MAX) this.#spare.push(slab);
  }
}

/** What an output needs of the broker. */
export interface OutputHost {
  readonly slabs: SlabPool;
  hasOutput(output: Output): void;
}

export class Output extends Writer {
  /** Longest frame the peer takes, its 8 bytes around the payload included. */
  frameBytesMax = 4096;
  /** Bytes that were handed to the socket, ever. */
  sentBytes = 0;
  readonly #host: OutputHost;
  readonly #transport: Transport;
  #announced = false;
  #closed = false;

  constructor(host: OutputHost, transport: Transport) {
    super(0);
    this.#host = host;
    this.#transport = transport;
  }

  /** Bytes that wait here and in the socket. */
  get pendingBytes(): number {
    return this.at + this.#transport.pendingBytes;
  }

  override beginFrame(type: number, channel: number): void {
    this.#room(1024);
    super.beginFrame(type, channel);
  }

  /** Never hands bytes on: a frame may be half written. */
  override ensure(size: number): void {
    if (this.buffer.length === 0) this.#start();
    super.ensure(size);
  }

  /** basic.deliver with its content, from bytes that are there already. @param tag  the consumer tag as a short string */
  deliver(
    channel: number,
    tag: Buffer,
    deliveryTag: number,
    redelivered: boolean,
    messages: MessageTable,
    slot: number,
    properties: Buffer | undefined,
  ): void {
    const chunk = messages.chunk(slot);
    const keyStart = messages.start(slot);
    const keyEnd = messages.propertyStart(slot);
    const size = 4 + tag.length + 9 + keyEnd - keyStart;
    this.#room(size + DELIVER_BYTES);
    const out = this.buffer;
    let at = this.at;
    out[at] = FrameType.method;
    out[at + 1] = channel >> 8;
    out[at + 2] = channel & 0xff;
    putLong(out, at + 3, size);
    putLong(out, at + 7, METHOD.basicDeliver);
    at += 11;
    copy(tag, 0, tag.length, out, at);
    at += tag.length;
    putLong(out, at, Math.floor(deliveryTag / 0x1_0000_0000));
    putLong(out, at + 4, deliveryTag);
    out[at + 8] = redelivered ? 1 : 0;
    at += 9;
    copy(chunk, keyStart, keyEnd, out, at);
    at += keyEnd - keyStart;
    out[at] = FRAME_END;
    this.at = at + 1;
    this.content(channel, messages, slot, properties);
  }

  /** The content header and the body of a message. @param properties  instead of its own */
  content(channel: number, messages: MessageTable, slot: number, properties: Buffer | undefined): void {
    const chunk = messages.chunk(slot);
    const bodyStart = messages.bodyStart(slot);
    const bodyBytes = messages.bodyBytes(slot);
    const from = properties ?? chunk;
    const start = properties === undefined ? messages.propertyStart(slot) : 0;
    const end = properties === undefined ? bodyStart : properties.length;
    this.#room(DELIVER_BYTES);
    const out = this.buffer;
    const at = this.at;
    out[at] = FrameType.header;
    out[at + 1] = channel >> 8;
    out[at + 2] = channel & 0xff;
    putLong(out, at + 3, 12 + end - start);
    out[at + 7] = 0;
    out[at + 8] = 60;
    out[at + 9] = 0;
    out[at + 10] = 0;
    putLong(out, at + 11, 0);
    putLong(out, at + 15, bodyBytes);
    this.at = at + 19;
    this.#put(from, start, end);
    this.#mark();
    const payloadMax = this.frameBytesMax - FRAME_OVERHEAD;
    for (let sent = 0; sent < bodyBytes; sent += payloadMax) {
      this.#bodyFrame(channel, chunk, bodyStart + sent, Math.min(payloadMax, bodyBytes - sent));
    }
  }

  heartbeat(): void {
    this.#room(FRAME_OVERHEAD);
    this.buffer.fill(0, this.at, this.at + 7);
    this.buffer[this.at] = FrameType.heartbeat;
    this.at += 7;
    this.#mark();
  }

  /** Hands what was written to the socket. */
  flush(): void {
    this.#announced = false;
    const size = this.at;
    const slab = this.buffer;
    this.at = 0;
    this.buffer = NOTHING;
    if (size === 0 || this.#closed) return this.#host.slabs.give(slab);
    this.sentBytes += size;
    if (size <= COPY_BYTES_MAX) {
      this.#transport.write(Buffer.from(slab.subarray(0, size)));
      this.#host.slabs.give(slab);
    } else this.#transport.write(slab.subarray(0, size), () => this.#host.slabs.give(slab));
  }

  /** What is written from now on goes nowhere. */
  close(): void {
    this.#closed = true;
  }

  #bodyFrame(channel: number, chunk: Buffer, start: number, size: number): void {
    this.#room(FRAME_OVERHEAD);
    const out = this.buffer;
    const at = this.at;
    out[at] = FrameType.body;
    out[at + 1] = channel >> 8;
    out[at + 2] = channel & 0xff;
    putLong(out, at + 3, size);
    this.at = at + 7;
    this.#put(chunk, start, start + size);
    this.#mark();
  }

  #mark(): void {
    this.#room(1);
    this.buffer[this.at] = FRAME_END;
    this.at += 1;
  }

  /** Copies bytes out, over several slabs when they do not fit into one. */
  #put(from: Buffer, start: number, end: number): void {
    let at = start;
    while (at < end) {
      this.#room(1);
      const part = Math.min(end - at, this.buffer.length - this.at);
      copy(from, at, at + part, this.buffer, this.at);
      this.at += part;
      at += part;
    }
  }

  /** Between frames, or within one that is written front to back: makes room by handing on what is there. */
  #room(size: number): void {
    if (this.at + size > this.buffer.length) {
      if (this.at > 0) {
        const wasAnnounced = this.#announced;
        this.flush();
        this.#announced = wasAnnounced;
      }
      this.ensure(size);
    }
  }

  #start(): void {
    this.buffer = this.#host.slabs.take();
    if (this.#announced) return;
    this.#announced = true;
    this.#host.hasOutput(this);
  }
}

function putLong(out: Buffer, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}
