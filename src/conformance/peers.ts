// Peers of the three shapes behind one interface: in this process, in a worker thread, in a child process. A pool lends them
// to cases, so that not every case pays for the start of a process.

import { fork, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { NaruError, type NaruErrorJson } from '../errors/index.ts';
import type { Shape } from '../mailbox/capabilities.ts';
import { PeerSession, type Command } from './peer-session.ts';
import { within } from './waiting.ts';

/** A command on its way to a peer; `leave` is the one that is not of the session. */
export interface PeerCall {
  readonly id: number;
  readonly command: Command | 'leave';
  readonly args: readonly unknown[];
}

/** An error on its way back. */
export type PeerFault =
  | { readonly naru: NaruErrorJson }
  | { readonly name: string; readonly message: string; readonly stack: string | undefined };

/** The answer to a command. */
export interface PeerAnswer {
  readonly id: number;
  readonly value?: unknown;
  readonly fault?: PeerFault;
}

/** The arguments of a command. */
export type ArgsOf<C extends Command> = PeerSession[C] extends (...args: infer A) => unknown ? A : never;
/** The answer of a command. */
export type AnswerOf<C extends Command> = PeerSession[C] extends (...args: never) => Promise<infer R>
  ? R
  : never;

/** The other end of a case. */
export interface Peer {
  readonly shape: Shape;
  /** Of the process it lives in. */
  readonly pid: number;
  /** False once it has exited or was killed. */
  readonly alive: boolean;
  /** What it wrote to standard output and standard error. */
  readonly output: string;
  call<C extends Command>(command: C, ...args: ArgsOf<C>): Promise<AnswerOf<C>>;
  /** Ends it at once: SIGKILL for a process, terminate() for a thread. Resolves when it is gone. */
  kill(): Promise<void>;
  /** The test lets go of it: it runs on only as long as its mailboxes keep it. */
  leave(): Promise<void>;
  /** Resolves with the exit code. */
  readonly exited: Promise<number | null>;
}

/** Longest time a command may take; a case has its own, shorter limits where it matters. */
const CALL_MS = 15_000;
/** So much of a peer's output is kept. */
const OUTPUT_LENGTH = 4_000;
const PROGRAM = new URL('./peer.js', import.meta.url);

/** A peer in the same thread: its handles are separate, its event loop is not. */
class LocalPeer implements Peer {
  readonly shape = 'process';
  readonly pid: number = process.pid;
  readonly alive = true;
  /** Not known apart from what the test itself writes. */
  readonly output = '';
  readonly exited: Promise<number | null> = new Promise(() => undefined);
  readonly #session = new PeerSession();

  async call<C extends Command>(command: C, ...args: ArgsOf<C>): Promise<AnswerOf<C>> {
    const act = this.#session[command] as unknown as (...values: readonly unknown[]) => Promise<unknown>;
    const value = await act.apply(this.#session, args.map(cloneData));
    return value as AnswerOf<C>;
  }

  kill(): Promise<void> {
    return Promise.reject(new Error('a peer in this process cannot be killed'));
  }

  leave(): Promise<void> {
    return Promise.reject(new Error('a peer in this process cannot leave'));
  }
}

/** What differs between a thread and a process. */
interface Line {
  readonly shape: Shape;
  readonly pid: number;
  post(call: PeerCall): void;
  kill(): void;
}

/** A peer at the other end of a line. */
class RemotePeer implements Peer {
  readonly shape: Shape;
  readonly pid: number;
  readonly exited: Promise<number | null>;
  readonly #line: Line;
  readonly #pending = new Map<number, (answer: PeerAnswer) => void>();
  #onExit: (code: number | null) => void = () => undefined;
  #count = 0;
  #alive = true;
  #output = '';

  constructor(line: Line) {
    this.shape = line.shape;
    this.pid = line.pid;
    this.#line = line;
    this.exited = new Promise((resolve) => {
      this.#onExit = resolve;
    });
  }

  get alive(): boolean {
    return this.#alive;
  }

  get output(): string {
    return this.#output;
  }

  onOutput(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_LENGTH);
  }

  onAnswer(answer: PeerAnswer): void {
    const settle = this.#pending.get(answer.id);
    this.#pending.delete(answer.id);
    settle?.(answer);
  }

  onExit(code: number | null): void {
    this.#alive = false;
    this.#onExit(code);
    for (const [id, settle] of this.#pending) {
      settle({ id, fault: { name: 'Error', message: `the peer exited (${code})`, stack: undefined } });
    }
    this.#pending.clear();
  }

  async call<C extends Command>(command: C, ...args: ArgsOf<C>): Promise<AnswerOf<C>> {
    return (await this.#ask(command, args)) as AnswerOf<C>;
  }

  async kill(): Promise<void> {
    if (!this.#alive) return;
    this.#line.kill();
    await within(this.exited, 5_000, 'the killed peer to be gone');
  }

  async leave(): Promise<void> {
    await this.#ask('leave', []);
  }

  async #ask(command: PeerCall['command'], args: readonly unknown[]): Promise<unknown> {
    if (!this.#alive) throw new Error(`the peer is gone; it cannot ${command}`);
    this.#count += 1;
    const id = this.#count;
    const answered = new Promise<PeerAnswer>((resolve) => {
      this.#pending.set(id, resolve);
      this.#line.post({ id, command, args });
    });
    const answer = await within(answered, CALL_MS, `the peer's answer to ${command}`);
    if (answer.fault !== undefined) throw revive(answer.fault);
    return answer.value;
  }
}

async function startWorker(): Promise<Peer> {
  const worker = new Worker(PROGRAM, { execArgv: [], stdout: true, stderr: true });
  const peer = new RemotePeer({
    shape: 'worker',
    pid: process.pid,
    post: (call) => worker.postMessage(call),
    kill: () => {
      worker.terminate().catch(() => undefined);
    },
  });
  worker.on('message', (answer: PeerAnswer) => peer.onAnswer(answer));
  for (const stream of [worker.stdout, worker.stderr])
    stream.on('data', (chunk) => peer.onOutput(`${chunk}`));
  // An error that nothing caught ends the thread; `exit` follows and tells the calls that wait.
  worker.on('error', (error) => peer.onOutput(`uncaught: ${error.stack ?? error.message}`));
  worker.on('exit', (code) => peer.onExit(code));
  worker.unref();
  await new Promise((resolve) => {
    worker.once('online', () => resolve(undefined));
  });
  return peer;
}

async function startChild(): Promise<Peer> {
  const child: ChildProcess = fork(PROGRAM, {
    execArgv: [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  const peer = new RemotePeer({
    shape: 'child',
    pid: child.pid ?? -1,
    post: (call) => child.send({ ...call }),
    kill: () => child.kill('SIGKILL'),
  });
  child.on('message', (answer) => peer.onAnswer(answer as PeerAnswer));
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk) => peer.onOutput(`${chunk}`));
    if (stream instanceof Socket) stream.unref();
  }
  child.on('error', (error) => peer.onOutput(error.message));
  child.on('exit', (code) => peer.onExit(code));
  await new Promise((resolve) => {
    child.once('spawn', () => resolve(undefined));
  });
  // The test's own timers keep it alive while it waits; a forgotten peer must not.
  child.unref();
  child.channel?.unref();
  return peer;
}

/** Lends peers; one that is given back unharmed is lent again. */
export class PeerPool {
  readonly #idle: Peer[] = [];
  readonly #all = new Set<Peer>();

  async take(shape: Shape): Promise<Peer> {
    const index = this.#idle.findIndex((peer) => peer.shape === shape && peer.alive);
    const [idle] = index < 0 ? [] : this.#idle.splice(index, 1);
    if (idle !== undefined) return idle;
    const peer = shape === 'process' ? new LocalPeer() : await start(shape);
    this.#all.add(peer);
    return peer;
  }

  /** @param unharmed  false after a failed case: nobody knows what the peer still does */
  async giveBack(peer: Peer, unharmed: boolean): Promise<void> {
    if (unharmed && peer.alive) {
      this.#idle.push(peer);
      return;
    }
    this.#all.delete(peer);
    if (peer.shape !== 'process') await peer.kill();
  }

  async close(): Promise<void> {
    const peers = [...this.#all];
    this.#all.clear();
    this.#idle.length = 0;
    await Promise.all(peers.filter((peer) => peer.shape !== 'process').map((peer) => peer.kill()));
  }
}

function start(shape: Shape): Promise<Peer> {
  return shape === 'worker' ? startWorker() : startChild();
}

/** Data reaches a peer in this process as it reaches another one: as a copy. Objects with functions (codecs) stay. */
function cloneData(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return value;
  }
}

function revive(fault: PeerFault): Error {
  if ('naru' in fault) return NaruError.fromJSON(fault.naru);
  const error = new Error(fault.message);
  error.name = fault.name;
  if (fault.stack !== undefined) error.stack = `${fault.stack}\n    (in the peer)`;
  return error;
}
