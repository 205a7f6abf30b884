// One connection to a memcached server: requests of one turn of the event loop go out together, answers come in their order. It knows
// when the server was started, because a server that starts again forgets everything and counts its cas from 1 again.

import { connect as connectSocket, type Socket } from 'node:net';
import type { Connected } from '../../client/reconnecting.ts';
import { NaruError, type NaruErrorCode } from '../../errors/index.ts';
import type { PlaceUrl } from '../../mailbox/place.ts';
import { type Answer, AnswerParser, loginRequest } from './protocol.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** Of memcached itself: the largest item that can be set up. */
const ITEM_BYTES_MAX = 1_073_741_824;

export interface MemcachedTarget {
  readonly text: string;
  readonly host: string;
  readonly port: number;
  readonly username: string;
  readonly password: string;
}

/** @throws NARU_INVALID_ARGUMENT */
export function memcachedTarget(url: PlaceUrl): MemcachedTarget {
  if (url.path !== '' && url.path !== '/')
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${url.text}: a memcached URL has no path: memcached://host:11211?map=name`,
      { place: 'memcached', mailbox: url.text },
    );
  const host = url.host.replace(/^\[|\]$/g, '');
  return {
    text: url.text,
    host: host === '' ? '127.0.0.1' : host,
    port: url.port ?? 11_211,
    username: url.username,
    password: url.password,
  };
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  /** Whether it changes something. */
  readonly isWrite: boolean;
}

/** Statistics of a server by name. */
type Statistics = ReadonlyMap<string, string>;

export class MemcachedConnection implements Connected {
  readonly #socket: Socket;
  readonly #text: string;
  readonly #lost: () => void;
  readonly #parser = new AnswerParser(ITEM_BYTES_MAX);
  readonly #pending: Pending[] = [];
  #next = 0;
  #requests: (string | Buffer)[] = [];
  #lines: string[] | undefined;
  #boot = '';
  #itemBytesMax = 0;
  #broken: Error | undefined;

  private constructor(socket: Socket, text: string, lost: () => void) {
    this.#socket = socket;
    this.#text = text;
    this.#lost = lost;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 5_000);
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#break(error));
    socket.on('close', () => this.#break(new Error('the server closed the connection')));
  }

  /**
   * @param lost  called when the connection breaks
   * @throws NARU_DISCONNECTED (nobody listens), NARU_DENIED, NARU_UNSUPPORTED (too old)
   */
  static async connect(target: MemcachedTarget, lost: () => void): Promise<MemcachedConnection> {
    const { text, username, password } = target;
    const connection = new MemcachedConnection(await dial(target), text, lost);
    try {
      if (username !== '' || password !== '') await connection.#logIn(username, password);
      const [version] = (await connection.request('mn\r\n', false)).words;
      if (version !== 'MN') throw tooOld(text);
      const general = await connection.#statistics('stats\r\n');
      const settings = await connection.#statistics('stats settings\r\n');
      const started = Number(general.get('time')) - Number(general.get('uptime'));
      connection.#boot = `${general.get('pid')}.${started}`;
      connection.#itemBytesMax = Number(settings.get('item_size_max'));
      return connection;
    } catch (error) {
      connection.destroy();
      throw error;
    }
  }

  /** Which run of the server this is: another one has forgotten everything. */
  get boot(): string {
    return this.#boot;
  }

  /** Largest item of this server, key and all, in bytes. */
  get itemBytesMax(): number {
    return this.#itemBytesMax;
  }

  /**
   * Sends one request. @returns its answer
   * @throws NARU_DISCONNECTED, or NARU_OUTCOME_UNKNOWN for a write, when the connection breaks meanwhile
   * @throws NARU_DENIED, NARU_TOO_LARGE, NARU_FULL, NARU_LIMIT  the server's own errors
   */
  request(request: string | Buffer, isWrite: boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== undefined) {
        reject(this.#failure(this.#broken, false));
        return;
      }
      this.#pending.push({ resolve, reject, isWrite });
      this.#requests.push(request);
      if (this.#requests.length === 1) process.nextTick(() => this.#flush());
    });
  }

  ref(): void {
    this.#socket.ref();
  }

  unref(): void {
    this.#socket.unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #flush(): void {
    const requests = this.#requests;
    this.#requests = [];
    if (requests.length === 1) {
      this.#socket.write(requests[0] as string | Buffer, 'latin1');
      return;
    }
    this.#socket.cork();
    let text = '';
    for (const request of requests) {
      if (typeof request === 'string') text += request;
      else {
        if (text !== '') this.#socket.write(text, 'latin1');
        text = '';
        this.#socket.write(request);
      }
    }
    if (text !== '') this.#socket.write(text, 'latin1');
    this.#socket.uncork();
  }

  #take(chunk: Buffer): void {
    try {
      for (const answer of this.#parser.push(chunk)) this.#settle(answer);
    } catch (error) {
      this.#break(error as Error);
    }
  }

  #settle(answer: Answer): void {
    const [word = ''] = answer.words;
    if (this.#lines !== undefined && word === 'STAT') {
      this.#lines.push(answer.words.slice(1).join(' '));
      return;
    }
    const pending = this.#pending[this.#next];
    if (pending === undefined) throw new Error(`it sent "${word.slice(0, 20)}" without being asked`);
    this.#next += 1;
    // Shifting each time would move the whole queue.
    if (this.#next === this.#pending.length || this.#next >= 1024) {
      this.#pending.splice(0, this.#next);
      this.#next = 0;
    }
    if (word.endsWith('ERROR')) pending.reject(this.#refusal(answer.words.join(' ')));
    else pending.resolve(answer);
  }

  #break(error: Error): void {
    if (this.#broken !== undefined) return;
    this.#broken = error;
    this.#socket.destroy();
    for (const { reject, isWrite } of this.#pending.splice(0).slice(this.#next))
      reject(this.#failure(error, isWrite));
    this.#next = 0;
    this.#lost();
  }

  async #logIn(username: string, password: string): Promise<void> {
    await this.request(loginRequest(username, password), false);
  }

  async #statistics(request: string): Promise<Statistics> {
    this.#lines = [];
    await this.request(request, false);
    const pairs = this.#lines.map((line) => line.split(' ') as [string, string]);
    this.#lines = undefined;
    return new Map(pairs);
  }

  #failure(error: Error, isWrite: boolean): NaruError {
    const what = isWrite
      ? 'the connection broke before the server had answered: it may or may not have been stored'
      : 'there is no connection to the server; is it running, are host and port right?';
    return new NaruError(
      isWrite ? 'NARU_OUTCOME_UNKNOWN' : 'NARU_DISCONNECTED',
      `${this.#text}: ${what} (${error.message})`,
      { place: 'memcached', mailbox: this.#text, cause: error },
    );
  }

  #refusal(said: string): NaruError {
    const [code, advice] = REFUSALS.find(([pattern]) => pattern.test(said))?.[1] ?? OTHER_REFUSAL;
    return new NaruError(code, `${this.#text}: ${advice} (${said.slice(0, 200)})`, {
      place: 'memcached',
      mailbox: this.#text,
    });
  }
}

const OTHER_REFUSAL: readonly [NaruErrorCode, string] = ['NARU_LIMIT', 'the server refused it'];
const REFUSALS: readonly (readonly [RegExp, readonly [NaruErrorCode, string]])[] = [
  [/authentication failure/, ['NARU_DENIED', 'the server refuses user or password']],
  [/unauthenticated/, ['NARU_DENIED', 'the server wants a user: memcached://user:password@host']],
  [/object too large/, ['NARU_TOO_LARGE', 'the value is larger than an item of the server (its option -I)']],
  [/out of memory/, ['NARU_FULL', 'the server has no memory left and may not evict (its option -M)']],
  [/^ERROR$/, ['NARU_UNSUPPORTED', 'the server is too old: memcached 1.6 or newer']],
];

function tooOld(text: string): NaruError {
  return new NaruError('NARU_UNSUPPORTED', `${text}: the server is too old: memcached 1.6 or newer`, {
    place: 'memcached',
    mailbox: text,
  });
}

function dial({ host, port, text }: MemcachedTarget): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ host, port });
    const fail = (error: Error): void => {
      socket.destroy();
      reject(
        new NaruError(
          'NARU_DISCONNECTED',
          `${text}: there is no connection to the server; is it running, are host and port right? (${error.message})`,
          { place: 'memcached', mailbox: text, cause: error },
        ),
      );
    };
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => fail(new Error(`no answer within ${CONNECT_TIMEOUT_MS} ms`)));
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.setTimeout(0);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
