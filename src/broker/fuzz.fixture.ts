// A fuzzer of the AMQP port that is guided by coverage: inputs that reach code nobody reached before are kept and changed further. The
// core runs in memory, with a canary client that must work after every input. `npm run fuzz`; not part of the package.

import { Session as Inspector } from 'node:inspector';
import { METHOD_NAMES, PROTOCOL_HEADER } from '../wire/amqp091/index.ts';
import { Lab, Peer } from './peer.fixture.ts';

export interface FuzzOptions {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  readonly progress?: (text: string) => void;
}

export interface FuzzReport {
  readonly seed: number;
  readonly inputs: number;
  readonly seconds: number;
  /** Inputs that reached something new. */
  readonly corpus: number;
  /** Pieces of code that were reached. */
  readonly reached: number;
  readonly slowestMs: number;
  /** What went wrong, and the input that shows it; see replay(). */
  readonly failure: { readonly what: string; readonly input: string } | undefined;
}

/** What one client sends: the pieces come one after the other. The first byte of an input says who sends them. */
type Input = readonly Buffer[];

/** Inputs that share a core, and one look at the coverage: it is what takes the time. */
const BATCH = 100;
const PIECES_MAX = 24;
const PIECE_BYTES_MAX = 20_000;
const HANG_MS = 1000;
const CODE = /\/dist\/(broker|wire\/amqp091)\/(?!.*(fixture|test))/;

export async function fuzz({ seed, inputs, seconds, progress }: FuzzOptions): Promise<FuzzReport> {
  const random = new Random(seed);
  const coverage = await Coverage.start();
  const corpus: Input[] = seeds();
  const startedAt = performance.now();
  const elapsed = (): number => (performance.now() - startedAt) / 1000;
  let [done, slowestMs] = [0, 0];
  let failure: FuzzReport['failure'];
  while (done < inputs && elapsed() < seconds && failure === undefined) {
    // Those it begins with are run as they are.
    const batch = done === 0 ? [...corpus] : Array.from({ length: BATCH }, () => change(corpus, random));
    const target = new Target();
    for (const input of batch) {
      const before = process.cpuUsage();
      failure ??= target.run(input);
      // What it took of a processor: others may have the machine too.
      const { user, system } = process.cpuUsage(before);
      const ms = (user + system) / 1000;
      slowestMs = Math.max(slowestMs, ms);
      if (ms > HANG_MS) failure ??= { what: `took ${Math.round(ms)} ms of a processor`, input: pack(input) };
    }
    const grown = coverage.take();
    if (done > 0 && grown.size > 0) corpus.push(...batch.filter((input) => reaches(coverage, input, grown)));
    done += batch.length;
    progress?.(`${done} inputs, ${corpus.length} kept, ${coverage.size} reached`);
  }
  coverage.stop();
  const took = Math.round(elapsed() * 10) / 10;
  return {
    seed,
    inputs: done,
    seconds: took,
    corpus: corpus.length,
    reached: coverage.size,
    slowestMs: Math.round(slowestMs),
    failure,
  };
}

/** Which of a batch reached something new is found by running each again, alone. */
function reaches(coverage: Coverage, input: Input, grown: ReadonlySet<string>): boolean {
  new Target().run(input);
  return coverage.last(grown);
}

/** Runs one input that was reported. @returns what goes wrong */
export function replay(packed: string): string | undefined {
  return new Target().run(unpack(packed))?.what;
}

/** A broker's core, and a client that works all the while. */
class Target {
  readonly #lab = new Lab();
  readonly #canary: Peer;
  #tag = 0;

  constructor() {
    this.#canary = this.#lab.connect();
    this.#canary.queue('canary');
    this.#canary.queue('q');
  }

  run(input: Input): FuzzReport['failure'] {
    try {
      const isStranger = ((input[0]?.[0] ?? 0) & 1) === 1;
      const peer = isStranger ? this.#lab.stranger() : this.#lab.connect();
      for (const bytes of input.slice(1)) if (peer.ended === undefined) peer.bytes(bytes);
      peer.session.disconnected();
      const [error] = this.#lab.failures;
      if (error !== undefined) throw error;
      this.#sing();
      return undefined;
    } catch (error) {
      return {
        what: error instanceof Error ? (error.stack ?? error.message) : String(error),
        input: pack(input),
      };
    }
  }

  #sing(): void {
    this.#canary.publish({ routingKey: 'canary' }, 'alive');
    this.#tag += 1;
    const [got] = this.#canary.call('basic.get', { queue: 'canary' });
    if (got?.body !== 'alive') throw new Error(`the canary got ${JSON.stringify(got)}`);
    this.#canary.send('basic.ack', { deliveryTag: this.#tag });
    const others = this.#canary.take();
    if (others.length > 0) throw new Error(`the canary was told ${JSON.stringify(others[0])}`);
  }
}

/** Well-formed conversations to begin with. */
function seeds(): Input[] {
  const client = Buffer.from([0]);
  const stranger = Buffer.from([1]);
  const methods = Array.from(METHOD_NAMES.keys(), (id): Input => {
    const payload = Buffer.alloc(40);
    payload.writeUInt32BE(id);
    return [client, frame(1, 1, payload)];
  });
  const publication = Peer.publication({ routingKey: 'q' }, 'body', {
    deliveryMode: 2,
    priority: 3,
    expiration: '1000',
    replyTo: 'amq.rabbitmq.reply-to',
    headers: { CC: { type: 'A', value: [{ type: 'S', value: 'q' }] }, n: { type: 'I', value: 1 } },
  });
  const topic = Peer.publication({ exchange: 'amq.topic', routingKey: 'a.b.c', mandatory: true }, '');
  const login = Buffer.from('\0\0\0\0\x05PLAIN\0\0\0\x0c\0guest\0guest\x05en_US', 'latin1');
  const startOk = frame(1, 0, Buffer.concat([Buffer.from([0, 10, 0, 11]), login]));
  return [
    [client, publication],
    [client, topic, publication],
    [stranger, PROTOCOL_HEADER, startOk],
    [stranger, PROTOCOL_HEADER, startOk, frame(1, 0, Buffer.from([0, 10, 0, 31, 7, 255, 0, 2, 0, 0, 0, 0]))],
    [client, frame(8, 0, Buffer.alloc(0))],
    ...methods,
  ];
}

function frame(type: number, channel: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(7);
  head[0] = type;
  head.writeUInt16BE(channel, 1);
  head.writeUInt32BE(payload.length, 3);
  return Buffer.concat([head, payload, Buffer.from([0xce])]);
}

/** An input of the corpus with a few changes. */
function change(corpus: readonly Input[], random: Random): Input {
  let pieces = [...random.of(corpus)];
  const changes = 1 + random.below(4);
  for (let i = 0; i < changes; i += 1) {
    const at = 1 + random.below(Math.max(1, pieces.length - 1));
    const piece = pieces[at];
    switch (random.below(7)) {
      case 0: {
        const other = random.of(corpus);
        pieces = [...pieces.slice(0, at), ...other.slice(1 + random.below(Math.max(1, other.length - 1)))];
        break;
      }
      case 1:
        if (piece !== undefined) pieces.splice(at, 0, piece);
        break;
      case 2:
        pieces.splice(at, 1);
        break;
      case 3:
        pieces[0] = Buffer.from([random.below(4)]);
        break;
      case 4:
        if (piece !== undefined && piece.length >= 11) pieces[at] = withMethod(piece, random);
        break;
      default:
        if (piece !== undefined) pieces[at] = bent(piece, random);
    }
  }
  return pieces.slice(0, PIECES_MAX);
}

/** The same frame for another method. */
function withMethod(piece: Buffer, random: Random): Buffer {
  const copy = Buffer.from(piece);
  copy.writeUInt32BE(random.of([...METHOD_NAMES.keys()]), 7);
  return copy;
}

const NUMBERS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

/** Bytes with others in their place, more of them, or fewer; the frame's length follows mostly. */
function bent(piece: Buffer, random: Random): Buffer {
  const at = random.below(piece.length + 1);
  let copy = Buffer.from(piece);
  switch (random.below(5)) {
    case 0:
      if (at < copy.length) copy[at] = random.below(256);
      break;
    case 1:
      if (at + 4 <= copy.length) copy.writeUInt32BE(random.of(NUMBERS), at);
      break;
    case 2:
      if (at + 2 <= copy.length) copy.writeUInt16BE(random.of(NUMBERS) & 0xffff, at);
      break;
    case 3: {
      const some = Buffer.from(Array.from({ length: 1 + random.below(12) }, () => random.below(256)));
      copy = Buffer.concat([copy.subarray(0, at), some, copy.subarray(at)]);
      break;
    }
    default:
      copy = Buffer.concat([
        copy.subarray(0, at),
        copy.subarray(Math.min(copy.length, at + 1 + random.below(8))),
      ]);
  }
  if (copy.length > 8 && copy.length < PIECE_BYTES_MAX && random.below(4) > 0) {
    copy.writeUInt32BE(copy.length - 8, 3);
    copy[copy.length - 1] = 0xce;
  }
  return copy.subarray(0, PIECE_BYTES_MAX);
}

function pack(input: Input): string {
  return input.map((piece) => piece.toString('base64')).join('.');
}

function unpack(text: string): Input {
  return text.split('.').map((piece) => Buffer.from(piece, 'base64'));
}

/** What of the broker's code was run, by V8's own count. */
class Coverage {
  readonly #inspector: Inspector;
  readonly #reached = new Set<string>();

  private constructor(inspector: Inspector) {
    this.#inspector = inspector;
  }

  static async start(): Promise<Coverage> {
    const inspector = new Inspector();
    inspector.connect();
    const post = (method: string, params: object = {}): Promise<void> =>
      new Promise((resolve, reject) => {
        inspector.post(method, params, (error) => (error === null ? resolve() : reject(error)));
      });
    await post('Profiler.enable');
    await post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    return new Coverage(inspector);
  }

  get size(): number {
    return this.#reached.size;
  }

  /** What was reached since the last look and never before. */
  take(): Set<string> {
    const grown = new Set<string>();
    this.#look((piece) => {
      if (!this.#reached.has(piece)) grown.add(piece);
    });
    for (const piece of grown) this.#reached.add(piece);
    return grown;
  }

  /** Whether any of these was reached since the last look. */
  last(pieces: ReadonlySet<string>): boolean {
    let isReached = false;
    this.#look((piece) => {
      isReached ||= pieces.has(piece);
    });
    return isReached;
  }

  stop(): void {
    this.#inspector.disconnect();
  }

  /** Calls `found` with each piece of code that was run since the last look. */
  #look(found: (piece: string) => void): void {
    // The inspector of one's own thread answers before post() returns.
    this.#inspector.post('Profiler.takePreciseCoverage', (_, { result }) => {
      for (const { url, scriptId, functions } of result) {
        if (!CODE.test(url)) continue;
        for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
          if (count > 0) found(`${scriptId}:${startOffset}-${endOffset}`);
        }
      }
    });
  }
}

/** Numbers that look random and are the same for the same seed. */
class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  below(max: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % max;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}
