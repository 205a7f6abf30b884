// The running consumers of one handle: what consume() and serve() start, and what drain() and close() wait for.

import { Consumption, type ConsumeOptions, type ConsumeSource, type Handler } from './consume.ts';

export class Consumers<T> {
  readonly #source: Omit<ConsumeSource<T>, 'onStop'>;
  readonly #running = new Set<Consumption<T>>();

  constructor(source: Omit<ConsumeSource<T>, 'onStop'>) {
    this.#source = source;
  }

  /** @throws NARU_INVALID_ARGUMENT */
  start(handler: Handler<T>, options: ConsumeOptions): Consumption<T> {
    const onStop = (consumption: Consumption<T>): void => {
      this.#running.delete(consumption);
    };
    const consumption = new Consumption<T>({ ...this.#source, onStop }, handler, options);
    this.#running.add(consumption);
    return consumption;
  }

  /** They take nothing more; resolves when their handlers have finished and what these acked is settled. */
  async stop(): Promise<void> {
    await Promise.all(Array.from(this.#running, (consumption) => consumption.stop()));
  }

  /** Resolves when every ack that went out so far is settled: a seat given back before would take them with it. */
  async whenSettled(): Promise<void> {
    await Promise.all(Array.from(this.#running, (consumption) => consumption.whenSettled()));
  }
}
