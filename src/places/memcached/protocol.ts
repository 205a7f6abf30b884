// memcached's meta commands as bytes: requests, and a parser of answers that is fed what a socket gives. Pure: no socket, no clock.
// https://github.com/memcached/memcached/blob/master/doc/protocol.txt

import { NaruError } from '../../errors/index.ts';

/** Longest line that a server of any version sends. */
const LINE_BYTES_MAX = 8_192;
/** Keys are tokens of a line; others are sent as base64, which the server decodes. */
const PLAIN_KEY = /^[\x21-\x7e]+$/;

/** One answer: the words of its line, and the value where it brings one. */
export interface Answer {
  readonly words: readonly string[];
  readonly value: Buffer | undefined;
}

/** A key as it stands in a line, with the flag that says how. */
function keyToken(key: string): readonly [string, string] {
  return PLAIN_KEY.test(key) ? [key, ''] : [Buffer.from(key).toString('base64'), ' b'];
}

/** Asks for value, flags and cas. */
export function getRequest(key: string): string {
  const [token, flag] = keyToken(key);
  return `mg ${token} v f c${flag}\r\n`;
}

/** Asks for flags and cas alone. */
export function lookRequest(key: string): string {
  const [token, flag] = keyToken(key);
  return `mg ${token} f c${flag}\r\n`;
}

export interface SetParts {
  readonly flags: number;
  /** In seconds, or a Unix time; 0: never. */
  readonly exptime: number;
  /** Only where there is none; only while it has this cas. */
  readonly only: 'absent' | bigint | undefined;
}

export function setRequest(key: string, value: Uint8Array, { flags, exptime, only }: SetParts): Buffer {
  const [token, flag] = keyToken(key);
  const mode = only === undefined ? '' : only === 'absent' ? ' ME' : ` C${only}`;
  const line = `ms ${token} ${value.byteLength} F${flags} T${exptime}${mode}${flag}\r\n`;
  const request = Buffer.allocUnsafe(line.length + value.byteLength + 2);
  request.write(line, 0, 'latin1');
  request.set(value, line.length);
  request.write('\r\n', line.length + value.byteLength, 'latin1');
  return request;
}

export function deleteRequest(key: string, cas: bigint | undefined): string {
  const [token, flag] = keyToken(key);
  return `md ${token}${cas === undefined ? '' : ` C${cas}`}${flag}\r\n`;
}

/** The text protocol's login: a set whose value is user and password. */
export function loginRequest(username: string, password: string): string {
  const login = `${username} ${password}`;
  return `set auth 0 0 ${Buffer.byteLength(login)}\r\n${login}\r\n`;
}

/** A part of an answer by the letter that marks it: `c` of `VA 3 f0 c17` is 17. */
export function part({ words }: Answer, letter: string): string | undefined {
  return words.find((word, at) => at > 0 && word.startsWith(letter))?.slice(1);
}

export class AnswerParser {
  readonly #valueBytesMax: number;
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** So many bytes must be there before it is worth looking again. */
  #needed = 0;

  /** @param valueBytesMax  a server that announces more is not memcached */
  constructor(valueBytesMax: number) {
    this.#valueBytesMax = valueBytesMax;
  }

  /**
   * @returns the answers that are complete now, in order
   * @throws NARU_INVALID_MESSAGE  these are no answers of memcached
   */
  push(chunk: Buffer): Answer[] {
    this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes < this.#needed) return [];
    const all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks, this.#bytes);
    const answers: Answer[] = [];
    let at = 0;
    for (;;) {
      const found = this.#parse(all, at);
      if (typeof found === 'number') {
        this.#needed = found;
        break;
      }
      answers.push(found.answer);
      at = found.end;
    }
    this.#chunks = at === all.byteLength ? [] : [all.subarray(at)];
    this.#bytes = all.byteLength - at;
    return answers;
  }

  /** @returns an answer and where it ends, or how many bytes are needed */
  #parse(bytes: Buffer, start: number): { readonly answer: Answer; readonly end: number } | number {
    const end = bytes.indexOf('\r\n', start, 'latin1');
    if (end < 0) {
      if (bytes.byteLength - start > LINE_BYTES_MAX) throw garbage('a line without an end');
      return bytes.byteLength - start + 1;
    }
    const words = bytes.toString('latin1', start, end).split(' ');
    if (words[0] !== 'VA') return { answer: { words, value: undefined }, end: end + 2 };
    const size = Number(words[1]);
    if (!Number.isInteger(size) || size < 0 || size > this.#valueBytesMax)
      throw garbage(`a value of ${String(words[1]).slice(0, 20)} bytes`);
    const [from, to] = [end + 2, end + 2 + size];
    if (bytes.byteLength < to + 2) return to + 2 - start;
    if (bytes[to] !== 13 || bytes[to + 1] !== 10) throw garbage('a value without an end');
    return { answer: { words, value: bytes.subarray(from, to) }, end: to + 2 };
  }
}

function garbage(what: string): NaruError {
  return new NaruError('NARU_INVALID_MESSAGE', `the server sent ${what}: this is not memcached`, {
    place: 'memcached',
  });
}
