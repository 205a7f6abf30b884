// The flag --header key=value, which `naru send` and `naru request` share.

import { UsageError } from './exit.ts';

/**
 * Headers from their flags, as a part of SendOptions; empty when there are none.
 * @throws UsageError  a flag without "="
 */
export function readHeaders(texts: readonly string[]): { readonly headers?: Record<string, string> } {
  if (texts.length === 0) return {};
  return { headers: Object.fromEntries(texts.map(readHeader)) };
}

function readHeader(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new UsageError(`--header takes key=value, not "${text}"`);
}
