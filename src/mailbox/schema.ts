// Standard Schema (standardschema.dev, version 1) as a structural type of our own, so that no package of types becomes
// part of Naru's public types, and the one function that runs a schema.

import { NaruError } from '../errors/index.ts';

/** Any schema of zod, valibot, arktype or another library that implements Standard Schema. */
export interface Schema<In = unknown, Out = In> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Out> | Promise<SchemaResult<Out>>;
    readonly types?: { readonly input: In; readonly output: Out } | undefined;
  };
}

/** What `validate` answers: a value, or the issues found. */
export type SchemaResult<Out> =
  | { readonly value: Out; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** What a program may give to a schema's mailbox, and what it gets from it. */
export type InputOf<S> = S extends Schema<infer I, infer _O> ? I : never;
export type OutputOf<S> = S extends Schema<infer _I, infer O> ? O : never;

/**
 * Runs a schema synchronously where the schema is synchronous.
 *
 * @returns the validated value, or a promise of it when the schema is asynchronous
 * @throws NARU_INVALID_MESSAGE  the value does not fit; the message lists the issues
 */
export function validate<Out>(
  schema: Schema<unknown, Out>,
  value: unknown,
  mailbox: string,
): Out | Promise<Out> {
  const result = schema['~standard'].validate(value);
  return result instanceof Promise ? result.then((r) => unwrap(r, mailbox)) : unwrap(result, mailbox);
}

function unwrap<Out>(result: SchemaResult<Out>, mailbox: string): Out {
  if (result.issues === undefined) return result.value;
  const shown = result.issues.slice(0, 5).map(describeIssue).join('; ');
  const more = result.issues.length > 5 ? ` and ${result.issues.length - 5} more` : '';
  throw new NaruError(
    'NARU_INVALID_MESSAGE',
    `${mailbox}: the message does not fit its schema: ${shown}${more}`,
    {
      mailbox,
    },
  );
}

function describeIssue(issue: SchemaIssue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.');
  return path === '' ? issue.message : `${path}: ${issue.message}`;
}
