// One virtual host: its exchanges, queues and bindings, how they come and go, and how a message gets from an exchange into
// queues. Who may do what, and what is answered, is decided above.

import { emptyTable, type FieldTable } from '../wire/amqp091/index.ts';
import { Delays } from './delays.ts';
import { Exchange, targetOf, type ExchangeInit } from './exchange/exchange.ts';
import { Router, type Names } from './exchange/router.ts';
import { checkNameLength, type Limits } from './limits.ts';
import { alternateOf, Policies, underPolicy, type Policy } from './policies.ts';
import { Queue, type QueueHost, type QueueInit } from './queue/queue.ts';
import { preconditionFailed } from './refusal.ts';
import { packTable, type Change } from './storage/change.ts';

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
export interface VhostHost extends Pick<QueueHost, 'clock' | 'messages' | 'keep' | 'dirty' | 'died'> {
  readonly limits: Limits;
  /** Something durable changed. @param level  `disk`: it must be there before that is answered */
  note(change: Change, level?: 'disk'): void;
  /** A stream for something that keeps messages; 0 when nothing is stored. */
  takeStream(): number;
}

export class Vhost implements Names {
  readonly name: string;
  readonly exchanges: Map<string, Exchange> = new Map<string, Exchange>();
  readonly queues: Map<string, Queue> = new Map<string, Queue>();
  readonly delays: Delays;
  readonly policies: Policies = new Policies();
  /** Raised by every change of exchanges, queues and bindings: what was found before may be wrong. */
  epoch = 1;
  #bindings = 0;
  readonly #router: Router;
  readonly #queueHost: QueueHost;
  readonly #host: VhostHost;
  /** The exchanges that have bindings to a queue or exchange. */
  readonly #sources = new Map<Queue | Exchange, Set<Exchange>>();

  constructor(name: string, host: VhostHost) {
    this.name = name;
    this.delays = new Delays(host.clock);
    this.#router = new Router(this);
    this.#host = host;
    this.#queueHost = {
      clock: host.clock,
      messages: host.messages,
      keep: host.keep,
      dirty: (queue) => host.dirty(queue),
      died: (queue, slot, reason, wasIn) => host.died(queue, slot, reason, wasIn),
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
    this.#checkRoom('exchanges', this.exchanges.size, this.#host.limits.exchangesPerVhostMax);
    const exchange = new Exchange(init);
    if (exchange.delays && exchange.durable) exchange.stream = init.stream ?? this.#host.takeStream();
    this.exchanges.set(init.name, exchange);
    this.#govern(exchange);
    this.epoch += 1;
    if (exchange.durable) this.#host.note(exchangeChange(exchange));
    return exchange;
  }

  /** @throws Refusal 406  there are too many */
  addQueue(init: QueueInit): Queue {
    checkNameLength('name of the queue', init.name);
    this.#checkRoom('queues', this.queues.size, this.#host.limits.queuesPerVhostMax);
    const queue = new Queue(init, this.#queueHost);
    const isKept = queue.durable && queue.owner === undefined;
    queue.stream = init.stream ?? (isKept ? this.#host.takeStream() : 0);
    this.queues.set(init.name, queue);
    this.#govern(queue);
    init.owner?.owned.add(queue);
    this.epoch += 1;
    if (isDurable(queue)) this.#host.note(queueChange(queue), levelOf(queue));
    return queue;
  }

  /** @returns how many messages waited in it */
  deleteQueue(queue: Queue): number {
    if (this.queues.get(queue.name) === queue) this.queues.delete(queue.name);
    queue.owner?.owned.delete(queue);
    this.epoch += 1;
    // First the queue, then what is in it: a crash in between leaves messages of no queue.
    if (isDurable(queue)) {
      this.#host.note({ do: 'delete-queue', vhost: this.name, name: queue.name }, levelOf(queue));
    }
    const count = queue.delete();
    this.#forget(queue);
    return count;
  }

  deleteExchange(exchange: Exchange): void {
    this.exchanges.delete(exchange.name);
    this.epoch += 1;
    if (exchange.durable) this.#host.note({ do: 'delete-exchange', vhost: this.name, name: exchange.name });
    for (const { destination } of exchange.bindings.values()) {
      const end = destination.kind === 'queue' ? destination.queue : destination.exchange;
      this.#bindings -= exchange.forget(end);
      this.#sources.get(end)?.delete(exchange);
    }
    this.#forget(exchange);
  }

  /** @throws Refusal 406  the arguments are wrong, or there are too many bindings */
  bind(source: Exchange, end: Queue | Exchange, key: string, args: FieldTable): void {
    this.#checkRoom('bindings', this.#bindings, this.#host.limits.bindingsPerVhostMax);
    if (!source.bind(end, key, args)) return;
    this.#bindings += 1;
    this.epoch += 1;
    const sources = this.#sources.get(end);
    if (sources === undefined) this.#sources.set(end, new Set([source]));
    else sources.add(source);
    if (isDurable(source) && isDurable(end)) {
      this.#host.note({ do: 'bind', vhost: this.name, ...boundTo(source, end, key, args) }, levelOf(end));
    }
  }

  isBound(source: Exchange, end: Queue | Exchange, key: string, args: FieldTable): boolean {
    return source.isBound(targetOf(end), key, args);
  }

  /** What is not bound stays so. An auto-delete exchange goes with its last binding. */
  unbind(source: Exchange, end: Queue | Exchange, key: string, args: FieldTable): void {
    if (!source.unbind(targetOf(end), key, args)) return;
    this.#bindings -= 1;
    this.epoch += 1;
    if (isDurable(source) && isDurable(end)) {
      this.#host.note({ do: 'unbind', vhost: this.name, ...boundTo(source, end, key, args) }, levelOf(end));
    }
    this.#deleteIfUnused(source);
  }

  /** Sets a policy; every queue and exchange that it matches follows at once. @throws NARU_INVALID_ARGUMENT, NARU_LIMIT */
  putPolicy(policy: Policy): void {
    this.policies.put(policy, this.#host.limits.policiesPerVhostMax);
    this.#host.note({ do: 'policy', vhost: this.name, policy });
    this.#governAll();
  }

  /** @returns false when there was none of this name */
  deletePolicy(name: string): boolean {
    if (!this.policies.delete(name)) return false;
    this.#host.note({ do: 'delete-policy', vhost: this.name, name });
    this.#governAll();
    return true;
  }

  #governAll(): void {
    for (const exchange of this.exchanges.values()) this.#govern(exchange);
    for (const queue of this.queues.values()) this.#govern(queue);
    this.epoch += 1;
  }

  /** Finds the policy of a queue or exchange, and lets it follow. */
  #govern(end: Queue | Exchange): void {
    const kind = end instanceof Queue ? end.policy.type : 'exchange';
    const policy = this.policies.match({ name: end.name, kind });
    if (policy === undefined && end.policyName === undefined) return;
    if (end instanceof Queue) {
      end.usePolicy(underPolicy(end.args, policy, end.name, this.name), policy?.name);
      return;
    }
    end.policyName = policy?.name;
    end.policyAlternate = alternateOf(policy);
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

  /**
   * The changes that make everything here that outlives a restart.
   * @param withTransient  whether transient exchanges and queues are to outlive it too
   */
  changes(withTransient: boolean): Change[] {
    const stays = (end: Queue | Exchange): boolean =>
      isDurable(end) || (withTransient && !('owner' in end && end.owner !== undefined));
    const exchanges = Array.from(this.exchanges.values()).filter(stays);
    const made = exchanges.filter(({ name }) => !STANDARD.some(([standard]) => standard === name));
    const queues = Array.from(this.queues.values()).filter(stays);
    const bindings = exchanges.flatMap((source) =>
      Array.from(source.bindings.values()).flatMap(({ destination, key, args }): Change[] => {
        const end = destination.kind === 'queue' ? destination.queue : destination.exchange;
        return stays(end) ? [{ do: 'bind', vhost: this.name, ...boundTo(source, end, key, args) }] : [];
      }),
    );
    const policies = this.policies.all.map((policy): Change => ({ do: 'policy', vhost: this.name, policy }));
    return [...policies, ...made.map(exchangeChange), ...queues.map(queueChange), ...bindings];
  }

  #checkRoom(what: string, count: number, max: number): void {
    if (count < max) return;
    throw preconditionFailed(
      `cannot have more ${what} in vhost '${this.name}': the limit of ${max} is reached`,
    );
  }
}

/** Whether something outlives a restart: exclusive queues never do. */
export function isDurable(end: Queue | Exchange): boolean {
  return end.durable && !('owner' in end && end.owner !== undefined);
}

/** What makes a quorum queue, or leads to it, is as safe as its messages. */
function levelOf(end: Queue | Exchange): 'disk' | undefined {
  return 'isQuorum' in end && end.isQuorum ? 'disk' : undefined;
}

function exchangeChange(exchange: Exchange): Change {
  const { vhost, name, type, durable, autoDelete, internal, stream, args } = exchange;
  return {
    do: 'exchange',
    vhost,
    name,
    type,
    durable,
    autoDelete,
    internal,
    stream,
    args: packTable(args),
  };
}

function queueChange({ vhost, name, durable, autoDelete, stream, args }: Queue): Change {
  return { do: 'queue', vhost, name, durable, autoDelete, stream, args: packTable(args) };
}

function boundTo(
  source: Exchange,
  end: Queue | Exchange,
  key: string,
  args: FieldTable,
): {
  readonly source: string;
  readonly kind: 'queue' | 'exchange';
  readonly destination: string;
  readonly key: string;
  readonly args: string;
} {
  const { kind, name: destination } = targetOf(end);
  return { source: source.name, kind, destination, key, args: packTable(args) };
}
