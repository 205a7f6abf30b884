// Policies of a virtual host: arguments for every queue and exchange whose name matches, set by an operator and changed while they
// are used. RabbitMQ's keys and rules; what they do is the queue's and the exchange's.

import { NaruError } from '../errors/index.ts';
import type { FieldTable } from '../wire/amqp091/index.ts';
import { LIMITS } from './limits.ts';
import { fromPlain, type PlainArguments } from './plain-table.ts';
import { readPolicy, type QueuePolicy } from './queue/arguments.ts';
import { Refusal } from './refusal.ts';

export type ApplyTo = 'all' | 'queues' | 'exchanges' | 'classic_queues' | 'quorum_queues';

export interface Policy {
  readonly name: string;
  /** A regular expression that names are matched with. */
  readonly pattern: string;
  readonly applyTo: ApplyTo;
  /** Of several that match the one with the highest counts, alone. */
  readonly priority: number;
  /** What it sets, by RabbitMQ's keys: `message-ttl` and so on. */
  readonly definition: PlainArguments;
}

/** What a policy is matched with. */
interface Named {
  readonly name: string;
  readonly kind: 'exchange' | 'classic' | 'quorum';
}

const APPLY_TO: Readonly<Record<ApplyTo, readonly Named['kind'][]>> = {
  all: ['exchange', 'classic', 'quorum'],
  queues: ['classic', 'quorum'],
  exchanges: ['exchange'],
  classic_queues: ['classic'],
  quorum_queues: ['quorum'],
};

/** Keys that set an argument of a queue: the same with `x-` in front. */
const QUEUE_KEYS: readonly string[] = [
  'message-ttl',
  'expires',
  'max-length',
  'max-length-bytes',
  'overflow',
  'dead-letter-exchange',
  'dead-letter-routing-key',
  'delivery-limit',
  'consumer-timeout',
];
/** Where a queue has the argument too, the smaller counts; with the other keys the argument does. */
const SMALLER: ReadonlySet<string> = new Set([
  'message-ttl',
  'expires',
  'max-length',
  'max-length-bytes',
  'delivery-limit',
]);
const ALTERNATE = 'alternate-exchange';
/** Of clusters and of how RabbitMQ stores: they change nothing here, and definitions that have them can be imported. */
const WITHOUT_EFFECT =
  /^(ha-(mode|params|sync-mode|sync-batch-size|promote-on-shutdown|promote-on-failure)|queue-(mode|version|master-locator|leader-locator)|max-in-memory-(length|bytes)|dead-letter-strategy|target-group-size|initial-cluster-size)$/;

export class Policies {
  readonly #all = new Map<string, { readonly policy: Policy; readonly pattern: RegExp }>();

  get all(): Policy[] {
    return Array.from(this.#all.values(), ({ policy }) => policy);
  }

  get(name: string): Policy | undefined {
    return this.#all.get(name)?.policy;
  }

  /** @throws NARU_INVALID_ARGUMENT  its pattern or definition is wrong @throws NARU_LIMIT  there are as many as may be */
  put(policy: Policy, max: number): void {
    if (this.#all.size >= max && !this.#all.has(policy.name)) {
      const text = `policy '${policy.name}' cannot be added: the limit of ${max} is reached; delete others or raise policiesPerVhostMax`;
      throw new NaruError('NARU_LIMIT', text);
    }
    checkDefinition(policy);
    this.#all.set(policy.name, { policy, pattern: patternOf(policy) });
  }

  delete(name: string): boolean {
    return this.#all.delete(name);
  }

  /** The one that counts for a queue or exchange. */
  match({ name, kind }: Named): Policy | undefined {
    let best: Policy | undefined;
    for (const { policy, pattern } of this.#all.values()) {
      if (!APPLY_TO[policy.applyTo].includes(kind) || !pattern.test(name)) continue;
      if (best === undefined || policy.priority > best.priority) best = policy;
    }
    return best;
  }
}

/** What a queue with these arguments does under a policy. */
export function underPolicy(
  args: FieldTable,
  policy: Policy | undefined,
  name: string,
  vhost: string,
): QueuePolicy {
  if (policy === undefined) return readPolicy(args, name, vhost);
  const given = fromPlain(policy.definition);
  const merged: Record<string, FieldTable[string]> = { ...args };
  for (const key of QUEUE_KEYS) {
    const [mine, theirs] = [args[`x-${key}`], given[key]];
    if (theirs === undefined) continue;
    const isSmaller = mine !== undefined && SMALLER.has(key) && Number(theirs.value) < Number(mine.value);
    if (mine === undefined || isSmaller) merged[`x-${key}`] = theirs;
  }
  // A key for dead letters alone is nothing wrong here: the exchange may come with another policy.
  if (merged['x-dead-letter-exchange'] === undefined) delete merged['x-dead-letter-routing-key'];
  return readPolicy(merged, name, vhost);
}

/** The alternate exchange that a policy sets. */
export function alternateOf(policy: Policy | undefined): string | undefined {
  const value = policy?.definition[ALTERNATE];
  return typeof value === 'string' ? value : undefined;
}

/** @throws NARU_INVALID_ARGUMENT */
function checkDefinition({ name, applyTo, priority, definition }: Policy): void {
  if (!Object.hasOwn(APPLY_TO, applyTo)) {
    throw wrong(
      name,
      `apply-to is ${JSON.stringify(applyTo)}, but must be one of ${Object.keys(APPLY_TO).join(', ')}`,
    );
  }
  if (!Number.isSafeInteger(priority))
    throw wrong(name, `its priority ${String(priority)} is no whole number`);
  const keys = Object.keys(definition);
  if (keys.length === 0) throw wrong(name, 'its definition is empty');
  const unknown = keys.filter(
    (key) => !QUEUE_KEYS.includes(key) && key !== ALTERNATE && !WITHOUT_EFFECT.test(key),
  );
  if (unknown.length > 0) throw wrong(name, `${unknown.join(', ')} are not recognised policy settings`);
  if (definition[ALTERNATE] !== undefined && typeof definition[ALTERNATE] !== 'string') {
    throw wrong(name, `${ALTERNATE} must be a name`);
  }
  try {
    underPolicy(fromPlain({}), { name, pattern: '', applyTo, priority, definition }, name, '');
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw wrong(name, error.message);
  }
}

/** @throws NARU_INVALID_ARGUMENT */
function patternOf({ name, pattern }: Policy): RegExp {
  const max = LIMITS.patternCharsMax.default;
  if (pattern.length > max)
    throw wrong(name, `its pattern of ${pattern.length} characters is longer than ${max}`);
  try {
    return new RegExp(pattern);
  } catch {
    throw wrong(name, `its pattern ${JSON.stringify(pattern)} is no regular expression`);
  }
}

function wrong(name: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `policy '${name}' is not valid: ${what}`);
}
