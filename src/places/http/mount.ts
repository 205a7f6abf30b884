// Mailboxes without a port of their own: their handler is mounted in a server of the program, be it node:http, Express or Fastify.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { NaruError } from '../../errors/index.ts';
import type { Gateway } from './gateway.ts';
import { sendProblem } from './problem.ts';
import { splitTarget } from './server.ts';

const mounted = new Map<string, Gateway>();

/** Answers a request of node:http; `next` is called, as Express wants it, when the request is for somebody else. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse, next?: () => void) => void;

/** Where a handler is mounted. */
export interface HandlerOptions {
  /** What comes before the mailbox's name in the paths that reach the handler: '/queues'. Express takes it off itself. Default ''. */
  readonly base?: string;
}

/** @throws NARU_EXISTS */
export function addMounted(gateway: Gateway, mailbox: string): void {
  if (mounted.has(gateway.path)) {
    throw new NaruError(
      'NARU_EXISTS',
      `${mailbox}: a mailbox of that name is mounted in this process already`,
      {
        place: 'http',
        mailbox,
      },
    );
  }
  mounted.set(gateway.path, gateway);
}

export async function removeMounted(gateway: Gateway): Promise<void> {
  if (mounted.get(gateway.path) === gateway) mounted.delete(gateway.path);
  await gateway.close();
}

/**
 * The handler of a mailbox that was opened with `?mount`.
 *
 * @param mailbox  the handle, or its address: `http:///jobs`
 * @returns `handler(request, response, next?)`, for `createServer()`, `app.use()`, or behind `reply.hijack()`
 * @throws NARU_INVALID_ARGUMENT  it is no such mailbox
 */
export function handlerOf(
  mailbox: { readonly address: string } | string,
  { base = '' }: HandlerOptions = {},
): HttpHandler {
  const address = typeof mailbox === 'string' ? mailbox : mailbox.address;
  const path = /^http:\/\/(\/[^?]+)/.exec(address)?.[1] ?? '';
  const found = mounted.get(path);
  if (found === undefined) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${address}: no mailbox is mounted here by that name; open it with http:///name?mount`,
      { place: 'http', mailbox: address },
    );
  }
  const prefix = base.replace(/\/+$/, '') + path;
  return (request, response, next) => {
    const target = splitTarget(request.url ?? '');
    const rest = target.path.slice(prefix.length);
    if (target.path.startsWith(prefix) && (rest === '' || rest.startsWith('/'))) {
      void found.handle(request, response, rest, target.query);
    } else if (next !== undefined) {
      next();
    } else {
      sendProblem(
        response,
        new NaruError('NARU_NOT_FOUND', 'there is no such mailbox here', { place: 'http' }),
      );
    }
  };
}
