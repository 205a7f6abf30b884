// The handshake over a socket: one message of at most 256 bytes after the other, in a given time. What stands in them is handshake.ts's. What
// comes behind the last message stays in the socket, unread. Behind the proofs the client says what the connection is for: a mailbox, which has the
// link's protocol from there on, or any other objects.

import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { isNaruError, NaruError } from '../errors/index.ts';
import { parseJson } from '../wire/frames.ts';
import {
  checkOpening,
  encodeOpening,
  encodeRefusal,
  isProof,
  NONCE_BYTES,
  prove,
  readRefusal,
  Refusal,
} from './handshake.ts';
import { MANAGER } from './limits.ts';
import type { Asked } from './protocol.ts';

const LENGTH_BYTES = 2;

/** The Manager's word on a mailbox that a client asked for. */
export function tellConsent(socket: Socket, word: { readonly created: boolean } | NaruError): void {
  writeMessage(socket, Buffer.from(JSON.stringify(wordOf(word)), 'utf8'));
}

function wordOf(word: { readonly created: boolean } | NaruError): object {
  return isNaruError(word) ? { code: word.code, message: word.message.slice(0, 1_000) } : word;
}

function writeMessage(socket: Socket, message: Uint8Array): void {
  const head = Buffer.alloc(LENGTH_BYTES);
  head.writeUInt16LE(message.byteLength);
  socket.write(Buffer.concat([head, message]));
}

/** One side of the conversation. */
class Conversation {
  readonly #socket: Socket;
  readonly #text: string;
  #failed: NaruError | undefined;
  #wake: () => void = () => undefined;
  readonly #look = (): void => this.#wake();
  readonly #broken = (cause?: Error): void => {
    const why = cause === undefined ? 'the other side closed the connection' : cause.message;
    this.fail(this.#error('NARU_DISCONNECTED', `${why} during the handshake`, cause));
  };
  readonly #ended = (): void => this.#broken();

  constructor(socket: Socket, text: string) {
    this.#socket = socket;
    this.#text = text;
    socket.on('readable', this.#look);
    socket.on('error', this.#broken);
    socket.on('end', this.#ended);
    socket.on('close', this.#ended);
  }

  /** Whoever takes over hears the socket's events from now on. */
  leave(): void {
    this.#socket.off('readable', this.#look);
    this.#socket.off('error', this.#broken);
    this.#socket.off('end', this.#ended);
    this.#socket.off('close', this.#ended);
  }

  fail(error: NaruError): void {
    this.#failed ??= error;
    this.#wake();
  }

  send(message: Uint8Array): void {
    writeMessage(this.#socket, message);
  }

  async next(most: number = MANAGER.handshakeBytesMax): Promise<Buffer> {
    const length = (await this.#take(LENGTH_BYTES)).readUInt16LE(0);
    if (length >= 1 && length <= most) return await this.#take(length);
    throw this.#error(
      'NARU_CORRUPT',
      `a message of ${length} bytes in the handshake, allowed are 1 to ${most}`,
    );
  }

  /** Exactly so many bytes, not one more. */
  async #take(bytes: number): Promise<Buffer> {
    for (;;) {
      // What has come counts, also when the other side has closed since.
      const chunk = this.#socket.read(bytes) as Buffer | null;
      if (chunk !== null && chunk.length === bytes) return chunk;
      if (this.#failed !== undefined) throw this.#failed;
      // The end came in the middle of a message.
      if (chunk !== null) throw this.#error('NARU_DISCONNECTED', 'a message of the handshake was cut off');
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #error(code: 'NARU_DISCONNECTED' | 'NARU_CORRUPT', what: string, cause?: Error): NaruError {
    return new NaruError(code, `${this.#text}: ${what}`, { mailbox: this.#text, cause });
  }
}

/**
 * Proves to a Manager that this side knows the key, and has it prove the same.
 * @param text     the URL, for errors
 * @param purpose  the mailbox that the connection is for; undefined: any other objects
 * @returns whether the mailbox was made for this
 * @throws what the Manager refuses the mailbox with; NARU_DENIED  the key is wrong; NARU_UNSUPPORTED  another version; NARU_LIMIT  too many clients; NARU_CORRUPT  it is no Manager;
 *         NARU_DISCONNECTED  the connection broke, or the time is over; the signal's reason
 */
export async function greetServer(
  socket: Socket,
  key: string,
  text: string,
  signal: AbortSignal,
  purpose?: Asked,
): Promise<boolean> {
  const late = (): NaruError =>
    new NaruError('NARU_DISCONNECTED', `${text}: no handshake within ${MANAGER.handshakeMs} ms`, {
      mailbox: text,
    });
  return await converse(socket, text, late, async (talk) => {
    const abort = (): void => talk.fail(late());
    signal.addEventListener('abort', abort, { once: true });
    try {
      if (signal.aborted) throw signal.reason;
      await proveFirst(talk, key, text);
      talk.send(Buffer.from(JSON.stringify(purpose ?? {}), 'utf8'));
      return purpose === undefined ? false : await hearConsent(talk);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }).catch((error: unknown) => {
    throw signal.aborted ? signal.reason : error;
  });
}

/** @throws what the Manager says about the mailbox */
async function hearConsent(talk: Conversation): Promise<boolean> {
  const answer = parseJson((await talk.next(MANAGER.purposeBytesMax)).toString('utf8'));
  if ('code' in answer) throw NaruError.fromJSON(answer);
  return answer['created'] === true;
}

async function proveFirst(talk: Conversation, key: string, text: string): Promise<void> {
  const hello = encodeOpening(randomBytes(NONCE_BYTES));
  talk.send(hello);
  const challenge = await heard(talk, text);
  const problem = checkOpening(challenge);
  if (problem === 'version') throw refusalError(Refusal.version, text);
  // A challenge that is our own hello has no chance of being a server's.
  if (problem !== undefined || challenge.equals(hello))
    throw new NaruError('NARU_CORRUPT', `${text}: no Manager listens there`, { mailbox: text });
  const proof = prove('client', key, [hello, challenge]);
  talk.send(proof);
  const answer = await heard(talk, text);
  if (isProof(answer, 'server', key, [hello, challenge, proof])) return;
  throw new NaruError('NARU_DENIED', `${text}: what listens there does not know the key`, { mailbox: text });
}

async function heard(talk: Conversation, text: string): Promise<Buffer> {
  const message = await talk.next();
  const reason = readRefusal(message);
  if (reason === undefined) return message;
  throw refusalError(reason, text);
}

function refusalError(reason: number, text: string): NaruError {
  if (reason === Refusal.version)
    return new NaruError(
      'NARU_UNSUPPORTED',
      `${text}: the Manager speaks another version of the handshake; use the same version of naru on both sides`,
      { mailbox: text },
    );
  if (reason === Refusal.full)
    return new NaruError(
      'NARU_LIMIT',
      `${text}: the Manager has as many connections as it may have; raise its maxConnections`,
      { mailbox: text },
    );
  return new NaruError('NARU_DENIED', `${text}: the Manager refused the key`, { mailbox: text });
}

/**
 * Has a client prove that it knows the key, and then proves the same.
 * @param text    the Manager's address, for errors
 * @param isFull  asked once the client is no stranger any more
 * @returns what the client wants: a mailbox, or nothing in particular
 * @throws NARU_DENIED, NARU_CORRUPT, NARU_UNSUPPORTED, NARU_DISCONNECTED, NARU_TIMEOUT, NARU_LIMIT: the socket is to be destroyed
 */
export function greetClient(
  socket: Socket,
  key: string,
  text: string,
  isFull: () => boolean,
): Promise<Record<string, unknown>> {
  const late = (): NaruError =>
    new NaruError('NARU_TIMEOUT', `${text}: a client did not prove to know the key`);
  return converse(socket, text, late, async (talk) => {
    const hello = await talk.next();
    const problem = checkOpening(hello);
    if (problem === 'version') {
      talk.send(encodeRefusal(Refusal.version));
      throw refusalError(Refusal.version, text);
    }
    if (problem !== undefined) throw new NaruError('NARU_CORRUPT', `${text}: a stranger`);
    const challenge = encodeOpening(randomBytes(NONCE_BYTES));
    talk.send(challenge);
    const proof = await talk.next();
    const isKnown = isProof(proof, 'client', key, [hello, challenge]);
    if (!isKnown || isFull()) {
      talk.send(encodeRefusal(isKnown ? Refusal.full : Refusal.proof));
      throw refusalError(isKnown ? Refusal.full : Refusal.proof, text);
    }
    talk.send(prove('server', key, [hello, challenge, proof]));
    return parseJson((await talk.next(MANAGER.purposeBytesMax)).toString('utf8'));
  });
}

async function converse<T>(
  socket: Socket,
  text: string,
  late: () => NaruError,
  run: (talk: Conversation) => Promise<T>,
): Promise<T> {
  const talk = new Conversation(socket, text);
  const timer = setTimeout(() => talk.fail(late()), MANAGER.handshakeMs);
  try {
    return await run(talk);
  } catch (error) {
    throw isNaruError(error) ? error : new NaruError('NARU_CORRUPT', `${text}: ${String(error)}`);
  } finally {
    clearTimeout(timer);
    talk.leave();
  }
}
