// A queue against a model of it: random histories of publishes, gets, acks, nacks, rejects, purges, lost connections and, on a simulated
// disk, restarts after a clean stop and after a kill. Seeds replay: NARU_MODEL_SEED, NARU_MODEL_RUNS.

import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { settled } from '../log/clock.fixture.ts';
import { SimDisk } from '../log/sim-disk.fixture.ts';
import type { Got } from './got.fixture.ts';
import { Lab, type Peer } from './peer.fixture.ts';
import { StoredLab } from './stored-lab.fixture.ts';

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
  | { readonly do: 'restart'; readonly isClean: boolean }
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
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('restart' as const), isClean: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'purge' as const }) },
);

/** Where the broker is: in memory, or on a disk that it can be started on again. */
class Ground {
  #disk: SimDisk | undefined;
  #stored: StoredLab | undefined;
  #memory: Lab | undefined;

  async begin(isOnDisk: boolean): Promise<void> {
    if (!isOnDisk) this.#memory = new Lab();
    else {
      this.#disk = new SimDisk();
      this.#stored = await StoredLab.start(this.#disk);
    }
  }

  get isOnDisk(): boolean {
    return this.#disk !== undefined;
  }

  get lab(): Lab {
    return this.#stored?.lab ?? (this.#memory as Lab);
  }

  /** On a disk answers may have to wait for it. */
  async call(peer: Peer, name: string, args: Readonly<Record<string, unknown>>): Promise<Got[]> {
    return this.#stored === undefined ? peer.call(name, args) : this.#stored.call(peer, name, args);
  }

  async restart(peers: readonly Peer[], isClean: boolean): Promise<void> {
    const stored = this.#stored as StoredLab;
    const disk = this.#disk as SimDisk;
    if (isClean) await stored.stop(peers);
    else {
      // What is written lazily is written: else what was acked may come again, and the model does not know which.
      await stored.pass();
      await stored.pass();
      this.#disk = disk.kill();
    }
    this.#stored = await StoredLab.start(this.#disk as SimDisk);
  }

  async end(peers: readonly Peer[]): Promise<void> {
    await this.#stored?.stop(peers);
  }
}

/** The queue as it must be, beside the one that is. */
class Twin {
  readonly #ground = new Ground();
  readonly #hasPriorities: boolean;
  #peers: Peer[] = [];
  readonly #tags = [0, 0];
  readonly #held: Held[][] = [[], []];
  #ready: Message[] = [];
  #position = 0;

  constructor(hasPriorities: boolean) {
    this.#hasPriorities = hasPriorities;
  }

  async begin(isOnDisk: boolean): Promise<void> {
    await this.#ground.begin(isOnDisk);
    this.#connect();
    const args = this.#hasPriorities ? { 'x-max-priority': 2 } : {};
    await this.#ground.call(this.#peer(0), 'queue.declare', { queue: 'q', durable: true, args });
  }

  async end(): Promise<void> {
    await this.#ground.end(this.#peers);
  }

  async run(step: Command): Promise<void> {
    if (step.do === 'publish') this.#publish(step.priority);
    else if (step.do === 'get') await this.#get(step.client);
    else if (step.do === 'settle') this.#settle(step);
    else if (step.do === 'lose') this.#lose(step.client);
    else if (step.do === 'restart') await this.#restart(step.isClean);
    else await this.#purge();
    const queue = this.#lab.core.vhosts.get('/')?.queue('q');
    const held = this.#held.flat().length;
    expect([queue?.ready, queue?.unacked]).toEqual([this.#ready.length, held]);
    expect(this.#lab.core.messages.count).toBe(this.#ready.length + held);
    expect(this.#lab.failures).toEqual([]);
  }

  get #lab(): Lab {
    return this.#ground.lab;
  }

  #connect(): void {
    this.#peers = [this.#lab.connect(), this.#lab.connect()];
    this.#tags[0] = 0;
    this.#tags[1] = 0;
  }

  async #restart(isClean: boolean): Promise<void> {
    if (!this.#ground.isOnDisk) return;
    await settled();
    const held = this.#held.flat();
    this.#held[0] = [];
    this.#held[1] = [];
    await this.#ground.restart(this.#peers, isClean);
    this.#return(held);
    // After a kill nobody knows what was delivered.
    if (!isClean) for (const message of this.#ready) message.returned = true;
    this.#connect();
  }

  #publish(priority: number): void {
    this.#position += 1;
    this.#peer(0).publish({ routingKey: 'q' }, String(this.#position), {
      priority,
      deliveryMode: 2,
    });
    const level = this.#hasPriorities ? Math.min(priority, 2) : 0;
    this.#back([{ position: this.#position, priority: level, returned: false }]);
  }

  async #get(who: number): Promise<void> {
    const [got] = await this.#ground.call(this.#peer(who), 'basic.get', { queue: 'q' });
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

  async #purge(): Promise<void> {
    await this.#ground.call(this.#peer(0), 'queue.purge', { queue: 'q' });
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

const PLACES = [
  { place: 'in memory', isOnDisk: false, runs: 300 },
  { place: 'on a disk, with restarts', isOnDisk: true, runs: 100 },
] as const;

test.each(PLACES.flatMap((place) => [false, true].map((hasPriorities) => ({ ...place, hasPriorities }))))(
  'every history of a queue $place (priorities: $hasPriorities) is one that its model allows',
  async ({ isOnDisk, runs, hasPriorities }) => {
    const seed = process.env['NARU_MODEL_SEED'];
    const history = fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 60 }), async (steps) => {
      const twin = new Twin(hasPriorities);
      await twin.begin(isOnDisk);
      for (const step of steps) await twin.run(step);
      await twin.end();
    });
    await fc.assert(history, {
      numRuns: Number(process.env['NARU_MODEL_RUNS'] ?? runs),
      ...(seed === undefined ? {} : { seed: Number(seed) }),
    });
  },
  120_000,
);
