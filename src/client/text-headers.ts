// User headers of a message in an engine's own table of properties, so that programs of any kind read and write them: under their own names
// where the engine takes them all as they are, else as JSON under one name.

/** Under this name stand headers that the engine could not carry, or would take for its own. */
export const ODD_HEADERS = 'naru-headers';

/** All of them in one as soon as one is odd: then their order is kept, too. */
export function packHeaders(
  headers: Readonly<Record<string, string>>,
  isOdd: (name: string) => boolean,
): Record<string, string> {
  return Object.keys(headers).some(isOdd)
    ? { [ODD_HEADERS]: JSON.stringify(Object.entries(headers)) }
    : { ...headers };
}

/**
 * @param isForeign  tells names that are none of the user's
 * @returns undefined when there are none
 */
export function unpackHeaders(
  table: Readonly<Record<string, unknown>>,
  isForeign: (name: string) => boolean,
): Record<string, string> | undefined {
  const odd = parsedJson(table[ODD_HEADERS]);
  const entries = Array.isArray(odd)
    ? odd.filter(isEntry)
    : Object.entries(table)
        .filter(([name]) => name !== ODD_HEADERS && !isForeign(name))
        .map(([name, value]) => [name, textOf(value)] as const);
  return entries.length === 0 ? undefined : Object.fromEntries(entries);
}

/** What strangers may have put there. @returns undefined when it is no JSON text */
export function parsedJson(text: unknown): unknown {
  if (typeof text !== 'string') return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isEntry(one: unknown): one is [string, string] {
  return Array.isArray(one) && one.length === 2 && typeof one[0] === 'string' && typeof one[1] === 'string';
}

/** Headers of strangers may be of any kind. */
function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'bigint') return String(value);
  return JSON.stringify(value) ?? '';
}
