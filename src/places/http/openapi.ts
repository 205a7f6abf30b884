// The OpenAPI 3.1 document of a mailbox, made from the table of routes.

import type { Host } from '../../link/host.ts';
import { PROBLEM_TYPE } from './problem.ts';
import { ref, type Route, SCHEMAS } from './route.ts';

/** What the document must know of a mailbox. */
export interface Described {
  /** Its path, as whoever asks knows it. */
  readonly base: string;
  readonly token: string | undefined;
  readonly host: Pick<Host, 'settings'>;
}

/** Statuses of errors that any route may answer with. */
const ALWAYS = [400, 401, 403, 503] as const;
const PROBLEM_TEXT: Readonly<Record<number, string>> = {
  400: 'the request is wrong',
  401: 'no token, or another one',
  403: 'a page of a browser, or a name of the host that is not known',
  404: 'not there',
  409: 'at odds with what is',
  410: 'the mailbox has ended, or is closed',
  413: 'too large',
  502: 'whoever served the request failed',
  503: 'no room, or too much at once: try again',
  504: 'not in time',
};

export function openApiDocument(
  { base, token, host }: Described,
  routes: readonly Route[],
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const key = base + route.path;
    paths[key] = { ...paths[key], [route.method.toLowerCase()]: operationOf(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `Naru mailbox ${base}`,
      version: '1',
      description: `Bodies up to ${host.settings.maxMessageBytes} bytes.`,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    ...(token === undefined ? {} : { security: [{ bearer: [] }] }),
    paths,
    components: { schemas: SCHEMAS, securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } } },
  };
}

function operationOf(route: Route): Record<string, unknown> {
  const { operation, summary, text, parameters, body, replies, problems } = route;
  const responses: Record<string, unknown> = {};
  for (const [status, reply] of Object.entries(replies)) {
    responses[status] = { description: reply.text, ...contentOf(reply.content) };
  }
  for (const status of [...ALWAYS, ...problems]) {
    responses[status] ??= {
      description: PROBLEM_TEXT[status] ?? 'failed',
      content: { [PROBLEM_TYPE]: { schema: ref('Problem') } },
    };
  }
  const asked = [
    ...(route.path.includes('{id}')
      ? [{ name: 'id', in: 'path', required: true, schema: { type: 'string' } }]
      : []),
    ...parameters.map((parameter) => ({
      name: parameter.name,
      in: parameter.in,
      description: parameter.text,
      schema: parameter.schema,
    })),
  ];
  return {
    operationId: operation,
    summary,
    description: text,
    ...(asked.length === 0 ? {} : { parameters: asked }),
    ...(body === undefined
      ? {}
      : { requestBody: { description: body.text, required: body.required, ...contentOf(body.content) } }),
    responses,
  };
}

function contentOf(content: Readonly<Record<string, unknown>> | undefined): {
  content?: Record<string, unknown>;
} {
  if (content === undefined) return {};
  return { content: Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema }])) };
}
