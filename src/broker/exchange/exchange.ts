// One exchange: its bindings and what they match. Routing over several exchanges is router.ts's.

import type { FieldTable } from '../../wire/amqp091/index.ts';
import type { Queue } from '../queue/queue.ts';
import { Refusal, preconditionFailed, resource, wrongNameType } from '../refusal.ts';
import { bindingId, makeBinding, type Binding, type Destination } from './binding.ts';
import { DirectMatcher, FanoutMatcher } from './direct.ts';
import { HeadersMatcher } from './headers.ts';
import type { Matcher } from './matcher.ts';
import { TopicMatcher } from './topic.ts';

/** A queue as a binding's end. */
export interface QueueTarget extends Destination {
  readonly kind: 'queue';
  readonly queue: Queue;
}

/** An exchange as a binding's end. */
export interface ExchangeTarget extends Destination {
  readonly kind: 'exchange';
  readonly exchange: Exchange;
}

export type Target = QueueTarget | ExchangeTarget;

/** What a binding ends at: a queue or an exchange. */
export function targetOf(end: Queue | Exchange): Target {
  return end instanceof Exchange
    ? { kind: 'exchange', name: end.name, exchange: end }
    : { kind: 'queue', name: end.name, queue: end };
}

export interface ExchangeInit {
  readonly name: string;
  readonly vhost: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly args: FieldTable;
  /** The stream of the messages that wait in it, where storage knew it before. */
  readonly stream?: number;
}

const MATCHERS: Readonly<Record<string, () => Matcher<Target>>> = {
  direct: () => new DirectMatcher(),
  fanout: () => new FanoutMatcher(),
  topic: () => new TopicMatcher(),
  headers: () => new HeadersMatcher(),
};
const DELAYED = 'x-delayed-message';

/** The types an exchange can have. */
export const EXCHANGE_TYPES: readonly string[] = [...Object.keys(MATCHERS), DELAYED];

export class Exchange {
  readonly name: string;
  readonly vhost: string;
  readonly type: string;
  readonly durable: boolean;
  readonly autoDelete: boolean;
  readonly internal: boolean;
  readonly args: FieldTable;
  /** The policy that counts for it, and the alternate exchange that it sets. */
  policyName: string | undefined;
  policyAlternate: string | undefined;
  /** Messages wait in it for their `x-delay` first. */
  readonly delays: boolean;
  /** Whether a message's headers decide where it goes. */
  readonly readsHeaders: boolean;
  /** Which routing visited it last. The router's own mark. */
  mark = 0;
  /** Storage's number for the messages that wait in it; 0: none is stored. */
  stream = 0;
  /** Messages that wait in it and are only in memory. */
  waitingInMemory = 0;
  readonly #ownAlternate: string | undefined;
  readonly #matcher: Matcher<Target>;
  readonly #bindings = new Map<string, Binding<Target>>();

  /** @throws Refusal 406  the type is unknown, or an argument is wrong */
  constructor(init: ExchangeInit) {
    this.name = init.name;
    this.vhost = init.vhost;
    this.type = init.type;
    this.durable = init.durable;
    this.autoDelete = init.autoDelete;
    this.internal = init.internal;
    this.args = init.args;
    this.delays = init.type === DELAYED;
    const kind = this.delays ? delayedType(init) : init.type;
    const make = Object.hasOwn(MATCHERS, kind) ? MATCHERS[kind] : undefined;
    if (make === undefined) throw new Refusal(406, `unknown exchange type '${kind}'`);
    this.#matcher = make();
    this.readsHeaders = kind === 'headers';
    this.#ownAlternate = alternateOf(init);
  }

  /** Where messages go that match nothing; a name, which need not exist. Its argument counts before a policy. */
  get alternate(): string | undefined {
    return this.#ownAlternate ?? this.policyAlternate;
  }

  get bindings(): ReadonlyMap<string, Binding<Target>> {
    return this.#bindings;
  }

  /** @throws Refusal 406  the arguments of a binding to be make no sense here */
  checkBinding(args: FieldTable): void {
    this.#matcher.check?.(args);
  }

  /** @returns false when the binding was there already */
  bind(end: Queue | Exchange, key: string, args: FieldTable): boolean {
    const binding = makeBinding(targetOf(end), key, args);
    if (this.#bindings.has(binding.id)) return false;
    this.#matcher.add(binding);
    this.#bindings.set(binding.id, binding);
    return true;
  }

  isBound(end: Destination, key: string, args: FieldTable): boolean {
    return this.#bindings.has(bindingId(end, key, args));
  }

  /** @returns false when there was no such binding */
  unbind(end: Destination, key: string, args: FieldTable): boolean {
    return this.#remove(this.#bindings.get(bindingId(end, key, args)));
  }

  /** Removes every binding to a queue or exchange that is gone. @returns how many */
  forget(end: Queue | Exchange): number {
    let count = 0;
    for (const binding of this.#bindings.values()) {
      const { destination } = binding;
      const target = destination.kind === 'queue' ? destination.queue : destination.exchange;
      if (target === end && this.#remove(binding)) count += 1;
    }
    return count;
  }

  match(key: string, headers: () => FieldTable, found: (target: Target) => void): void {
    this.#matcher.match(key, headers, found);
  }

  #remove(binding: Binding<Target> | undefined): boolean {
    if (binding === undefined) return false;
    this.#matcher.remove(binding);
    return this.#bindings.delete(binding.id);
  }
}

function delayedType({ args, name, vhost }: ExchangeInit): string {
  const field = args['x-delayed-type'];
  if (field?.type !== 'S' || typeof field.value !== 'string' || field.value === DELAYED) {
    throw preconditionFailed(
      `Invalid argument, 'x-delayed-type' must be an existing exchange type, for ${resource('exchange', name, vhost)}`,
    );
  }
  return field.value;
}

function alternateOf({ args, name, vhost }: ExchangeInit): string | undefined {
  const field = args['alternate-exchange'];
  if (field === undefined) return undefined;
  if (field.type === 'S' && typeof field.value === 'string') return field.value;
  throw preconditionFailed(wrongNameType('alternate-exchange', field, resource('exchange', name, vhost)));
}
