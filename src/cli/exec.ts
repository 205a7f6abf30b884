// A command of the user for each message: its body on standard input, its exit code the verdict. Used by `naru receive
// --exec` (output goes to ours) and `naru serve --exec` (output is the answer).

import { spawn } from 'node:child_process';
import { NaruError } from '../errors/index.ts';
import type { Message } from '../mailbox/message.ts';
import type { ByteMailbox } from './connect.ts';
import type { Ending } from './exit.ts';

/** Text of standard error that is kept for an error's message. */
const ERROR_TEXT_MAX = 2_000;

/**
 * Runs a shell command for one message.
 *
 * @param bytesMax  largest answer; undefined = standard output is ours and there is no answer
 * @returns what it wrote to standard output
 * @throws NARU_REMOTE     its exit code is not 0, or a signal ended it
 * @throws NARU_TOO_LARGE  it wrote more than `bytesMax`
 */
export function runForMessage(
  shellCommand: string,
  message: Message<Uint8Array>,
  bytesMax: number | undefined,
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const child = spawn(shellCommand, {
      shell: true,
      stdio: [
        'pipe',
        bytesMax === undefined ? 'inherit' : 'pipe',
        bytesMax === undefined ? 'inherit' : 'pipe',
      ],
      env: { ...process.env, ...environmentOf(message) },
    });
    children.add(child);
    const answer: Buffer[] = [];
    let bytes = 0;
    let errorText = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
      if (bytesMax !== undefined && bytes > bytesMax) child.kill('SIGKILL');
      else answer.push(chunk);
    });
    child.stderr?.on('data', (chunk: Buffer) => {
      process.stderr.write(chunk);
      if (errorText.length < ERROR_TEXT_MAX) errorText += chunk.toString('utf8');
    });
    child.on('error', (cause) => {
      children.delete(child);
      reject(new NaruError('NARU_REMOTE', `the command could not be started: ${cause.message}`, { cause }));
    });
    child.on('close', (code, signal) => {
      children.delete(child);
      if (bytesMax !== undefined && bytes > bytesMax) reject(tooLarge(bytesMax));
      else if (code === 0) resolve(Buffer.concat(answer));
      else reject(failure(code, signal, errorText));
    });
    // A command that does not read its input closes it early; its exit code is what counts.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(message.body);
  });
}

const children = new Set<ReturnType<typeof spawn>>();

/** The process ends now: its commands must not outlive it. */
process.on('exit', () => {
  for (const child of children) child.kill('SIGTERM');
});

/** What is asked of `receiveWithCommand`. */
export interface ExecLimits {
  /** End after so many messages were handled. */
  readonly count: number;
  /** Longest wait for the next message. */
  readonly timeoutMs?: number;
}

/**
 * Runs the command for each message, one at a time, until `count` were handled, the mailbox ended or a message failed too often.
 * @throws NARU_REMOTE, NARU_TIMEOUT, the reason of the Ending
 */
export async function receiveWithCommand(
  mailbox: ByteMailbox,
  shellCommand: string,
  { count, timeoutMs }: ExecLimits,
  ending: Ending,
): Promise<void> {
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  ending.signal.addEventListener('abort', stop, { once: true });
  let handled = 0;
  const idle = new IdleTimer(timeoutMs, stop);
  const consumption = mailbox.consume(
    async (message) => {
      idle.pause();
      try {
        await runForMessage(shellCommand, message, undefined);
      } finally {
        idle.restart();
      }
      handled += 1;
      if (handled >= count) stop();
    },
    { signal: enough.signal },
  );
  try {
    await consumption.finished;
  } finally {
    idle.pause();
    ending.signal.removeEventListener('abort', stop);
  }
  ending.signal.throwIfAborted();
  if (idle.fired && handled < count) {
    throw new NaruError('NARU_TIMEOUT', `${mailbox.address}: no message came within ${timeoutMs} ms`);
  }
}

/** Fires when nothing happened for so long. */
class IdleTimer {
  readonly #ms: number | undefined;
  readonly #onIdle: () => void;
  #timer: NodeJS.Timeout | undefined;
  fired = false;

  constructor(ms: number | undefined, onIdle: () => void) {
    this.#ms = ms;
    this.#onIdle = onIdle;
    this.restart();
  }

  pause(): void {
    clearTimeout(this.#timer);
  }

  restart(): void {
    this.pause();
    if (this.#ms === undefined) return;
    this.#timer = setTimeout(() => {
      this.fired = true;
      this.#onIdle();
    }, this.#ms);
  }
}

function environmentOf(message: Message<Uint8Array>): Record<string, string> {
  return {
    NARU_ID: message.id,
    NARU_DELIVERIES: String(message.deliveries),
    NARU_HEADERS: JSON.stringify(message.headers),
    ...(message.type === undefined ? {} : { NARU_TYPE: message.type }),
  };
}

function failure(code: number | null, signal: NodeJS.Signals | null, errorText: string): NaruError {
  const how = code === null ? `was ended by ${signal}` : `ended with exit code ${code}`;
  const why = errorText.trim().split('\n').at(-1) ?? '';
  return new NaruError('NARU_REMOTE', `the command ${how}${why === '' ? '' : `: ${why}`}`);
}

function tooLarge(bytesMax: number): NaruError {
  return new NaruError(
    'NARU_TOO_LARGE',
    `the command wrote more than the ${bytesMax} bytes an answer may have`,
  );
}
