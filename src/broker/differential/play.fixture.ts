// Plays a script against a broker, one step after the other, and writes down what came and what the queues hold after each.

import { encodeFrame, encodePublication, type Plain } from '../got.fixture.ts';
import { fromPlain } from '../plain-table.ts';
import { inOrder, lineOf, MadeUpNames } from './render.fixture.ts';
import { Side, type Outstanding } from './side.fixture.ts';
import type { Script, Step } from './step.fixture.ts';

/** What came at each step: a list of lines a step. */
export type Transcript = readonly (readonly string[])[];

/** Channels from here on are the player's own: one looks at one queue each. */
const PROBES = 1000;
/** A message may go through this many queues before it rests. */
const ROUNDS = 3;
/** The short names of scripts. */
const SHORT = /\b([qe]\d)\b/g;

let plays = 0;

/** Plays a script. The broker is left as it was found. */
export async function play(url: string, script: Script): Promise<Transcript> {
  plays += 1;
  const player = new Player(url, `d${process.pid}-${plays}-`);
  try {
    const transcript: string[][] = [];
    for (const step of script) {
      try {
        transcript.push(await player.step(step));
      } catch (error) {
        transcript.push([`failed: ${(error as Error).message}`]);
        break;
      }
    }
    return transcript;
  } finally {
    await player.end();
  }
}

class Player {
  readonly #url: string;
  readonly #prefix: string;
  readonly #sides: readonly [Side, Side];
  readonly #names = new MadeUpNames();
  /** Queues that may be there, by real name. */
  readonly #queues = new Set<string>();
  #step = 0;

  constructor(url: string, prefix: string) {
    this.#url = url;
    this.#prefix = prefix;
    this.#sides = [new Side(url), new Side(url)];
  }

  async step(step: Step): Promise<string[]> {
    this.#step += 1;
    const on = step.on ?? 0;
    const number = step.channel ?? 1;
    const side = this.#sides[on] as Side;
    const client = await side.client();
    if (step.do === 'close connection') await side.close();
    else if (step.do === 'frames') {
      await side.channel(number);
      const frames = step.frames.map(({ type, payload, mark }) =>
        encodeFrame(type, number, Buffer.from(payload, 'hex'), mark),
      );
      client.send(Buffer.concat(frames));
    } else await this.#act(side, number, step);
    await this.#settle(side, number);
    return [...this.#lines(), ...(await this.#counts())];
  }

  /** Everything that the script made goes. */
  async end(): Promise<void> {
    const sweeper = new Side(this.#url);
    try {
      for (const side of this.#sides) await side.close();
      const client = await sweeper.client();
      await sweeper.channel(1);
      const short = [0, 1, 2, 3].map((digit) => `${this.#prefix}q${digit}`);
      for (const queue of new Set([...short, ...this.#queues])) client.method('queue.delete', { queue }, 1);
      for (const digit of [0, 1, 2])
        client.method('exchange.delete', { exchange: `${this.#prefix}e${digit}` }, 1);
      await sweeper.barrier(1);
      await sweeper.close();
    } finally {
      for (const side of [...this.#sides, sweeper]) side.destroy();
    }
  }

  async #act(
    side: Side,
    number: number,
    step: Exclude<Step, { do: 'frames' | 'close connection' }>,
  ): Promise<void> {
    const client = await side.client();
    const channel = await side.channel(number);
    switch (step.do) {
      case 'publish': {
        if (channel.published !== undefined) channel.published += 1;
        const { headers, properties } = step;
        const more = headers === undefined ? {} : { headers: fromPlain(this.#real(headers)) };
        const body = step.body ?? `m${this.#step}`;
        client.send(encodePublication(this.#real(step.args), body, { ...properties, ...more }, number));
        break;
      }
      case 'settle': {
        const { multiple = false, requeue = true } = step;
        const { tag, settled } = choose(channel.outstanding, step.which, multiple, channel.lastTag);
        channel.outstanding = channel.outstanding.filter((one) => !settled.includes(one));
        client.method(step.method, { deliveryTag: tag, multiple, requeue }, number);
        break;
      }
      case 'call': {
        const args = this.#real(step.args ?? {});
        this.#note(step.method, args);
        if (step.method === 'basic.get') channel.getsWithoutAck = args['noAck'] === true;
        if (step.method === 'basic.consume')
          channel.consumes(String(args['consumerTag']), args['noAck'] === true);
        // What it had comes again, with tags of its own.
        if (step.method.startsWith('basic.recover')) channel.outstanding = [];
        const isCommitted = (): boolean =>
          client.got.some((got) => got.channel === number && got.name === 'tx.commit-ok');
        client.method(step.method, args, number);
        // It comes when what is durable is on the disk, and holds up nothing that a barrier would wait for.
        if (step.method === 'tx.commit')
          await client.until(() => !channel.isOpen || isCommitted(), 'tx.commit-ok');
        if (step.method === 'channel.close') await client.until(() => !channel.isOpen, 'channel.close-ok');
        break;
      }
    }
  }

  /** Waits until the step has had all its effects: on its channel, in the queues, on all channels. */
  async #settle(side: Side, number: number): Promise<void> {
    await side.barrier(number);
    await side.confirmed(number);
    for (let round = 0; round < ROUNDS; round += 1) {
      await this.#counts();
      await Promise.all(this.#sides.flatMap((one) => [one.barrier(1), one.barrier(2)]));
    }
  }

  /** What came at both sides. */
  #lines(): string[] {
    const lines: string[] = [];
    this.#sides.forEach((side, on) => {
      const byChannel = side.take();
      for (const number of [0, 1, 2]) {
        const got = inOrder(byChannel.get(number) ?? []);
        for (const one of got) {
          if (one.name === 'queue.declare-ok') this.#queues.add(String(one.args['queue']));
          lines.push(`${on}.${number} ${this.#plain(lineOf(one))}`);
        }
        const state = side.channels.get(number);
        if (state === undefined) continue;
        lines.push(...state.faults.splice(0).map((fault) => `${on}.${number} ${fault}`));
        if (state.confirmed.size > 0)
          lines.push(`${on}.${number} confirmed ${Array.from(state.confirmed.values()).join(' ')}`);
      }
    });
    return lines;
  }

  /** Messages and consumers of each queue. Who may not look at it lets the other try. */
  async #counts(): Promise<string[]> {
    const names = Array.from(this.#queues);
    const first = await Promise.all(names.map((name, index) => this.#look(0, name, PROBES + index)));
    const lines: string[] = [];
    for (const [index, name] of names.entries()) {
      let found = first[index] as string;
      if (found === 'RESOURCE_LOCKED') found = await this.#look(1, name, PROBES + index);
      if (found === 'NOT_FOUND') this.#queues.delete(name);
      else lines.push(`  ${this.#plain(name)} ${found}`);
    }
    return lines.sort();
  }

  async #look(on: 0 | 1, queue: string, number: number): Promise<string> {
    const side = this.#sides[on];
    const client = await side.client();
    const state = await side.channel(number);
    const answer = (): (typeof client.got)[number] | undefined =>
      client.got.find(
        (got) => got.channel === number && ['queue.declare-ok', 'channel.close'].includes(got.name),
      );
    client.method('queue.declare', { queue, passive: true }, number);
    await client.until(() => answer() !== undefined || !state.isOpen, 'the counts of a queue');
    const got = answer();
    client.got = client.got.filter(({ channel }) => channel !== number);
    if (got?.name !== 'queue.declare-ok') return String(got?.args['replyText']).split(' ')[0] ?? '';
    return `${String(got.args['messageCount'])} ready, ${String(got.args['consumerCount'])} consumers`;
  }

  /** Notes a queue that may be there now. */
  #note(method: string, { queue }: Plain): void {
    if (method === 'queue.declare' && typeof queue === 'string' && queue.startsWith(this.#prefix))
      this.#queues.add(queue);
  }

  #real<T extends Plain>(args: T): T {
    const text = JSON.stringify(args);
    return JSON.parse(text.replace(SHORT, `${this.#prefix}$1`)) as T;
  }

  #plain(line: string): string {
    return this.#names.replace(line.replaceAll(this.#prefix, ''));
  }
}

/** Which tag a step settles, and what is settled by it. With several consumers only all of them at once: the tags between race. */
function choose(
  outstanding: readonly Outstanding[],
  which: number,
  multiple: boolean,
  lastTag: number,
): { readonly tag: number; readonly settled: readonly Outstanding[] } {
  const order = [...outstanding].sort((a, b) =>
    a.consumer === b.consumer ? a.tag - b.tag : a.consumer < b.consumer ? -1 : 1,
  );
  const one = order[which];
  if (one === undefined) return { tag: lastTag + 1 + which, settled: [] };
  if (!multiple) return { tag: one.tag, settled: [one] };
  const isMixed = new Set(outstanding.map(({ consumer }) => consumer)).size > 1;
  const tag = isMixed ? Math.max(...outstanding.map((other) => other.tag)) : one.tag;
  return { tag, settled: outstanding.filter((other) => other.tag <= tag) };
}
