// A broker in a process of its own, a canary client that works all the while, and strangers that behave badly: for the tests of this
// folder.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { until } from '../../cli/command.fixture.ts';
import type { Amqplib } from '../client-types.fixture.ts';
import type { BrokerOptions } from '../index.ts';
import type { Said } from './process-main.fixture.ts';

/** How long a loaded machine may take. */
export const WAIT_MS = 30_000;

const amqplib = createRequire(import.meta.url)('amqplib') as Amqplib;

/** How a process is started. */
interface ProcessOptions {
  /** `ulimit -n`. */
  readonly openFiles?: number;
  /** Flags of Node. */
  readonly flags?: readonly string[];
}

/** `await using`: the process goes with the test. */
export class BrokerProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  /** What it said when it was ready. */
  readonly ready: Said;

  private constructor(child: ChildProcess, ready: Said) {
    this.#child = child;
    this.ready = ready;
  }

  static async start(
    options: BrokerOptions = {},
    { openFiles, flags = [] }: ProcessOptions = {},
  ): Promise<BrokerProcess> {
    const main = fileURLToPath(new URL('./process-main.fixture.js', import.meta.url));
    const limit = openFiles === undefined ? '' : `ulimit -n ${openFiles}; `;
    const child = spawn(
      'sh',
      [
        '-c',
        `${limit}exec "$@"`,
        'sh',
        process.execPath,
        ...flags,
        main,
        JSON.stringify({ port: 0, ...options }),
      ],
      { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
    );
    const [ready] = (await once(child, 'message')) as [Said];
    return new BrokerProcess(child, ready);
  }

  get port(): number {
    return this.ready.port;
  }

  get url(): string {
    return `amqp://guest:guest@127.0.0.1:${this.port}`;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async ask(): Promise<Said> {
    const answer = once(this.#child, 'message');
    this.#child.send('say');
    const [said] = (await answer) as [Said];
    return said;
  }

  /** Waits until only so many clients are left. */
  async connectionsAre(count: number): Promise<void> {
    await until(async () => (await this.ask()).connections === count, WAIT_MS);
  }

  /** The process lives and has caught no mistake of its own. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { exitCode, signalCode } = this.#child;
    const failures = exitCode === null && signalCode === null ? (await this.ask()).failures : undefined;
    const gone = exitCode === null && signalCode === null ? once(this.#child, 'exit') : undefined;
    this.#child.kill('SIGKILL');
    await gone;
    expect([exitCode, signalCode, failures]).toEqual([null, null, []]);
  }
}

/** A client that publishes with confirms and gets back what it sent, one message after the other, until it is stopped. */
export class Canary implements AsyncDisposable {
  rounds = 0;
  #isOver = false;
  readonly #song: Promise<void>;

  private constructor(url: string, started: () => void) {
    this.#song = this.#sing(url, started);
    this.#song.catch(started);
  }

  /** Resolves when the first message came back. */
  static async start(url: string): Promise<Canary> {
    let canary: Canary | undefined;
    await new Promise<void>((resolve) => {
      canary = new Canary(url, resolve);
    });
    return canary as unknown as Canary;
  }

  /** Waits for another round that began after this call. */
  async sings(): Promise<void> {
    const goal = this.rounds + 2;
    await Promise.race([until(() => this.rounds >= goal, WAIT_MS), this.#song]);
    expect(this.#isOver).toBe(false);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sings();
    this.#isOver = true;
    await this.#song;
  }

  async #sing(url: string, started: () => void): Promise<void> {
    const connection = await amqplib.connect(url);
    const channel = await connection.createConfirmChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    let came: (body: string) => void = () => undefined;
    const gone = new Promise<string>((resolve) => {
      connection.once('close', () => resolve('the broker let the canary go'));
    });
    await channel.consume(queue, (message) => {
      if (message === null) return;
      channel.ack(message);
      came(message.content.toString());
    });
    while (!this.#isOver) {
      const back = new Promise<string>((resolve) => {
        came = resolve;
      });
      channel.sendToQueue(queue, Buffer.from(String(this.rounds)));
      await Promise.race([channel.waitForConfirms(), gone]);
      expect(await Promise.race([back, gone])).toBe(String(this.rounds));
      this.rounds += 1;
      started();
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
    await connection.close();
  }
}

/** A socket that speaks as it is told. */
export class Stranger {
  readonly socket: Socket;
  /** Everything that came. */
  readonly chunks: Buffer[] = [];
  /** Resolves when the broker has closed the socket. */
  readonly closed: Promise<void>;
  isClosed = false;

  constructor(port: number, host = '127.0.0.1') {
    this.socket = connect(port, host);
    this.socket.on('data', (bytes: Buffer) => this.chunks.push(bytes));
    this.socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.socket.once('close', () => {
        this.isClosed = true;
        resolve();
      });
    });
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('latin1');
  }

  say(bytes: string | Uint8Array): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** One byte after the other, so many milliseconds apart, until the socket is closed. */
  drip(bytes: string, everyMs: number): this {
    let at = 0;
    const timer = setInterval(() => {
      if (this.isClosed) clearInterval(timer);
      else this.say(bytes[at % bytes.length] as string);
      at += 1;
    }, everyMs);
    this.socket.once('close', () => clearInterval(timer));
    return this;
  }
}
