// RabbitMQ's definitions as a document: what its parts are called and must be. Whatever else is in it is left out.

import { NaruError } from '../errors/index.ts';
import type { PlainArguments } from './plain-table.ts';

/** The document; every part may be missing. */
export interface Definitions {
  readonly rabbit_version?: string;
  readonly users?: readonly {
    readonly name: string;
    readonly password?: string;
    readonly password_hash?: string;
    readonly hashing_algorithm?: string;
    /** A list, or a text with commas. */
    readonly tags?: string | readonly string[];
  }[];
  readonly vhosts?: readonly { readonly name: string }[];
  readonly permissions?: readonly {
    readonly user: string;
    readonly vhost: string;
    readonly configure: string;
    readonly write: string;
    readonly read: string;
  }[];
  readonly exchanges?: readonly {
    readonly name: string;
    readonly vhost: string;
    readonly type: string;
    readonly durable?: boolean;
    readonly auto_delete?: boolean;
    readonly internal?: boolean;
    readonly arguments?: PlainArguments;
  }[];
  readonly queues?: readonly {
    readonly name: string;
    readonly vhost: string;
    readonly durable?: boolean;
    readonly auto_delete?: boolean;
    readonly arguments?: PlainArguments;
  }[];
  readonly policies?: readonly {
    readonly name: string;
    readonly vhost: string;
    readonly pattern: string;
    readonly 'apply-to'?: string;
    readonly priority?: number;
    readonly definition: PlainArguments;
  }[];
  readonly bindings?: readonly {
    readonly source: string;
    readonly vhost: string;
    readonly destination: string;
    readonly destination_type: 'queue' | 'exchange';
    readonly routing_key?: string;
    readonly arguments?: PlainArguments;
  }[];
}

type Kind = 'text' | 'flag' | 'number' | 'table' | 'texts';

/** Members of each part; those with a question mark may be missing. */
const PARTS: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  vhosts: { name: 'text' },
  users: {
    name: 'text',
    'password?': 'text',
    'password_hash?': 'text',
    'hashing_algorithm?': 'text',
    'tags?': 'texts',
  },
  permissions: { user: 'text', vhost: 'text', configure: 'text', write: 'text', read: 'text' },
  policies: {
    name: 'text',
    vhost: 'text',
    pattern: 'text',
    'apply-to?': 'text',
    'priority?': 'number',
    definition: 'table',
  },
  exchanges: {
    name: 'text',
    vhost: 'text',
    type: 'text',
    'durable?': 'flag',
    'auto_delete?': 'flag',
    'internal?': 'flag',
    'arguments?': 'table',
  },
  queues: {
    name: 'text',
    vhost: 'text',
    'durable?': 'flag',
    'auto_delete?': 'flag',
    'arguments?': 'table',
  },
  bindings: {
    source: 'text',
    vhost: 'text',
    destination: 'text',
    destination_type: 'text',
    'routing_key?': 'text',
    'arguments?': 'table',
  },
};

const IS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === 'string',
  flag: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number',
  table: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  texts: (value) =>
    typeof value === 'string' || (Array.isArray(value) && value.every((one) => typeof one === 'string')),
};

/** @throws NARU_INVALID_ARGUMENT  the first thing in it that is not what it must be */
export function checkDocument(document: unknown): Definitions {
  if (!isObject(document)) throw wrong('they are no object');
  for (const [part, members] of Object.entries(PARTS)) {
    const list = document[part] ?? [];
    if (!Array.isArray(list)) throw wrong(`${part} is no list`);
    for (const [at, element] of (list as readonly unknown[]).entries()) {
      checkElement(`${part}[${at}]`, element, members);
    }
  }
  return document;
}

function checkElement(where: string, element: unknown, members: Readonly<Record<string, Kind>>): void {
  if (!isObject(element)) throw wrong(`${where} is no object`);
  for (const [member, kind] of Object.entries(members)) {
    const isOptional = member.endsWith('?');
    const name = isOptional ? member.slice(0, -1) : member;
    const value = element[name];
    if (isOptional && (value === undefined || value === null)) continue;
    if (!IS[kind](value)) throw wrong(`${where}.${name} is missing or no ${kind}`);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return IS.table(value);
}

export function wrong(what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `the definitions cannot be imported: ${what}`);
}
