// Starts peer.fixture.ts and other programs for the tests of unix:// and tcp://, hears what they say, and ends what is left.

import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PEER = fileURLToPath(new URL('./peer.fixture.js', import.meta.url));
const WATCHDOG_MS = 20_000;

/** Something a peer said. */
export type Said = Record<string, unknown>;

/** A program under test. */
export class Peer {
  readonly child: ChildProcess;
  readonly said: Said[] = [];
  readonly exited: Promise<number | null>;
  #text = '';
  #listeners: (() => void)[] = [];

  constructor(child: ChildProcess) {
    this.child = child;
    this.exited = new Promise((resolve) => {
      child.on('exit', (code) => {
        resolve(code);
        this.#tell();
      });
    });
    child.stdout?.on('data', (data: Buffer) => {
      const lines = (this.#text + data.toString()).split('\n');
      this.#text = lines.pop() ?? '';
      for (const line of lines) this.said.push(parse(line));
      this.#tell();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  /** Resolves with the first thing said that fits; fails when the program ends or nothing comes in time. */
  async hears(fits: (said: Said) => boolean, what = 'the peer says it'): Promise<Said> {
    let found = this.said.find(fits);
    await until(
      () => {
        found = this.said.find(fits);
        return found !== undefined || this.child.exitCode !== null;
      },
      `${what}; so far: ${JSON.stringify(this.said).slice(0, 500)}`,
      (listener) => this.#listeners.push(listener),
    );
    if (found === undefined)
      throw new Error(`the peer ended (${this.child.exitCode}): ${JSON.stringify(this.said)}`);
    return found;
  }

  /** All items of a list that the peer said under a name. */
  all<T>(name: string): T[] {
    return this.said.flatMap((said) => (said[name] as T[] | undefined) ?? []);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.child.kill(signal);
    if (signal === 'SIGKILL') await this.exited;
  }

  /** Ends its standard input and waits for its end. */
  async finish(): Promise<number | null> {
    this.child.stdin?.end();
    return await this.exited;
  }

  #tell(): void {
    const listeners = this.#listeners;
    this.#listeners = [];
    for (const listener of listeners) listener();
  }
}

/** The programs of one test file. */
export class Peers {
  readonly #peers: Peer[] = [];

  /** Runs peer.fixture.ts. */
  start(orders: Said, options: SpawnOptions = {}): Peer {
    return this.run(process.execPath, [PEER, JSON.stringify(orders)], options);
  }

  run(program: string, args: readonly string[], options: SpawnOptions = {}): Peer {
    const peer = new Peer(spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options }));
    this.#peers.push(peer);
    return peer;
  }

  /** Ends what still runs. */
  async end(): Promise<void> {
    for (const { child } of this.#peers) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGCONT');
      child.kill('SIGKILL');
    }
    await Promise.all(this.#peers.map(({ exited }) => exited));
  }
}

/** Waits for a condition: looks often, gives up late. */
export function until(
  holds: () => boolean,
  what: string,
  onNews: (listener: () => void) => void = () => undefined,
): Promise<void> {
  const started = performance.now();
  return new Promise((resolve, reject) => {
    const look = (): void => {
      clearTimeout(timer);
      if (holds()) resolve();
      else if (performance.now() - started > WATCHDOG_MS) reject(new Error(`did not happen: ${what}`));
      else {
        timer = setTimeout(look, 10);
        onNews(look);
      }
    };
    let timer: NodeJS.Timeout | undefined;
    look();
  });
}

function parse(line: string): Said {
  try {
    return JSON.parse(line) as Said;
  } catch {
    return { line };
  }
}
