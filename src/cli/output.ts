// What commands show: bytes on standard output with back pressure, progress and notes on standard error, colour and tables.
// Nothing here knows a mailbox.

import { styleText } from 'node:util';

const LINE_FEED = Buffer.from('\n');

/** The colours that commands use. */
export type Colour = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

/** Paints text where the stream is a terminal and the user did not ask for none (NO_COLOR). */
export function paint(colour: Colour, text: string, stream: { readonly isTTY?: boolean }): string {
  return hasColour(stream) ? styleText(colour, text) : text;
}

/** Whether a stream gets colour. */
export function hasColour(stream: { readonly isTTY?: boolean }): boolean {
  const { NO_COLOR, TERM } = process.env;
  return stream.isTTY === true && (NO_COLOR ?? '') === '' && TERM !== 'dumb';
}

/**
 * Standard output: collects, then writes everything at once and waits until it is written. What was not flushed was not
 * written, so a message must be settled only after its flush.
 */
export class ByteWriter {
  #parts: Uint8Array[] = [];

  add(bytes: Uint8Array): void {
    this.#parts.push(bytes);
  }

  addLine(bytes: Uint8Array): void {
    this.#parts.push(bytes, LINE_FEED);
  }

  /** @throws the system's error: EPIPE when the reader went away, ENOSPC, … */
  async flush(): Promise<void> {
    const parts = this.#parts;
    if (parts.length === 0) return;
    this.#parts = [];
    const bytes = parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts);
    await write(process.stdout, bytes);
  }
}

/** Writes text to standard output and waits until it is written. */
export function print(text: string): Promise<void> {
  return write(process.stdout, text);
}

/** Writes one JSON document on one line. */
export function printJson(value: unknown): Promise<void> {
  return print(`${JSON.stringify(value)}\n`);
}

/** Writes a line to standard error. It is lost rather than waited for when nobody reads. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

function write(stream: NodeJS.WriteStream, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => (error === undefined || error === null ? resolve() : reject(error)));
  });
}

/** One line on standard error that is written over again; nothing at all where it is no terminal. */
export class Progress {
  readonly #active: boolean;
  #shownAt = 0;
  #visible = false;

  constructor(wanted = true) {
    this.#active = wanted && process.stderr.isTTY;
  }

  /** True on a terminal: only then is it worth making a text. */
  get active(): boolean {
    return this.#active;
  }

  /** Shows what `text` returns, at most ten times a second. */
  update(text: () => string): void {
    if (!this.#active) return;
    const now = performance.now();
    if (this.#visible && now - this.#shownAt < 100) return;
    this.#shownAt = now;
    this.#visible = true;
    const width = Math.max(20, process.stderr.columns || 80) - 1;
    process.stderr.write(`\r\u001b[2K${text().slice(0, width)}`);
  }

  /** Takes the line away. */
  clear(): void {
    if (!this.#visible) return;
    this.#visible = false;
    process.stderr.write('\r\u001b[2K');
  }
}

/** A column of a table: its heading, and whether numbers stand in it. */
export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Lays cells out in columns two spaces apart. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  stream: { readonly isTTY?: boolean },
): string {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => (row[index] ?? '').length)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ right }, index) => {
        const cell = cells[index] ?? '';
        const width = widths[index] ?? 0;
        return right === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join('  ')
      .trimEnd();
  const heading = paint('bold', line(columns.map(({ title }) => title)), stream);
  return `${[heading, ...rows.map(line)].join('\n')}\n`;
}

/** 1234567 → "1,234,567" */
export function formatCount(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** "1 message", "2,000 messages" */
export function messages(count: number): string {
  return `${formatCount(count)} message${count === 1 ? '' : 's'}`;
}

/** 5242880 → "5.0 MiB" */
export function formatBytes(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Microseconds in the unit that reads best. */
export function formatMicros(micros: number | null): string {
  if (micros === null) return '-';
  if (micros >= 1e6) return `${(micros / 1e6).toFixed(2)} s`;
  if (micros >= 1e3) return `${(micros / 1e3).toFixed(1)} ms`;
  return `${micros.toFixed(micros < 10 ? 1 : 0)} µs`;
}
