// The driver of a mailbox that is a pipe: it has no host and no list of participants, only who has which end open.

import { randomInt } from 'node:crypto';
import { NaruError } from '../errors/index.ts';
import type { ReadEnd, WriteEnd } from '../kernel/pipe-ends.ts';
import type {
  Delivery,
  Driver,
  DriverFacts,
  DriverHooks,
  PlaceStats,
  Receiver,
  Sender,
} from '../mailbox/driver.ts';
import type { PipeEnds } from './ends.ts';
import {
  envelopeCutter,
  envelopePacker,
  type PipeCutter,
  type PipePacker,
  rawCutter,
  rawPacker,
} from './format.ts';
import { NAMED_BYTES, type PipeSettings } from './options.ts';
import { PipeReceiver } from './receiver.ts';
import { PipeSender } from './sender.ts';
import type { WrittenBytes } from './written.ts';

/** What a place gives for one handle. */
export interface PipeInit {
  readonly facts: DriverFacts;
  readonly ends: PipeEnds;
  readonly settings: PipeSettings;
  readonly hooks: DriverHooks;
}

/** Messages taken at a time when all are to go. */
const PURGE_CHUNK = 256;

/** @throws what opening the end that reads raises, where the handle keeps what is sent */
export function openPipe(init: PipeInit): Driver {
  return new PipeDriver(init);
}

class PipeDriver implements Driver {
  readonly facts: DriverFacts;
  readonly #init: PipeInit;
  readonly #dropped: Record<string, number> = {};
  #read: ReadEnd | undefined;
  #sender: PipeSender | undefined;
  #receiver: PipeReceiver | undefined;
  #written: WrittenBytes | undefined;
  #hasWriters = false;
  #lost = 0;
  #closed: Promise<{ undelivered: number }> | undefined;

  constructor(init: PipeInit) {
    this.#init = init;
    this.facts = init.facts;
    if (init.settings.keeps === 'at-once') this.#openRead();
  }

  /** The kernel tells whether somebody has the other end open, not how many. */
  get peers(): { producers: number; consumers: number } {
    const producers = this.#sender !== undefined || this.#hasWriter() ? 1 : 0;
    return { producers, consumers: this.#hasReader() ? 1 : 0 };
  }

  async attachSender(): Promise<Sender> {
    const { ends, settings, hooks } = this.#init;
    if (settings.keeps === 'with-sender') this.#openRead();
    const sender: PipeSender = new PipeSender({
      ends,
      packer: this.#packer(),
      hooks,
      isAlone: settings.isAlone,
      failsWithoutReader: settings.nobody === undefined,
      endsAfterMessage: settings.framing?.frame === 'eof',
      prepare: (end) => this.#prepare(end),
      flushMs: settings.flushMs,
      closed: (lost, written) => {
        this.#lost += lost;
        this.#written = written;
        if (this.#sender === sender) this.#sender = undefined;
      },
    });
    sender.connect();
    this.#sender = sender;
    return sender;
  }

  async attachReceiver(): Promise<Receiver> {
    const { ends, hooks, settings } = this.#init;
    const end = this.#openRead();
    if (!end.tryClaim()) {
      this.#letGo();
      const what = 'another consumer reads it; two would tear each other’s messages';
      throw new NaruError('NARU_LIMIT', `${ends.name}: ${what}`, { mailbox: ends.name });
    }
    const receiver: PipeReceiver = new PipeReceiver({
      end,
      cutter: this.#cutter(),
      hooks,
      endsWithWriters: ends.endsWithWriters,
      onWriters: (areThere) => this.#setWriters(areThere),
      closed: (unread) => {
        if (unread > 0) this.#drop('unread', unread);
        this.#lost += unread;
        if (this.#receiver === receiver) this.#receiver = undefined;
        if (!end.isClosed) end.unclaim();
        if (settings.keeps === 'no' || this.#sender === undefined) this.#letGo();
      },
    });
    this.#receiver = receiver;
    return receiver;
  }

  async stats(): Promise<PlaceStats> {
    const end = this.#read;
    return {
      depth: -1,
      depthBytes: end?.bytes ?? -1,
      unsettled: 0,
      producers: -1,
      consumers: -1,
      capacityBytes: end?.size ?? -1,
      capacityMessages: -1,
      dropped: this.#dropped,
      extra: {},
    };
  }

  async purge(): Promise<number> {
    const attached = this.#receiver;
    const receiver = attached ?? (await this.attachReceiver());
    const gone: Delivery[] = [];
    let count = 0;
    while (receiver.take(PURGE_CHUNK, gone) > 0) count += gone.splice(0).length;
    if (attached === undefined) await receiver.close();
    return count;
  }

  close(): Promise<{ undelivered: number }> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async unlink(): Promise<void> {
    this.#init.ends.remove();
  }

  async #close(): Promise<{ undelivered: number }> {
    await this.#sender?.close();
    await this.#receiver?.close();
    this.#lost += this.#forgotten();
    this.#init.ends.close();
    return { undelivered: this.#lost };
  }

  /** This handle kept the pipe: with the last end the kernel forgets what nobody has read. @returns how many messages of this handle */
  #forgotten(): number {
    const end = this.#read;
    this.#read = undefined;
    if (end === undefined || end.isClosed) return 0;
    const { bytes } = end;
    const isLast = end.closeLast();
    return isLast && bytes > 0 ? (this.#written?.last(bytes) ?? 0) : 0;
  }

  #openRead(): ReadEnd {
    if (this.#read === undefined || this.#read.isClosed) {
      this.#read = this.#init.ends.openRead();
      this.#prepare(this.#read);
    }
    return this.#read;
  }

  /** The end that reads is needed no more, unless this handle keeps what is sent. */
  #letGo(): void {
    if (this.#receiver !== undefined || this.#init.settings.keeps === 'at-once') return;
    if (this.#init.settings.keeps === 'with-sender' && this.#sender !== undefined) return;
    this.#read?.close();
    this.#read = undefined;
  }

  #prepare(end: ReadEnd | WriteEnd): void {
    const { capacityBytes } = this.#init.settings;
    if (capacityBytes !== undefined && end.size < capacityBytes) end.resize(capacityBytes);
  }

  #hasReader(): boolean {
    if (this.#read !== undefined && !this.#read.isClosed) return true;
    const sender = this.#sender;
    if (sender === undefined) return false;
    const isThere = sender.hasReader;
    // Whoever asks because a send is to wait must hear of the next one.
    if (!isThere && this.#init.settings.nobody === 'wait') sender.awaitReader();
    return isThere;
  }

  #hasWriter(): boolean {
    if (this.#receiver === undefined || this.#read === undefined || this.#read.isClosed) return false;
    return this.#read.hasWriter;
  }

  #setWriters(areThere: boolean): void {
    if (this.#hasWriters === areThere) return;
    this.#hasWriters = areThere;
    this.#init.hooks.peers();
  }

  #packer(): PipePacker {
    const { framing } = this.#init.settings;
    if (framing !== undefined) return rawPacker(framing);
    return envelopePacker(this.facts.identity, randomInt(2 ** 32));
  }

  #cutter(): PipeCutter {
    const { framing, isPartialKept, maxReceivedBytes } = this.#init.settings;
    const lose = (reason: string, count: number, text: string): void => this.#tell(reason, count, text);
    if (framing !== undefined)
      return rawCutter({ ...framing, maxMessageBytes: maxReceivedBytes }, isPartialKept, lose);
    return envelopeCutter(maxReceivedBytes + NAMED_BYTES, lose);
  }

  #tell(reason: string, count: number, text: string): void {
    this.#drop(reason, count);
    const { name } = this.#init.ends;
    const error = new NaruError('NARU_INVALID_MESSAGE', `${name}: ${text}`, { mailbox: name });
    this.#init.hooks.event('error', { error });
  }

  #drop(reason: string, count: number): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
    this.#init.hooks.event('drop', { reason, count });
  }
}
