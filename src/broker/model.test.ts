// A queue against a model of it: random histories of publishes, gets, acks, nacks, rejects, purges and lost connections. Seeds
// replay: NARU_MODEL_SEED, NARU_MODEL_RUNS.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Lab, type Peer } from './peer.fixture.ts';

interface Message {
  readonly position: number;
  readonly priority: number;
  returned: boolean;
}

interface Held {
  readonly tag: number;
  readonly message: Message;
}

type Command =
  | { readonly do: 'publish'; readonly priority: number }
  | { readonly do: 'get'; readonly client: number }
  | {
      readonly do: 'settle';
      readonly client: number;
      readonly which: number;
      readonly how: How;
      readonly multiple: boolean;
    }
  | { readonly do: 'lose'; readonly client: number }
  | { readonly do: 'purge' };
type How = 'ack' | 'requeue' | 'drop';

const client = fc.nat(1);
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('publish' as const), priority: fc.nat(3) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('get' as const), client }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      client,
      which: fc.nat(10),
      how: fc.constantFrom<How>('ack', 'requeue', 'drop'),
      multiple: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const), client }) },
  { weight: 1, arbitrary: fc.constant({ do: 'purge' as const }) },
);

/** The queue as it must be, beside the one that is. */
class Twin {
  readonly #lab = new Lab();
  readonly #hasPriorities: boolean;
  readonly #peers: Peer[];
  readonly #tags = [0, 0];
  readonly #held: Held[][] = [[], []];
  #ready: Message[] = [];
  #position = 0;

  constructor(hasPriorities: boolean) {
    this.#hasPriorities = hasPriorities;
    this.#peers = [this.#lab.connect(), this.#lab.connect()];
    this.#peers[0]?.queue('q', hasPriorities ? { 'x-max-priority': 2 } : {});
  }

  run(step: Command): void {
    if (step.do === 'publish') this.#publish(step.priority);
    else if (step.do === 'get') this.#get(step.client);
    else if (step.do === 'settle') this.#settle(step);
    else if (step.do === 'lose') this.#lose(step.client);
    else this.#purge();
    const queue = this.#lab.core.vhosts.get('/')?.queue('q');
    const held = this.#held.flat().length;
    expect([queue?.ready, queue?.unacked]).toEqual([this.#ready.length, held]);
    expect(this.#lab.core.messages.count).toBe(this.#ready.length + held);
    expect(this.#lab.failures).toEqual([]);
  }

  #publish(priority: number): void {
    this.#position += 1;
    this.#peer(0).publish({ routingKey: 'q' }, String(this.#position), { priority });
    const level = this.#hasPriorities ? Math.min(priority, 2) : 0;
    this.#back([{ position: this.#position, priority: level, returned: false }]);
  }

  #get(who: number): void {
    const [got] = this.#peer(who).call('basic.get', { queue: 'q' });
    const message = this.#ready.shift();
    if (message === undefined) {
      expect(got?.name).toBe('basic.get-empty');
      return;
    }
    this.#tags[who] = (this.#tags[who] ?? 0) + 1;
    expect([got?.body, got?.args['redelivered'], got?.args['deliveryTag']]).toEqual([
      String(message.position),
      message.returned,
      this.#tags[who],
    ]);
    this.#held[who]?.push({ tag: this.#tags[who], message });
  }

  #settle({ client: who, which, how, multiple }: Extract<Command, { do: 'settle' }>): void {
    const held = this.#held[who] ?? [];
    const chosen = held[which % Math.max(1, held.length)];
    if (chosen === undefined) return;
    const args = { deliveryTag: chosen.tag, multiple, requeue: how === 'requeue' };
    this.#peer(who).send(how === 'ack' ? 'basic.ack' : 'basic.nack', args);
    const gone = held.filter(({ tag }) => tag === chosen.tag || (multiple && tag < chosen.tag));
    this.#held[who] = held.filter((one) => !gone.includes(one));
    if (how === 'requeue') this.#return(gone);
  }

  #lose(who: number): void {
    this.#peer(who).session.disconnected();
    this.#peers[who] = this.#lab.connect();
    this.#tags[who] = 0;
    this.#return(this.#held[who] ?? []);
    this.#held[who] = [];
  }

  #purge(): void {
    this.#peer(0).send('queue.purge', { queue: 'q' });
    this.#ready = [];
  }

  #return(held: readonly Held[]): void {
    for (const { message } of held) message.returned = true;
    this.#back(held.map(({ message }) => message));
  }

  #back(messages: readonly Message[]): void {
    this.#ready = [...this.#ready, ...messages].sort(
      (a, b) => b.priority - a.priority || a.position - b.position,
    );
  }

  #peer(who: number): Peer {
    return this.#peers[who] as Peer;
  }
}

test.each([false, true])(
  'every history of a queue (priorities: %s) is one that its model allows',
  (hasPriorities) => {
    const seed = process.env['NARU_MODEL_SEED'];
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 60 }), (steps) => {
        const twin = new Twin(hasPriorities);
        for (const step of steps) twin.run(step);
      }),
      {
        numRuns: Number(process.env['NARU_MODEL_RUNS'] ?? 300),
        ...(seed === undefined ? {} : { seed: Number(seed) }),
      },
    );
  },
);
