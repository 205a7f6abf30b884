// Errors as answers: a NaruError as application/problem+json (RFC 9457), and back.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { isNaruError, NaruError, type NaruErrorCode } from '../../errors/index.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** Status of each code that a request can meet; any other is 500. */
export const STATUS: Readonly<Partial<Record<NaruErrorCode, number>>> = {
  NARU_INVALID_ARGUMENT: 400,
  NARU_INVALID_MESSAGE: 400,
  NARU_UNSUPPORTED: 400,
  NARU_CORRUPT: 400,
  NARU_DENIED: 401,
  NARU_NOT_FOUND: 404,
  NARU_EXISTS: 409,
  NARU_SETTLED: 409,
  NARU_PEER_GONE: 409,
  NARU_CLOSED: 410,
  NARU_TOO_LARGE: 413,
  NARU_REMOTE: 502,
  NARU_FULL: 503,
  NARU_OVERLOADED: 503,
  NARU_LIMIT: 503,
  NARU_NO_CONSUMER: 503,
  NARU_TIMEOUT: 504,
};

/** Bytes of an answer that are read to find out why a request failed. */
const PROBLEM_BYTES_MAX = 65_536;

/**
 * @param status  where it is another than the code's
 * @param more    further members
 */
export function sendProblem(
  response: ServerResponse,
  error: unknown,
  status?: number,
  more: Readonly<Record<string, unknown>> = {},
): void {
  if (response.destroyed || response.writableEnded) return;
  // The answer has begun: all that can be said is that it is not whole.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const known = isNaruError(error) ? error : new NaruError('NARU_REMOTE', 'the request could not be served');
  const code = status ?? (isNaruError(error) ? STATUS[known.code] : undefined) ?? 500;
  const { partial } = known;
  const body = JSON.stringify({
    type: 'about:blank',
    title: known.code,
    status: code,
    detail: known.message,
    code: known.code,
    retryable: known.retryable,
    ...(partial === undefined ? {} : { partial }),
    ...more,
  });
  const headers: Record<string, string | number> = {
    'content-type': PROBLEM_TYPE,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  };
  if (code === 401) headers['www-authenticate'] = 'Bearer';
  if (code === 503) headers['retry-after'] = 1;
  // What is left of a request's body is not read.
  if (!response.req.complete) headers['connection'] = 'close';
  response.writeHead(code, headers);
  response.end(body);
}

/** Why a request failed, from its answer. Servers and proxies that know nothing of Naru are known by their status. */
export async function readProblem(response: IncomingMessage, mailbox: string): Promise<NaruError> {
  const status = response.statusCode ?? 0;
  const text = await readSome(response);
  const context = { place: 'http', mailbox };
  if (response.headers['content-type'] === PROBLEM_TYPE) {
    const { code, detail } = parse(text);
    return NaruError.fromJSON({ code, message: `${mailbox}: ${String(detail)}`, ...context });
  }
  const code = BY_STATUS[status] ?? 'NARU_DISCONNECTED';
  return new NaruError(code, `${mailbox}: the server answered with status ${status}`, context);
}

const BY_STATUS: Readonly<Record<number, NaruErrorCode>> = {
  401: 'NARU_DENIED',
  403: 'NARU_DENIED',
  404: 'NARU_NOT_FOUND',
};

async function readSome(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      bytes += part.length;
      if (bytes > PROBLEM_BYTES_MAX) break;
      parts.push(part);
    }
  } catch {
    // What came is enough to go by.
  }
  return Buffer.concat(parts).toString('utf8');
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}
