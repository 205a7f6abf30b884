// What servers and sockets say went wrong, as errors of Naru that say what to do. Never carries a password.

import { NaruError, type NaruErrorCode } from '../../errors/index.ts';

/** Reply codes of AMQP. */
export const REPLY = {
  tooLarge: 311,
  refused: 403,
  notFound: 404,
  locked: 405,
  precondition: 406,
  notAllowed: 530,
} as const;

const MEANING: Readonly<Record<number, readonly [NaruErrorCode, string]>> = {
  [REPLY.tooLarge]: ['NARU_TOO_LARGE', 'it is larger than the server takes'],
  320: ['NARU_DISCONNECTED', 'the server closes its connections'],
  [REPLY.refused]: ['NARU_DENIED', 'the server refuses user or password, or this user may not do that'],
  [REPLY.notFound]: ['NARU_NOT_FOUND', 'the server has no such queue or exchange'],
  [REPLY.locked]: ['NARU_LIMIT', 'another connection has it for itself'],
  [REPLY.precondition]: ['NARU_EXISTS', 'it exists with other properties'],
  506: ['NARU_LIMIT', 'the server has no resources left'],
  541: ['NARU_UNSUPPORTED', 'the server does not do that'],
};

/** The reply code that a channel or connection was closed with; undefined when it just broke. */
export function replyCode(error: unknown): number | undefined {
  const { code, message } = error as { code?: unknown; message?: unknown };
  if (typeof code === 'number') return code;
  // A handshake that the server ends has it in the text only.
  const found = /(?:by server|failed)[^"]*?: (\d{3}) \(/.exec(String(message))?.[1];
  return found === undefined ? undefined : Number(found);
}

export function replyText(error: unknown): string {
  return String((error as { message?: unknown }).message);
}

/** @param mayHaveHappened  what was asked for changes something, and the answer did not come */
export function amqpError(error: unknown, text: string, mayHaveHappened = false): NaruError {
  if (error instanceof NaruError) return error;
  const code = replyCode(error);
  const said = replyText(error);
  const [name, advice] = meaningOf(code, said, mayHaveHappened);
  return new NaruError(name, `${text}: ${advice} (${said === '' ? String(code) : said})`, {
    place: 'amqp',
    mailbox: text,
    cause: error,
  });
}

function meaningOf(
  code: number | undefined,
  said: string,
  mayHaveHappened: boolean,
): readonly [NaruErrorCode, string] {
  if (code === REPLY.notAllowed) {
    return /not found/.test(said)
      ? ['NARU_NOT_FOUND', 'the server has no such virtual host; make it, or correct the path of the URL']
      : /limit/.test(said)
        ? ['NARU_LIMIT', 'the server takes no more of it']
        : ['NARU_DENIED', 'this user may not use this virtual host'];
  }
  if (code !== undefined) return MEANING[code] ?? ['NARU_LIMIT', 'the server refused it'];
  if (/certificate|altnames|self.signed/i.test(said)) return ['NARU_DENIED', 'the certificates do not fit'];
  return mayHaveHappened
    ? [
        'NARU_OUTCOME_UNKNOWN',
        'the connection broke before the server had answered: it may or may not have happened',
      ]
    : ['NARU_DISCONNECTED', 'there is no connection to the server; is it running, are host and port right?'];
}
