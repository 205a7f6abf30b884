// A real engine (a database, a cache, a broker) as a test needs it: started on a free port in a temporary folder, awaited,
// killed, started again, removed. What differs between engines lies in a file of each; installing them is install.fixture.ts.
// Tests only: nothing of the package may import this.

import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { chownSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { atMost } from '../mailbox/waiting.ts';

/** Where one instance of an engine lives. */
export interface Site {
  /** Its own folder; removed when it stops. */
  readonly folder: string;
  readonly port: number;
  /** Two more free ports, for engines that need some inside. */
  readonly spare: readonly [number, number];
  /** More arguments for its program, from the test that starts it. */
  readonly extra: readonly string[];
}

/** A program to run. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** One kind of engine. Adding one is a file with an object of this shape and its name in `index.fixture.ts`. */
export interface Engine {
  /** As people write it: `redis`. */
  readonly name: string;
  /** The environment variable that hands its URL to tests. */
  readonly variable: string;
  /** Packages of Debian that hold it. */
  readonly packages: readonly string[];
  /** What comes from elsewhere (jars), kept outside the repository. Throws with the reason when it cannot be had. */
  readonly fetch?: () => Promise<void>;
  /** What tells that it is installed: the path of its program. */
  readonly program: () => string | undefined;
  /** The user that it runs as when the tests run as root; root when there is none. */
  readonly user?: string;
  /** What must be done once in a new folder: commands that run as `user`. */
  readonly prepare?: (site: Site) => readonly Command[];
  readonly command: (site: Site) => Command;
  /** Whether it takes requests. Rejects or returns false while it does not. */
  readonly isReady: (site: Site) => Promise<boolean>;
  /** How clients reach it, with a password where the engine has such a thing. */
  readonly url: (site: Site) => string;
  /** How long it may take to get ready, in milliseconds; 20,000 when not stated. */
  readonly readyMs?: number;
  /** What lets it clean up in the kernel after itself when it is stopped for good; SIGKILL when not stated. */
  readonly stopSignal?: NodeJS.Signals;
}

/** How long an engine may take over its own cleaning, in milliseconds. */
const STOP_MS = 5_000;

/** Below the ports that the kernel gives to clients: while an engine is down, no connection, not even one to itself, takes its port. */
const PORTS = { from: 15_000, to: 32_000 } as const;
const ATTEMPTS = 100;

/** Three ports that were free a moment ago. */
async function freePorts(): Promise<readonly [number, number, number]> {
  const one = async (): Promise<Server> => {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const server = createServer();
      const isFree = await new Promise<boolean>((resolve) => {
        server.once('error', () => resolve(false));
        server.listen(randomInt(PORTS.from, PORTS.to), '127.0.0.1', () => resolve(true));
      });
      if (isFree) return server;
    }
    throw new Error(`no free port among ${ATTEMPTS} that were tried`);
  };
  const servers = [await one(), await one(), await one()] as const;
  const portOf = (server: Server): number => (server.address() as { port: number }).port;
  const ports = [portOf(servers[0]), portOf(servers[1]), portOf(servers[2])] as const;
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** The numbers of a user of this machine, from /etc/passwd. */
function idsOf(user: string): { uid: number; gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((one) => one.startsWith(`${user}:`));
  if (line === undefined) throw new Error(`there is no user "${user}"; its package makes it`);
  const [, , uid, gid] = line.split(':').map(Number);
  return { uid: uid as number, gid: gid as number };
}

/** As root an engine gets a user of its own; and whatever happens to us, the kernel kills it with us. */
function guarded({ program, args }: Command, user: string | undefined): readonly [string, string[]] {
  const drop = user !== undefined && process.getuid?.() === 0;
  const as = drop ? ['--reuid', user, '--regid', user, '--clear-groups'] : [];
  return ['setpriv', [...as, '--pdeathsig', 'KILL', '--', program, ...args]];
}

/** One running instance. */
export class Running {
  readonly engine: Engine;
  readonly site: Site;
  #child: ChildProcess | undefined;
  #output = '';

  constructor(engine: Engine, site: Site) {
    this.engine = engine;
    this.site = site;
  }

  get url(): string {
    return this.engine.url(this.site);
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Runs what a new folder needs. */
  async prepare(): Promise<void> {
    if (this.engine.user !== undefined && process.getuid?.() === 0) {
      const { uid, gid } = idsOf(this.engine.user);
      chownSync(this.site.folder, uid, gid);
    }
    for (const command of this.engine.prepare?.(this.site) ?? []) {
      const child = this.#spawn(command);
      const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
      if (code !== 0) throw this.#failure(`${command.program} ended with ${code ?? 'a signal'}`);
    }
  }

  /** Starts the program, on the same port and folder as before, and waits until it takes requests. */
  async start(): Promise<void> {
    const end = performance.now() + (this.engine.readyMs ?? 20_000);
    this.#child = this.#spawn(this.engine.command(this.site));
    for (;;) {
      if (await this.engine.isReady(this.site).catch(() => false)) return;
      if (performance.now() > end) throw this.#failure('it did not get ready');
      // After a SIGKILL the memory or the port of the one before may be in use for a moment more.
      if (this.#hasEnded()) this.#child = this.#spawn(this.engine.command(this.site));
      await pause(this.#hasEnded() ? 200 : 20);
    }
  }

  /** Sends a signal and waits until it has ended. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || this.#hasEnded()) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill(signal);
    await ended;
  }

  /** SIGKILL, and then up again with what it kept on its disk. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** Ends it and removes its folder. */
  async stop(): Promise<void> {
    const { stopSignal } = this.engine;
    if (stopSignal !== undefined) await atMost(this.kill(stopSignal), STOP_MS);
    await this.kill();
    // Children of an engine may write for a moment after their parent was killed.
    rmSync(this.site.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  #spawn(command: Command): ChildProcess {
    const [program, args] = guarded(command, this.engine.user);
    const child = spawn(program, args, { cwd: this.site.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (text: string): void => {
      this.#output = (this.#output + text).slice(-4000);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', ({ message }) => keep(message));
    return child;
  }

  #hasEnded(): boolean {
    const child = this.#child;
    return child === undefined || child.exitCode !== null || child.signalCode !== null;
  }

  #failure(what: string): Error {
    return new Error(`${this.engine.name}: ${what}:\n${this.#output.trim()}`);
  }
}

/** Starts an instance of its own: on a free port, in a new folder. What it made is gone again when it cannot start. */
export async function startEngine(engine: Engine, extra: readonly string[] = []): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), `naru-${engine.name}-`));
  const [port, ...spare] = await freePorts();
  const running = new Running(engine, { folder, port, spare, extra });
  try {
    await running.prepare();
    await running.start();
    return running;
  } catch (error) {
    await running.stop();
    throw error;
  }
}
