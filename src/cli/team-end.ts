// What a process of a team sends into and receives from: a mailbox of any place, or a queue of an AMQP broker, spoken to by the raw
// load client.

import { NaruError } from '../errors/index.ts';
import { open } from '../open.ts';
import { AmqpLoad } from './amqp-load.ts';
import type { ByteMailbox } from './connect.ts';

/** One end, as the processes of a team use it. */
export interface TeamEnd {
  /** Where others find the same. */
  readonly address: string;
  /** It was made here, and it would stay there for ever. */
  readonly made: boolean;
  send(bodies: readonly Uint8Array[]): Promise<void>;
  /** Hands on what comes, until it is closed. */
  receive(take: (bodies: readonly Uint8Array[]) => void): Promise<void>;
  /** Messages that wait; -1: it cannot be known. */
  depth(): Promise<number>;
  close(): Promise<void>;
}

/** @throws what opening raises */
export function openEnd(url: string, role: 'producer' | 'consumer'): Promise<TeamEnd> {
  return url.startsWith('amqp://') ? BrokerEnd.open(url) : MailboxEnd.open(url, role);
}

class MailboxEnd implements TeamEnd {
  readonly #mailbox: ByteMailbox;

  private constructor(mailbox: ByteMailbox) {
    this.#mailbox = mailbox;
  }

  static async open(url: string, role: 'producer' | 'consumer'): Promise<MailboxEnd> {
    return new MailboxEnd((await open(url, { codec: 'bytes', role })) as unknown as ByteMailbox);
  }

  get address(): string {
    return this.#mailbox.address;
  }

  get made(): boolean {
    return this.#mailbox.created && this.#mailbox.capabilities.owner === 'system';
  }

  async send(bodies: readonly Uint8Array[]): Promise<void> {
    await this.#mailbox.sendMany(bodies);
  }

  async receive(take: (bodies: readonly Uint8Array[]) => void): Promise<void> {
    for await (const batch of this.#mailbox.batches()) take(batch.map(({ body }) => body));
  }

  async depth(): Promise<number> {
    return (await this.#mailbox.stats()).place.depth;
  }

  async close(): Promise<void> {
    await this.#mailbox.close({ flushMs: 0 });
  }
}

/** A queue that is not durable, without confirms and acks: the broker alone keeps what was sent. */
class BrokerEnd implements TeamEnd {
  readonly address: string;
  readonly made = false;
  readonly #client: AmqpLoad;
  readonly #queue: string;

  private constructor(client: AmqpLoad, address: string, queue: string) {
    this.#client = client;
    this.address = address;
    this.#queue = queue;
  }

  static async open(address: string): Promise<BrokerEnd> {
    const { port, searchParams } = new URL(address);
    const queue = searchParams.get('queue') ?? 'naru-demo';
    const client = await AmqpLoad.connect(Number(port));
    await client.declare(queue);
    return new BrokerEnd(client, address, queue);
  }

  async send(bodies: readonly Uint8Array[]): Promise<void> {
    await this.#client.publish(this.#queue, bodies.length, (index) => bodies[index] as Uint8Array);
  }

  async receive(take: (bodies: readonly Uint8Array[]) => void): Promise<void> {
    this.#client.onBody = (body) => take([body]);
    await this.#client.consume(this.#queue);
    const error = await this.#client.closed;
    if (error !== undefined) throw new NaruError('NARU_DISCONNECTED', `the broker is gone: ${error.message}`);
  }

  depth(): Promise<number> {
    return this.#client.declare(this.#queue);
  }

  close(): Promise<void> {
    this.#client.close();
    return Promise.resolve();
  }
}
