// What `naru send` sends: batches of message bodies from arguments or standard input, and their pace.

import { isUtf8 } from 'node:buffer';
import { createReadStream, fstatSync } from 'node:fs';
import { NaruError } from '../errors/index.ts';
import { pause } from './connect.ts';
import { LineSplitter } from './lines.ts';

/** Bodies to send in order. */
export interface Batch {
  readonly bodies: readonly Uint8Array[];
  /** It is one body, and the input ended without a line feed after it. */
  readonly unterminated: boolean;
}

/** How standard input becomes messages. */
export type StdinMode = 'lines' | 'bytes' | 'json-lines';

/** A file is read in pieces of this size; a pipe gives what it has. */
const FILE_CHUNK_BYTES = 512 * 1024;

/** One message an argument. */
export async function* fromArguments(texts: readonly string[]): AsyncGenerator<Batch> {
  yield { bodies: texts.map((text) => Buffer.from(text, 'utf8')), unterminated: false };
}

/**
 * Standard input.
 * @param bytesMax  the mailbox's limit: a longer message is refused before it fills the memory
 */
export async function* fromStdin(
  mode: StdinMode,
  bytesMax: number,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const chunks = openStdin(signal);
  if (mode === 'bytes') yield { bodies: [await readAll(chunks, bytesMax)], unterminated: false };
  else if (mode === 'lines') yield* lines(chunks, bytesMax);
  else yield* jsonLines(chunks, bytesMax);
}

/** Spreads the messages evenly: no more than `rate` a second. */
export async function* paced(
  batches: AsyncIterable<Batch>,
  rate: number,
  signal: AbortSignal,
): AsyncGenerator<Batch> {
  const startedAt = performance.now();
  let given = 0;
  for await (const { bodies, unterminated } of batches) {
    let from = 0;
    while (from < bodies.length) {
      const due = Math.floor(((performance.now() - startedAt) * rate) / 1000) + 1 - given;
      if (due <= 0) {
        await pause(startedAt + (given * 1000) / rate - performance.now(), signal);
        signal.throwIfAborted();
        continue;
      }
      const slice = bodies.slice(from, from + due);
      from += slice.length;
      given += slice.length;
      yield { bodies: slice, unterminated };
    }
  }
}

/** Chunks of standard input until its end or until the signal fires, which then throws its reason. */
async function* openStdin(signal: AbortSignal): AsyncGenerator<Buffer> {
  const isFile = fstatSync(0).isFile();
  const stream = isFile
    ? createReadStream('', { fd: 0, autoClose: false, highWaterMark: FILE_CHUNK_BYTES })
    : process.stdin;
  const stop = (): void => {
    stream.destroy(signal.reason as Error);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    signal.throwIfAborted();
    for await (const chunk of stream) yield chunk as Buffer;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

async function* lines(chunks: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Batch> {
  const splitter = new LineSplitter();
  let count = 0;
  for await (const chunk of chunks) {
    const bodies = splitter.push(chunk);
    count += bodies.length;
    if (bodies.length > 0) yield { bodies, unterminated: false };
    if (splitter.partialBytes > bytesMax) throw tooLong(`line ${count + 1}`, splitter.partialBytes, bytesMax);
  }
  const rest = splitter.end();
  if (rest !== undefined) yield { bodies: [rest], unterminated: true };
}

async function* jsonLines(chunks: AsyncIterable<Buffer>, bytesMax: number): AsyncGenerator<Batch> {
  let number = 0;
  for await (const { bodies } of lines(chunks, bytesMax)) {
    const values: Uint8Array[] = [];
    let failure: NaruError | undefined;
    for (const line of bodies) {
      number += 1;
      const value = checkJson(line, number);
      if (value instanceof NaruError) failure = value;
      else if (value !== undefined) values.push(value);
      if (failure !== undefined) break;
    }
    if (values.length > 0) yield { bodies: values, unterminated: false };
    if (failure !== undefined) throw failure;
  }
}

/** @returns the line without white space around it; undefined when nothing is left; an error when it is no JSON */
function checkJson(line: Uint8Array, number: number): Uint8Array | undefined | NaruError {
  const text = Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString('utf8').trim();
  if (text === '') return undefined;
  try {
    if (!isUtf8(line)) throw new Error('it is not UTF-8');
    JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return new NaruError('NARU_INVALID_MESSAGE', `line ${number} of standard input is no JSON: ${why}`);
  }
  return Buffer.from(text, 'utf8');
}

async function readAll(chunks: AsyncIterable<Buffer>, bytesMax: number): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) throw tooLong('standard input', bytes, bytesMax);
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

function tooLong(what: string, bytes: number, bytesMax: number): NaruError {
  return new NaruError(
    'NARU_TOO_LARGE',
    `${what} has ${bytes} bytes or more, the mailbox takes ${bytesMax} a message; create it with a larger capacity or size`,
  );
}
