// Contestants in other languages: a program of two processes that measures itself. The near end starts it and tells it how much
// to do, a number a line; it answers with a line of results (bench/rivals/c/rival.c). The far end has nothing to do.

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { BODY_BYTES } from '../harness/bodies.ts';
import type { Duel, FarEnd, NearEnd, Sample } from '../harness/duel.ts';
import { buildC, pathOfC } from './build.ts';

/** `ends`: the consumer looks at both ends of a body; `whole`: at every byte. */
export type Reading = 'ends' | 'whole';

export interface ProgramSpec {
  readonly id: string;
  readonly label: string;
  readonly kind: Sample['kind'];
  readonly bodyBytes?: number;
  readonly reading?: Reading;
  /** Divides the times: 2 makes one way of a round trip. */
  readonly ways?: number;
  readonly firstCount?: number;
}

type Program = ChildProcessByStdio<Writable, Readable, Readable>;

/** A program that runs, one question at a time. */
class Running implements NearEnd {
  readonly address = '';
  readonly #program: Program;
  readonly #ways: number;
  #errors = '';
  #pending: { resolve: (line: string) => void; reject: (error: Error) => void } | undefined;

  constructor(path: string, options: readonly string[], ways: number) {
    this.#ways = ways;
    this.#program = spawn(path, options, { stdio: ['pipe', 'pipe', 'pipe'] });
    createInterface({ input: this.#program.stdout }).on('line', (line) => this.#pending?.resolve(line));
    this.#program.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors += text;
    });
    this.#program.on('error', (error) => this.#pending?.reject(error));
    this.#program.stdin.on('error', () => undefined);
    this.#program.on('close', (code, signal) =>
      this.#pending?.reject(new Error(this.#errors.trim() || `the program ended (${signal ?? code})`)),
    );
  }

  async run(count: number): Promise<Sample> {
    const line = await new Promise<string>((resolve, reject) => {
      this.#pending = { resolve, reject };
      if (this.#program.exitCode !== null) reject(new Error(this.#errors.trim() || 'the program has ended'));
      else this.#program.stdin.write(`${count}\n`);
    });
    return this.#read(line);
  }

  close(): Promise<void> {
    this.#pending = undefined;
    return new Promise((resolve) => {
      if (this.#program.exitCode !== null || this.#program.signalCode !== null) return resolve();
      this.#program.once('close', () => resolve());
      this.#program.stdin.end();
    });
  }

  /** `flow MESSAGES NS CPU_NS CPU_NS` or `ping TRIPS P50_NS P99_NS CPU_NS CPU_NS`; CPU of the parent (consumer), then the child. */
  #read(line: string): Sample {
    const [kind, ...texts] = line.split(' ');
    const numbers = texts.map(Number);
    if (!numbers.every(Number.isFinite) || numbers.length < 4) throw new Error(`cannot read "${line}"`);
    const [first = 0, second = 0, third = 0, fourth = 0] = numbers;
    if (kind === 'flow') {
      const cpu = { near: third / first, far: fourth / first };
      return { kind: 'throughput', messages: first, nanoseconds: second, cpu };
    }
    const micros = 1000 * this.#ways;
    return { kind: 'latency', roundTrips: first, p50Us: second / micros, p99Us: third / micros };
  }
}

/** The far end of what the near end starts and drives by itself. */
export const NOBODY: FarEnd = { run: () => Promise.resolve(), close: () => Promise.resolve() };

/** @param prepare  builds the program at `path` */
export function programDuel(spec: ProgramSpec, path: string, prepare: () => Promise<void>): Duel {
  const { id, label, kind, bodyBytes = BODY_BYTES, reading = 'ends', ways = 1, firstCount } = spec;
  return {
    id,
    label,
    kind,
    isNaru: false,
    far: 'same',
    serialization: 'json',
    bodyBytes,
    ...(firstCount === undefined ? {} : { firstCount }),
    prepare,
    openNear: () => {
      const options = [kind === 'throughput' ? 'flow' : 'ping', String(bodyBytes), reading];
      return Promise.resolve(new Running(path, options, ways));
    },
    openFar: () => Promise.resolve(NOBODY),
  };
}

/** A contestant of bench/rivals/c. */
export function cDuel(source: string, spec: ProgramSpec): Duel {
  return programDuel(spec, pathOfC(source), () => buildC(source));
}
