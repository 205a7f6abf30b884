// What an HTTP request is answered with when it is not done.

export class HttpError extends Error {
  override readonly name = 'HttpError';
  readonly status: number;
  /** Further members of the answer. */
  readonly more: Readonly<Record<string, unknown>>;

  /** @param reason  as RabbitMQ's management API has it in the member `reason` */
  constructor(status: number, reason: string, more: Readonly<Record<string, unknown>> = {}) {
    super(reason);
    this.status = status;
    this.more = more;
  }
}

export function notFound(): HttpError {
  return new HttpError(404, 'Not Found');
}

export function badRequest(reason: string): HttpError {
  return new HttpError(400, reason);
}
