// Messages through a server: sent in groups whose confirms are awaited, consumed and settled in the same process. Naru's place against the
// server's own client with the same settings; every contestant has a server of its own. What differs between servers is a file beside this one.

import { type Engine, startEngine } from '#naru/engines/engine.fixture';
import { BODY_BYTES } from '../../harness/bodies.ts';
import type { Duel, NearEnd } from '../../harness/duel.ts';

/** Messages that are sent before their confirms are awaited. */
export const GROUP = 1000;

/** Both ends of a mailbox, or of a queue. */
export interface Flow {
  /** Sends all of them; comes back when they are confirmed. */
  send(bodies: readonly Uint8Array[]): Promise<void>;
  /** Hears of each message that was consumed and settled. */
  onMessage(listener: (body: Uint8Array) => void): void;
  close(): Promise<void>;
}

/** What a contestant has for itself. */
export interface Served {
  readonly url: string;
  stop(): Promise<void>;
}

export interface Contestant {
  /**
   * `client`: by hand, with the same guarantees. `rival`: a queue that others made on the same server. `held` and `loose`: by hand with other
   * guarantees, told beside.
   */
  readonly who: 'naru' | 'client' | 'rival' | 'held' | 'loose';
  readonly label: string;
  readonly open: (running: Served) => Promise<Flow>;
  /** A package that need not be there. */
  readonly needs?: string;
}

/** One server, or what needs none, and who moves messages through it. */
export interface EngineFlow {
  readonly engine: Engine | Serverless;
  /** The scheme of Naru's place. */
  readonly place: string;
  /** What of it, where it has several kinds: part of the ids, and of the titles. */
  readonly kind?: string;
  /** The settings that both sides have. */
  readonly note: string;
  readonly contestants: readonly Contestant[];
}

/** A file, or whatever else no program has to be started for. */
export interface Serverless {
  readonly name: string;
  readonly serve: () => Promise<Served>;
}

export function flowId({ place, kind }: EngineFlow): string {
  return kind === undefined ? `flow-${place}` : `flow-${place}-${kind}`;
}

export function flowDuelId(flow: EngineFlow, who: Contestant['who']): string {
  return `${flowId(flow)}-${who}`;
}

export function flowDuels(flow: EngineFlow): readonly Duel[] {
  const { engine } = flow;
  return flow.contestants.map(({ who, label, open, needs }) => ({
    id: flowDuelId(flow, who),
    kind: 'throughput',
    label,
    isNaru: who === 'naru',
    far: 'same',
    serialization: 'json',
    async prepare(): Promise<void> {
      if (!('serve' in engine) && engine.program() === undefined)
        throw new Error(`${engine.name} is not installed: npm run test:engines installs it`);
      if (needs !== undefined) await import(needs);
    },
    openNear: () => openNear(engine, open),
    openFar: () => Promise.resolve({ run: () => Promise.resolve(), close: () => Promise.resolve() }),
  }));
}

async function openNear(engine: EngineFlow['engine'], open: Contestant['open']): Promise<NearEnd> {
  const running = 'serve' in engine ? await engine.serve() : await startEngine(engine);
  const flow = await open(running);
  let seen = 0;
  let target = 0;
  let reached = (): void => undefined;
  flow.onMessage((body) => {
    if (body.byteLength !== BODY_BYTES) throw new Error(`a message of ${body.byteLength} bytes`);
    seen += 1;
    if (seen === target) reached();
  });
  return {
    address: '',
    async run(count) {
      const all = new Promise<void>((resolve) => {
        reached = resolve;
      });
      target = seen + count;
      const started = process.hrtime.bigint();
      for (let sent = 0; sent < count; sent += GROUP)
        await flow.send(Array.from({ length: Math.min(GROUP, count - sent) }, newBody));
      await all;
      return { kind: 'throughput', messages: count, nanoseconds: Number(process.hrtime.bigint() - started) };
    },
    async close() {
      await flow.close();
      await running.stop();
    },
  };
}

function newBody(): Uint8Array {
  return Buffer.alloc(BODY_BYTES, 'b');
}
