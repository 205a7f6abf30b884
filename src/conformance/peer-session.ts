// The other end of every case: a program that opens mailboxes and does what it is told. The same code runs in the process of
// the test, in a worker thread and in a child process; peer.ts and peers.ts carry commands to it. No assertions here.

import { isNaruError } from '../errors/index.ts';
import type { Capabilities } from '../mailbox/capabilities.ts';
import type { Consumption } from '../mailbox/consume.ts';
import type { SendOptions } from '../mailbox/lacks.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { Message } from '../mailbox/message.ts';
import type { OpenOptions } from '../mailbox/options.ts';
import type { SendManyResult } from '../mailbox/receipt.ts';
import type { CloseOptions, CloseResult } from '../mailbox/setup.ts';
import type { MailboxStats } from '../mailbox/stats.ts';
import { open } from '../open.ts';

/** Options of open() that can be sent to another process. */
export type PeerOptions = Omit<OpenOptions, 'schema' | 'signal'>;

/** A message as a peer reports it. */
export interface Seen {
  readonly data: unknown;
  readonly id: string;
  readonly sender: string;
  readonly time: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly key: string | undefined;
  readonly type: string | undefined;
  readonly contentType: string | undefined;
  readonly correlationId: string | undefined;
  readonly priority: number;
  readonly deliveries: number;
  readonly redelivered: boolean;
}

/** What opening told. */
export interface Opened {
  readonly handle: number;
  readonly address: string;
  readonly identity: string;
  readonly created: boolean;
}

/** Time limits, as far as they can be sent. */
export interface PeerLimits {
  readonly timeoutMs?: number;
}

/** What a served request is answered with: the data itself, an error, or nothing at all. */
export type Serving = 'echo' | 'fail' | 'silent';

/** What begin() can begin. */
export type Beginning = 'receive' | 'receiveSync' | 'send' | 'sendSync';

/** Something that runs while further commands come. */
interface Background {
  readonly seen: Seen[];
  count: number;
  stopped: boolean;
  error: unknown;
  done: Promise<void>;
}

interface Held {
  readonly mailbox: Mailbox;
  readonly messages: Map<string, Message<unknown>>;
  background: Background | undefined;
  consumption: Consumption<unknown> | undefined;
  serving: Serving | undefined;
}

/** Makes a report of a message. */
export function seen(message: Message<unknown>): Seen {
  const { data, id, sender, time, headers, key, type, contentType, correlationId } = message;
  const { priority, deliveries, redelivered } = message;
  return {
    data,
    id,
    sender,
    time,
    headers,
    key,
    type,
    contentType,
    correlationId,
    priority,
    deliveries,
    redelivered,
  };
}

/** The commands. Arguments and results can be cloned; `handle` names an open mailbox. */
export class PeerSession {
  readonly #open = new Map<number, Held>();
  #count = 0;

  async open(url: string, options: PeerOptions): Promise<Opened> {
    const mailbox = await open(url, options);
    this.#count += 1;
    this.#open.set(this.#count, {
      mailbox,
      messages: new Map(),
      background: undefined,
      consumption: undefined,
      serving: undefined,
    });
    return {
      handle: this.#count,
      address: mailbox.address,
      identity: mailbox.identity,
      created: mailbox.created,
    };
  }

  async capabilities(handle: number): Promise<Capabilities> {
    return this.#mailbox(handle).capabilities;
  }

  async close(handle: number, options: CloseOptions): Promise<CloseResult> {
    const held = this.#open.get(handle);
    this.#open.delete(handle);
    if (held === undefined) return { undelivered: 0 };
    if (held.background !== undefined) held.background.stopped = true;
    // Answers are sent before their requests are acked: closing in between is no accident of the case.
    if (held.serving !== 'silent') await held.consumption?.stop();
    const result = await held.mailbox.close(options);
    await held.background?.done;
    return result;
  }

  async unlink(handle: number): Promise<void> {
    await this.#mailbox(handle).unlink();
  }

  async end(handle: number): Promise<void> {
    await this.#mailbox(handle).end();
  }

  async connect(handle: number, role: 'producer' | 'consumer'): Promise<void> {
    await this.#mailbox(handle).connect(role);
  }

  async disconnect(handle: number, role: 'producer' | 'consumer'): Promise<void> {
    await this.#mailbox(handle).disconnect(role);
  }

  async ready(
    handle: number,
    options: { producers?: number; consumers?: number; timeoutMs?: number },
  ): Promise<void> {
    await this.#mailbox(handle).ready(options);
  }

  async stats(handle: number): Promise<MailboxStats> {
    return await this.#mailbox(handle).stats();
  }

  async send(handle: number, data: unknown, options: SendOptions): Promise<{ id: string; reached: string }> {
    const { id, reached } = await this.#mailbox(handle).send(data, options);
    return { id, reached };
  }

  async sendMany(handle: number, list: unknown[], options: SendOptions): Promise<SendManyResult> {
    return await this.#mailbox(handle).sendMany(list, options);
  }

  /** Sends `{ from: label, n }` for n = 1 … count, each awaited. */
  async sendNumbered(handle: number, label: string, count: number): Promise<void> {
    const mailbox = this.#mailbox(handle);
    for (let n = 1; n <= count; n += 1) await mailbox.send({ from: label, n });
  }

  /** Sends until there is no room. @returns how many went in */
  async fill(handle: number, data: unknown): Promise<number> {
    const mailbox = this.#mailbox(handle);
    for (let count = 0; ; count += 1) {
      try {
        await mailbox.send(data, { timeoutMs: 0 });
      } catch (error) {
        if (isNaruError(error, 'NARU_TIMEOUT')) return count;
        throw error;
      }
    }
  }

  async trySend(handle: number, data: unknown, options: SendOptions): Promise<boolean> {
    return this.#mailbox(handle).trySend(data, options);
  }

  async sendSync(handle: number, data: unknown, options: SendOptions): Promise<void> {
    this.#mailbox(handle).sendSync(data, options);
  }

  async receive(handle: number, limits: PeerLimits): Promise<Seen> {
    return this.#keep(handle, await this.#mailbox(handle).receive(limits));
  }

  /** Receives `count` messages, one after the other. */
  async receiveCount(handle: number, count: number, limits: PeerLimits): Promise<Seen[]> {
    const all: Seen[] = [];
    while (all.length < count) all.push(await this.receive(handle, limits));
    return all;
  }

  async receiveMany(handle: number, max: number, limits: PeerLimits): Promise<Seen[]> {
    const messages = await this.#mailbox(handle).receiveMany(max, limits);
    return messages.map((message) => this.#keep(handle, message));
  }

  async tryReceive(handle: number): Promise<Seen | undefined> {
    const message = this.#mailbox(handle).tryReceive();
    return message === undefined ? undefined : this.#keep(handle, message);
  }

  async receiveSync(handle: number, limits: PeerLimits): Promise<Seen> {
    return this.#keep(handle, this.#mailbox(handle).receiveSync(limits));
  }

  /** `for await` until the mailbox ends, or leaves the loop early with the `breakAfter`th message in hand. */
  async iterate(handle: number, breakAfter: number | undefined, limits: PeerLimits): Promise<Seen[]> {
    const all: Seen[] = [];
    for await (const message of this.#mailbox(handle).messages(limits)) {
      all.push(seen(message));
      if (all.length === breakAfter) break;
    }
    return all;
  }

  /** Settles a message that was received on this handle. */
  async settle(
    handle: number,
    id: string,
    how: 'ack' | 'nack' | 'reject',
    options: { delayMs?: number; reason?: string },
  ): Promise<void> {
    const message = this.#get(handle).messages.get(id);
    if (message === undefined) throw new Error(`no message ${id} was received here`);
    if (how === 'ack') await message.ack();
    else if (how === 'reject') await message.reject(options.reason);
    else await message.nack(options);
  }

  async request(handle: number, data: unknown, options: SendOptions): Promise<Seen> {
    return seen(await this.#mailbox(handle).request(data, options));
  }

  async serve(handle: number, serving: Serving, concurrency: number): Promise<void> {
    const held = this.#get(handle);
    held.serving = serving;
    held.consumption = held.mailbox.serve(
      (message) => {
        if (serving === 'fail') throw new Error(`cannot serve ${JSON.stringify(message.data)}`);
        return serving === 'silent' ? new Promise(() => undefined) : message.data;
      },
      { concurrency },
    );
  }

  /** Begins to receive in the background until stopped, closed or ended. */
  async collect(handle: number): Promise<void> {
    await this.#background(handle, async (mailbox, background) => {
      for await (const message of mailbox) {
        background.seen.push(seen(message));
        background.count += 1;
      }
    });
  }

  /** Begins to send `{ from: label, n }` in the background until stopped or closed; `count` is what was sent. */
  async flood(handle: number, label: string): Promise<void> {
    await this.#background(handle, async (mailbox, background) => {
      while (!background.stopped) {
        await mailbox.send({ from: label, n: background.count + 1 });
        background.count += 1;
      }
    });
  }

  /** Begins one call in the background; `sendSync` again and again, until it is interrupted. */
  async begin(handle: number, call: Beginning, data: unknown): Promise<void> {
    await this.#background(handle, async (mailbox, background) => {
      if (call === 'send') await mailbox.send(data);
      if (call === 'receive') background.seen.push(seen(await mailbox.receive()));
      // After the answer to this command has left: nothing leaves a thread that is blocked.
      if (call === 'receiveSync' || call === 'sendSync') await new Promise(setImmediate);
      if (call === 'receiveSync') background.seen.push(seen(mailbox.receiveSync()));
      if (call === 'sendSync') {
        for (;;) {
          mailbox.sendSync(data);
          background.count += 1;
        }
      }
      background.count += 1;
    });
  }

  /** What the background did so far. */
  async progress(handle: number): Promise<{ count: number; seen: Seen[]; error: string | undefined }> {
    const { background } = this.#get(handle);
    const { count = 0, seen: all = [], error } = background ?? {};
    const code = (error as { code?: string } | undefined)?.code;
    const text = error instanceof Error ? error.message : JSON.stringify(error);
    return { count, seen: [...all], error: error === undefined ? undefined : (code ?? text) };
  }

  /** Waits until the background has finished by itself. */
  async finish(handle: number): Promise<{ count: number; seen: Seen[]; error: string | undefined }> {
    await this.#get(handle).background?.done;
    return await this.progress(handle);
  }

  /** Makes a signal an event: without a listener SIGINT would end the process. */
  async listen(signal: NodeJS.Signals): Promise<void> {
    process.on(signal, () => undefined);
  }

  async #background(
    handle: number,
    run: (mailbox: Mailbox, background: Background) => Promise<void>,
  ): Promise<void> {
    const held = this.#get(handle);
    const background: Background = {
      seen: [],
      count: 0,
      stopped: false,
      error: undefined,
      done: Promise.resolve(),
    };
    background.done = run(held.mailbox, background).catch((error: unknown) => {
      background.error = error;
    });
    held.background = background;
  }

  #keep(handle: number, message: Message<unknown>): Seen {
    this.#get(handle).messages.set(message.id, message);
    return seen(message);
  }

  #mailbox(handle: number): Mailbox {
    return this.#get(handle).mailbox;
  }

  #get(handle: number): Held {
    const held = this.#open.get(handle);
    if (held === undefined) throw new Error(`handle ${handle} is not open in this peer`);
    return held;
  }
}

/** Names of the commands. */
export type Command = keyof PeerSession;
