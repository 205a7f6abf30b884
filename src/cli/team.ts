// Producer and consumer processes that pass probes through one mailbox, and the proof that every one arrived: what the demo
// and `naru bench` are made of. The processes themselves are in team-worker.ts.

import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { NaruError } from '../errors/index.ts';
import { open } from '../open.ts';
import { pause } from './connect.ts';
import { Histogram } from './histogram.ts';
import { pipeFor } from './team-pipe.ts';
import type { Answer, Order, Pace, Report } from './team-protocol.ts';

/** Who passes messages through what. */
export interface TeamOptions {
  readonly url: string;
  readonly producers: number;
  readonly consumers: number;
  readonly bodyBytes: number;
  /** The place cannot be reached from other processes: everybody lives in one. */
  readonly oneProcess: boolean;
  /** Stops everything: every call rejects with its reason. */
  readonly signal: AbortSignal;
}

/** One stretch of sending. */
export interface Phase {
  readonly pace: Pace;
  /** Ends after so long, or after so many probes of all producers together. */
  readonly durationMs?: number;
  readonly count?: number;
  /** Called a few times a second. */
  readonly onProgress?: (progress: TeamProgress) => void;
}

/** A phase while it runs. */
export interface TeamProgress {
  readonly messagesPerSecond: number;
  readonly p50Us: number | null;
  readonly depth: number;
}

/** A phase that is over. */
export interface PhaseResult {
  readonly sent: number;
  readonly received: number;
  readonly messagesPerSecond: number;
  readonly p50Us: number | null;
  readonly p99Us: number | null;
}

/** The account of all phases. */
export interface TeamTotals {
  readonly sent: number;
  readonly received: number;
  /** Sent and not received. */
  readonly lost: number;
  /** Came twice or in the wrong order. */
  readonly disordered: number;
  /** Came with another content than it was sent with. */
  readonly broken: number;
  /** Everything came once, in order and whole. */
  readonly exact: boolean;
}

const LOOK_MS = 100;
const LOOK_AT_END_MS = 10;
/** Nothing came for so long although something is missing: it is lost. */
const PATIENCE_MS = 5_000;
/** Every process must have opened the mailbox within this time. */
const START_MS = 15_000;

/** Processes around one mailbox. Always `stop()` it. */
export class Team {
  readonly #workers: readonly Worker[];
  /** The mailbox, when this team made it and nobody but who removes it ends it. */
  #toRemove: string | undefined;
  #phases = 0;
  #sent = 0;
  #sum = 0;

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers;
  }

  /** @throws what opening the mailbox raises; NARU_TIMEOUT */
  static async start(options: TeamOptions): Promise<Team> {
    const { producers, consumers, bodyBytes, signal } = options;
    const numbers = Array.from({ length: producers }, (_, index) => index);
    const parts = options.oneProcess
      ? [{ producers: numbers, consumers }]
      : [
          ...Array.from({ length: consumers }, () => ({ producers: [] as number[], consumers: 1 })),
          ...numbers.map((number) => ({ producers: [number], consumers: 0 })),
        ];
    const pipe = pipeFor(options.url);
    const workers = parts.map((part) => {
      const end = part.consumers > 0 ? pipe?.reader : pipe?.writer;
      return new Worker(part.producers.length > 0, part.consumers > 0, signal, end);
    });
    pipe?.release();
    const team = new Team(workers);
    try {
      // The first consumer makes the mailbox, and with it the address for the others.
      let url = withListener(options.url);
      for (const [index, worker] of workers.entries()) {
        const opened = await worker.ask(
          { type: 'open', url, bodyBytes, ...(parts[index] as (typeof parts)[0]) },
          'opened',
          START_MS,
        );
        if (index === 0) url = opened.address;
        if (opened.made) team.#toRemove = url;
      }
      return team;
    } catch (error) {
      await team.stop();
      throw error;
    }
  }

  /** Sends in one phase and waits until everything of it has come. @throws what a worker failed with */
  async run(phase: Phase, signal: AbortSignal): Promise<PhaseResult> {
    const index = this.#phases;
    this.#phases += 1;
    const producers = this.#workers.filter(({ produces }) => produces);
    const count = phase.count === undefined ? null : Math.ceil(phase.count / producers.length);
    const paused = Promise.all(
      producers.map((worker) =>
        worker.ask({ type: 'produce', phase: index, pace: phase.pace, count }, 'paused'),
      ),
    );
    paused.catch(() => undefined);
    await this.#watch(phase, index, paused, signal);
    for (const worker of producers) worker.order({ type: 'pause' });
    const ends = await paused;
    const sentBefore = this.#sent;
    this.#sent = ends.reduce((sum, end) => sum + end.sent, 0);
    this.#sum = ends.reduce((sum, end) => sum + end.sum, 0);
    const reports = await this.#awaitArrival(signal);
    const firstAtMs = Math.min(...ends.map((end) => end.firstAtMs));
    return resultOf(phaseOf(index, reports), this.#sent - sentBefore, firstAtMs);
  }

  async totals(): Promise<TeamTotals> {
    const reports = await this.#reports();
    const total = (field: 'received' | 'sum' | 'disordered' | 'broken'): number =>
      reports.reduce((sum, report) => sum + report[field], 0);
    const [sent, received, disordered, broken] = [
      this.#sent,
      total('received'),
      total('disordered'),
      total('broken'),
    ];
    const exact = received === sent && total('sum') === this.#sum && disordered === 0 && broken === 0;
    return { sent, received, lost: Math.max(0, sent - received), disordered, broken, exact };
  }

  /** Ends every process, nicely first, and removes a mailbox that would stay. */
  async stop(): Promise<void> {
    // Producers leave first: they must not see the mailbox go with the consumer that holds it.
    for (const produces of [true, false]) {
      await Promise.all(
        this.#workers.filter((worker) => worker.produces === produces).map((worker) => worker.end()),
      );
    }
    if (this.#toRemove !== undefined) await removeMailbox(this.#toRemove);
    this.#toRemove = undefined;
  }

  /** Tells the progress until the phase is over. */
  async #watch(phase: Phase, index: number, paused: Promise<unknown>, signal: AbortSignal): Promise<void> {
    const { durationMs = Number.POSITIVE_INFINITY, onProgress } = phase;
    const startedAt = performance.now();
    let isOver = false;
    const over = paused.finally(() => (isOver = true));
    over.catch(() => undefined);
    let before = { at: startedAt, received: 0 };
    for (;;) {
      const left = startedAt + durationMs - performance.now();
      if (isOver || left <= 0) return;
      await Promise.race([over, pause(Math.min(LOOK_MS, left), signal)]);
      signal.throwIfAborted();
      if (onProgress === undefined) continue;
      const reports = await this.#reports();
      const { received, latency } = phaseOf(index, reports);
      const at = performance.now();
      onProgress({
        messagesPerSecond: ((received - before.received) * 1000) / Math.max(1, at - before.at),
        p50Us: latency.percentile(0.5),
        depth: Math.max(...reports.map(({ depth }) => depth)),
      });
      before = { at, received };
    }
  }

  /** Waits until everything that was sent has come, or nothing came for too long. */
  async #awaitArrival(signal: AbortSignal): Promise<Report[]> {
    let received = -1;
    let since = performance.now();
    for (;;) {
      const reports = await this.#reports();
      const now = reports.reduce((sum, report) => sum + report.received, 0);
      if (now >= this.#sent) return reports;
      if (now !== received) since = performance.now();
      if (performance.now() - since > PATIENCE_MS) return reports;
      received = now;
      await pause(LOOK_AT_END_MS, signal);
      signal.throwIfAborted();
    }
  }

  #reports(): Promise<Report[]> {
    const consumers = this.#workers.filter(({ consumes }) => consumes);
    return Promise.all(consumers.map((worker) => worker.ask({ type: 'report' }, 'report', PATIENCE_MS * 2)));
  }
}

async function removeMailbox(url: string): Promise<void> {
  const mailbox = await open(url, { create: 'never' }).catch(() => undefined);
  await mailbox?.unlink();
  await mailbox?.close({ flushMs: 0 });
}

const children = new Set<ChildProcess>();

/** However the command ends, its processes must not outlive it. */
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

/** One process. */
class Worker {
  readonly produces: boolean;
  readonly consumes: boolean;
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #waiting = new Set<{
    readonly type: Answer['type'];
    readonly give: (answer: Answer) => void;
    readonly fail: (error: unknown) => void;
  }>();
  #failure: unknown;

  /** @param inherits  a descriptor that it has as number 4 */
  constructor(produces: boolean, consumes: boolean, signal: AbortSignal, inherits: number | undefined) {
    this.produces = produces;
    this.consumes = consumes;
    const file = fileURLToPath(new URL('./team-worker.js', import.meta.url));
    // Standard output belongs to the results. NARU_URL stays with the command that it was given to.
    const { NARU_URL: _, ...env } = process.env;
    const more = inherits === undefined ? [] : [inherits];
    this.#child = fork(file, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc', ...more], env });
    this.#child.on('message', (answer: Answer) => this.#onAnswer(answer));
    this.#child.on('error', (error) => this.#fail(error));
    const abort = (): void => this.#fail(signal.reason);
    this.#exited = new Promise((resolve) => {
      this.#child.once('close', (code, how) => {
        children.delete(this.#child);
        signal.removeEventListener('abort', abort);
        this.#fail(
          new NaruError(
            'NARU_PEER_GONE',
            `a process ended before its work was done (${how ?? `exit code ${code}`})`,
          ),
        );
        resolve();
      });
    });
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    children.add(this.#child);
  }

  order(order: Order): void {
    if (this.#child.connected) this.#child.send(order);
  }

  /** Gives an order and waits for its answer. */
  ask<T extends Answer['type']>(order: Order, type: T, timeoutMs?: number): Promise<Answer & { type: T }> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              entry.fail(
                new NaruError(
                  'NARU_TIMEOUT',
                  `a process did not answer "${order.type}" within ${timeoutMs} ms`,
                ),
              );
            }, timeoutMs);
      const finish = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(entry);
      };
      const entry = {
        type,
        give: (answer: Answer): void => {
          finish();
          resolve(answer as Answer & { type: T });
        },
        fail: (error: unknown): void => {
          finish();
          reject(error);
        },
      };
      this.#waiting.add(entry);
      this.order(order);
    });
  }

  async end(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.order({ type: 'stop' });
      const timer = setTimeout(() => this.#child.kill('SIGKILL'), 2_000);
      await this.#exited;
      clearTimeout(timer);
    }
  }

  #onAnswer(answer: Answer): void {
    if (answer.type === 'failed') {
      this.#fail(NaruError.fromJSON(answer.error));
      return;
    }
    for (const entry of this.#waiting) {
      if (entry.type !== answer.type) continue;
      entry.give(answer);
      return;
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    for (const entry of this.#waiting) entry.fail(error);
  }
}

/** tcp://, ws:// and http:// have no first opener: somebody must be told to listen. */
function withListener(url: string): string {
  if (!/^(tcp|wss?|https?):\/\//.test(url) || /[?&]listen(?:[=&]|$)/.test(url)) return url;
  return `${url}${url.includes('?') ? '&' : '?'}listen`;
}

/** What the consumers together have of one phase. */
interface PhaseSum {
  readonly received: number;
  readonly lastAtMs: number;
  readonly latency: Histogram;
}

function phaseOf(index: number, reports: readonly Report[]): PhaseSum {
  const latency = new Histogram();
  let [received, lastAtMs] = [0, 0];
  for (const phase of reports.flatMap(({ phases }) => phases)) {
    if (phase.index !== index) continue;
    received += phase.received;
    lastAtMs = Math.max(lastAtMs, phase.lastAtMs);
    latency.merge(new Histogram(phase.latency));
  }
  return { received, lastAtMs, latency };
}

function resultOf({ received, lastAtMs, latency }: PhaseSum, sent: number, firstAtMs: number): PhaseResult {
  return {
    sent,
    received,
    messagesPerSecond: received === 0 ? 0 : (received * 1000) / Math.max(0.001, lastAtMs - firstAtMs),
    p50Us: latency.percentile(0.5),
    p99Us: latency.percentile(0.99),
  };
}
