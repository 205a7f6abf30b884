// One virtual host: its exchanges, queues and bindings, how they come and go, and how a message gets from an exchange into
// queues. Who may do what, and what is answered, is decided above.

import { emptyTable, type FieldTable } from '../wire/amqp091/index.ts';
import { Delays } from './delays.ts';
import { Exchange, targetOf, type ExchangeInit } from './exchange/exchange.ts';
import { Router, type Names } from './exchange/router.ts';
import { checkNameLength, type Limits } from './limits.ts';
import { Queue, type QueueHost, type QueueInit } from './queue/queue.ts';
import { preconditionFailed } from './refusal.ts';

/** Exchanges that every virtual host has; RabbitMQ's names. */
const STANDARD: readonly (readonly [string, string, boolean])[] = [
  ['', 'direct', false],
  ['amq.direct', 'direct', false],
  ['amq.fanout', 'fanout', false],
  ['amq.topic', 'topic', false],
  ['amq.headers', 'headers', false],
  ['amq.match', 'headers', false],
  ['amq.rabbitmq.trace', 'topic', true],
];

/** What a virtual host needs from the broker. */
export interface VhostHost extends Pick<QueueHost, 'clock' | 'messages' | 'dirty' | 'died'> {
  readonly limits: Limits;
}

export class Vhost implements Names {
  readonly name: string;
  readonly exchanges: Map<string, Exchange> = new Map<string, Exchange>();
  readonly queues: Map<string, Queue> = new Map<string, Queue>();
  readonly delays: Delays;
  /** Raised by every change of exchanges, queues and bindings: what was found before may be wrong. */
  epoch = 1;
  #bindings = 0;
  readonly #router: Router;
  readonly #queueHost: QueueHost;
  readonly #limits: Limits;
  /** The exchanges that have bindings to a queue or exchange. */
  readonly #sources = new Map<Queue | Exchange, Set<Exchange>>();

  constructor(name: string, host: VhostHost) {
    this.name = name;
    this.delays = new Delays(host.clock);
    this.#router = new Router(this);
    this.#limits = host.limits;
    this.#queueHost = {
      clock: host.clock,
      messages: host.messages,
      dirty: (queue) => host.dirty(queue),
      died: (queue, slot, reason) => host.died(queue, slot, reason),
      unwanted: (queue) => this.deleteQueue(queue),
    };
    for (const [exchange, type, internal] of STANDARD) {
      const init = { name: exchange, vhost: name, type, durable: true, autoDelete: false, internal };
      this.exchanges.set(exchange, new Exchange({ ...init, args: emptyTable() }));
    }
  }

  get bindings(): number {
    return this.#bindings;
  }

  queue(name: string): Queue | undefined {
    return this.queues.get(name);
  }

  exchange(name: string): Exchange | undefined {
    return this.exchanges.get(name);
  }

  /** Adds the queues a message reaches to `out`. */
  route(exchange: Exchange, keys: readonly string[], headers: () => FieldTable, out: Queue[]): void {
    this.#router.route(exchange, keys, headers, out);
  }

  /** @throws Refusal 406  its type or arguments are wrong, or there are too many */
  addExchange(init: ExchangeInit): Exchange {
    checkNameLength('name of the exchange', init.name);
    this.#checkRoom('exchanges', this.exchanges.size, this.#limits.exchangesPerVhostMax);
    const exchange = new Exchange(init);
    this.exchanges.set(init.name, exchange);
    this.epoch += 1;
    return exchange;
  }

  /** @throws Refusal 406  there are too many */
  addQueue(init: QueueInit): Queue {
    checkNameLength('name of the queue', init.name);
    this.#checkRoom('queues', this.queues.size, this.#limits.queuesPerVhostMax);
    const queue = new Queue(init, this.#queueHost);
    this.queues.set(init.name, queue);
    init.owner?.owned.add(queue);
    this.epoch += 1;
    return queue;
  }

  /** @returns how many messages waited in it */
  deleteQueue(queue: Queue): number {
    if (this.queues.get(queue.name) === queue) this.queues.delete(queue.name);
    queue.owner?.owned.delete(queue);
    this.epoch += 1;
    const count = queue.delete();
    this.#forget(queue);
    return count;
  }

  deleteExchange(exchange: Exchange): void {
    this.exchanges.delete(exchange.name);
    this.epoch += 1;
    for (const { destination } of exchange.bindings.values()) {
      const end = destination.kind === 'queue' ? destination.queue : destination.exchange;
      this.#bindings -= exchange.forget(end);
      this.#sources.get(end)?.delete(exchange);
    }
    this.#forget(exchange);
  }

  /** @throws Refusal 406  the arguments are wrong, or there are too many bindings */
  bind(source: Exchange, end: Queue | Exchange, key: string, args: FieldTable): void {
    this.#checkRoom('bindings', this.#bindings, this.#limits.bindingsPerVhostMax);
    if (!source.bind(end, key, args)) return;
    this.#bindings += 1;
    this.epoch += 1;
    const sources = this.#sources.get(end);
    if (sources === undefined) this.#sources.set(end, new Set([source]));
    else sources.add(source);
  }

  /** What is not bound stays so. An auto-delete exchange goes with its last binding. */
  unbind(source: Exchange, end: Queue | Exchange, key: string, args: FieldTable): void {
    if (!source.unbind(targetOf(end), key, args)) return;
    this.#bindings -= 1;
    this.epoch += 1;
    this.#deleteIfUnused(source);
  }

  /** Queues, exchanges and what waits in them: all gone. */
  clear(): void {
    this.delays.stop();
    for (const queue of this.queues.values()) this.deleteQueue(queue);
  }

  #forget(end: Queue | Exchange): void {
    const sources = this.#sources.get(end);
    this.#sources.delete(end);
    for (const source of sources ?? []) {
      const gone = source.forget(end);
      this.#bindings -= gone;
      if (gone > 0) this.#deleteIfUnused(source);
    }
  }

  #deleteIfUnused(exchange: Exchange): void {
    if (exchange.autoDelete && exchange.bindings.size === 0) this.deleteExchange(exchange);
  }

  #checkRoom(what: string, count: number, max: number): void {
    if (count < max) return;
    throw preconditionFailed(
      `cannot have more ${what} in vhost '${this.name}': the limit of ${max} is reached`,
    );
  }
}
