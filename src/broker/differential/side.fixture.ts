// One connection of a script with its channels: answers what a client must answer, keeps what is not settled and not confirmed, and
// can wait until the broker has done all it was asked on a channel.

import type { Got } from '../got.fixture.ts';
import { WireClient } from './wire-client.fixture.ts';

/** A delivery that is not settled. */
export interface Outstanding {
  readonly tag: number;
  /** Its consumer; empty: basic.get. */
  readonly consumer: string;
}

/** One channel as its client sees it. */
export class ChannelState {
  isOpen = false;
  /** Publications in confirm mode; undefined: it is not in it. */
  published: number | undefined;
  /** Publications that were confirmed, by number, with the answer. */
  readonly confirmed: Map<number, 'ack' | 'nack'> = new Map();
  outstanding: Outstanding[] = [];
  /** Consumers that need no acks. */
  readonly careless: Set<string> = new Set();
  /** What the next basic.get needs. */
  getsWithoutAck = false;
  lastTag = 0;
  barriers = 0;
  /** Lines about what the broker did wrong with tags. */
  readonly faults: string[] = [];

  /** A consumer is asked for. */
  consumes(tag: string, noAck: boolean): void {
    if (noAck) this.careless.add(tag);
    else this.careless.delete(tag);
  }
}

export class Side {
  readonly channels: Map<number, ChannelState> = new Map();
  #client: WireClient | undefined;
  /** Several may ask for the connection at once. */
  #opening: Promise<WireClient> | undefined;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  get isConnected(): boolean {
    return this.#client !== undefined && !this.#client.hasEnded;
  }

  /** The connection, opened where it is not. */
  async client(): Promise<WireClient> {
    if (this.#client !== undefined && !this.#client.hasEnded) return this.#client;
    this.#opening ??= this.#open();
    return await this.#opening;
  }

  async #open(): Promise<WireClient> {
    this.channels.clear();
    const client = await WireClient.connect(this.#url, (got) => this.#seen(got));
    await client.open();
    this.#client = client;
    this.#opening = undefined;
    return client;
  }

  /** A channel, opened where it is not. */
  async channel(number: number): Promise<ChannelState> {
    const client = await this.client();
    const known = this.channels.get(number);
    if (known?.isOpen === true) return known;
    const state = new ChannelState();
    this.channels.set(number, state);
    client.method('channel.open', {}, number);
    await client.until(() => state.isOpen, 'channel.open-ok');
    client.got = client.got.filter(({ name, channel }) => name !== 'channel.open-ok' || channel !== number);
    return state;
  }

  /** Waits until everything that was sent on a channel was dealt with. */
  async barrier(number: number): Promise<void> {
    const client = this.#client;
    const state = this.channels.get(number);
    if (client === undefined || client.hasEnded || state?.isOpen !== true) return;
    const before = state.barriers;
    client.method('access.request', {}, number);
    await client.until(() => state.barriers > before || !state.isOpen, 'access.request-ok');
  }

  /** Waits until what was published on a channel is confirmed, where it is to be. */
  async confirmed(number: number): Promise<void> {
    const state = this.channels.get(number);
    if (state?.published === undefined) return;
    const done = (): boolean => !state.isOpen || state.confirmed.size >= (state.published ?? 0);
    await this.#client?.until(done, 'confirms');
  }

  /** What came, by channel. */
  take(): Map<number, Got[]> {
    const byChannel = new Map<number, Got[]>();
    for (const got of this.#client?.take() ?? []) {
      const list = byChannel.get(got.channel) ?? [];
      list.push(got);
      byChannel.set(got.channel, list);
    }
    return byChannel;
  }

  async close(): Promise<void> {
    await this.#client?.close();
  }

  destroy(): void {
    this.#client?.destroy();
  }

  #seen(got: Got): void {
    const client = this.#client;
    const state = this.channels.get(got.channel);
    if (got.name === 'connection.close') client?.leave();
    if (client === undefined || state === undefined) return;
    switch (got.name) {
      case 'channel.open-ok':
        state.isOpen = true;
        break;
      case 'channel.close':
        client.method('channel.close-ok', {}, got.channel);
        state.isOpen = false;
        break;
      case 'channel.close-ok':
        state.isOpen = false;
        break;
      case 'confirm.select-ok':
        state.published ??= 0;
        break;
      case 'access.request-ok':
        state.barriers += 1;
        client.got.pop();
        break;
      case 'basic.ack':
      case 'basic.nack':
        confirm(state, got);
        client.got.pop();
        break;
      case 'basic.deliver':
      case 'basic.get-ok':
        deliver(state, got);
        break;
    }
  }
}

function confirm(state: ChannelState, { name, args }: Got): void {
  const tag = args['deliveryTag'] as number;
  const answer = name === 'basic.ack' ? 'ack' : 'nack';
  const first = args['multiple'] === true ? 1 : tag;
  for (let number = first; number <= tag; number += 1)
    if (!state.confirmed.has(number)) state.confirmed.set(number, answer);
}

function deliver(state: ChannelState, { name, args }: Got): void {
  const tag = args['deliveryTag'] as number;
  if (tag !== state.lastTag + 1) state.faults.push(`tag ${tag} after ${state.lastTag}`);
  state.lastTag = tag;
  const consumer = name === 'basic.deliver' ? String(args['consumerTag']) : '';
  const needsNone = name === 'basic.deliver' ? state.careless.has(consumer) : state.getsWithoutAck;
  if (!needsNone) state.outstanding.push({ tag, consumer });
}
