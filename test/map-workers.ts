// Starts map-worker.ts as processes of their own, for the tests of maps on engines.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('./map-worker.js', import.meta.url));

export class MapWorker {
  readonly process: ChildProcess;
  readonly lines: AsyncIterator<string>;
  #errors = '';

  constructor(url: string, what: string, ...rest: readonly (string | number)[]) {
    this.process = spawn(process.execPath, [FILE, url, what, ...rest.map(String)], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.process.stderr?.on('data', (text: Buffer) => {
      this.#errors += text.toString();
    });
    this.lines = createInterface({ input: this.process.stdout as NodeJS.ReadableStream })[
      Symbol.asyncIterator
    ]();
  }

  /** The next line it writes. */
  async line(): Promise<string> {
    const next = await this.lines.next();
    if (next.done === true) throw new Error(`the worker ended: ${this.#errors}`);
    return next.value;
  }

  /** Lets a worker that is ready go on. */
  go(): void {
    this.process.stdin?.end('go\n');
  }

  kill(): void {
    this.process.kill('SIGKILL');
  }

  [Symbol.dispose](): void {
    this.kill();
  }
}

/** Starts so many, waits until all are ready, lets them go at once. @returns what each wrote at its end */
export async function together(
  workers: number,
  url: string,
  what: string,
  ...rest: readonly (string | number)[]
): Promise<unknown[]> {
  const all = Array.from({ length: workers }, () => new MapWorker(url, what, ...rest));
  try {
    for (const one of all) await one.line();
    for (const one of all) one.go();
    return await Promise.all(all.map(async (one) => JSON.parse(await one.line()) as unknown));
  } finally {
    for (const one of all) one.kill();
  }
}
