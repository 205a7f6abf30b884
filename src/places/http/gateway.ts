// One mailbox as HTTP: finds the route of a request, checks who asks, and answers what goes wrong. Knows no port: server.ts and
// mount.ts bring requests.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { NaruError } from '../../errors/index.ts';
import type { Host } from '../../link/host.ts';
import { Access } from './access.ts';
import { Exchange, ReadingBudget } from './exchange.ts';
import { type Guest, Guests } from './guests.ts';
import { Idempotency } from './idempotency.ts';
import { Leases } from './leases.ts';
import { Links } from './links.ts';
import { openApiDocument } from './openapi.ts';
import type { HttpOptions } from './options.ts';
import { PollGroups } from './poll-groups.ts';
import { sendProblem } from './problem.ts';
import type { Door } from './route.ts';
import { findRoute, ROUTES } from './routes.ts';

export interface GatewayInit {
  readonly host: Host;
  readonly options: HttpOptions;
  readonly address: string;
  readonly unlink: () => Promise<void>;
  /** Something failed that no answer could say. */
  readonly onError: (error: Error) => void;
}

export class Gateway implements Door {
  readonly host: Host;
  readonly path: string;
  readonly token: string | undefined;
  readonly guests: Guests;
  readonly leases: Leases = new Leases();
  readonly groups: PollGroups;
  readonly idempotency: Idempotency = new Idempotency();
  readonly links: Links;
  readonly #access: Access;
  readonly #budget = new ReadingBudget();
  readonly #pollsMax: number;
  readonly #onError: (error: Error) => void;
  #polls = 0;
  #sends = 0;
  #sender: Promise<Guest> | undefined;
  #closed: Promise<void> | undefined;

  constructor({ host, options, address, unlink, onError }: GatewayInit) {
    this.host = host;
    this.path = options.path;
    this.token = options.token;
    const { connectionsMax, heartbeatMs } = options;
    this.links = new Links({ host, connectionsMax, heartbeatMs, unlink });
    this.guests = new Guests(host, address);
    this.groups = new PollGroups(this.guests);
    this.#pollsMax = options.pollsMax;
    this.#access = new Access(options.token, options.mount || options.anonymous ? undefined : options.host);
    this.#onError = onError;
  }

  document(base: string): object {
    const { token, host } = this;
    return openApiDocument({ base, token, host }, ROUTES);
  }

  /**
   * Answers a request.
   * @param path  below the mailbox: '', `/receive`
   */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    query: string,
  ): Promise<void> {
    try {
      const refusal = this.#access.refusal(request);
      if (refusal !== undefined) {
        sendProblem(response, refusal.error, refusal.status);
        return;
      }
      const match = findRoute(request.method ?? '', path);
      if (match?.route === undefined) {
        this.#refuse(response, match?.allowed);
        return;
      }
      const { route, id } = match;
      const exchange = new Exchange(request, response, { id, path, query, budget: this.#budget });
      exchange.checkQuery(route.parameters);
      await route.handle(exchange, this);
    } catch (error) {
      if (!(error instanceof NaruError) && !response.destroyed) this.#onError(error as Error);
      sendProblem(response, error);
    }
  }

  /** Does something with the handle that sends. Its seat is kept, unless others cannot have one meanwhile. */
  async sending<T>(act: (guest: Guest) => Promise<T>): Promise<T> {
    this.#sender ??= this.guests.open();
    const guest = await this.#sender;
    this.#sends += 1;
    try {
      return await act(guest);
    } finally {
      this.#sends -= 1;
      if (this.#sends === 0 && this.host.settings.relation.startsWith('1'))
        await guest.disconnect('producer');
    }
  }

  /** Does something that may wait long. @throws NARU_OVERLOADED  too many wait already */
  async polling<T>(act: () => Promise<T>): Promise<T> {
    if (this.#polls >= this.#pollsMax) {
      throw new NaruError(
        'NARU_OVERLOADED',
        `${this.#pollsMax} requests wait already, that is the limit; raise maxPolls where it listens`,
        { place: 'http' },
      );
    }
    this.#polls += 1;
    try {
      return await act();
    } finally {
      this.#polls -= 1;
    }
  }

  /** Ends what waits and gives back what is held. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.leases.close();
    this.groups.close();
    await Promise.all([this.guests.close(), this.links.close()]);
  }

  #refuse(response: ServerResponse, allowed: readonly string[] | undefined): void {
    if (allowed === undefined) {
      sendProblem(
        response,
        new NaruError('NARU_NOT_FOUND', 'there is no such route; see …/openapi.json'),
        404,
      );
      return;
    }
    response.setHeader('allow', allowed.join(', '));
    sendProblem(response, new NaruError('NARU_UNSUPPORTED', `this path answers ${allowed.join(', ')}`), 405);
  }
}
