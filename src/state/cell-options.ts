// The options of openValue() and openArray() and the URL parameters of the same names: merging and checks. Knows no place.

import { NaruError } from '../errors/index.ts';
import type { Owner } from '../mailbox/capabilities.ts';
import { DEFAULTS } from '../mailbox/defaults.ts';
import type { Create } from '../mailbox/options.ts';
import { checkOption } from '../mailbox/parameters.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';

/** What openValue() and openArray() take beside URL and type. `create` and `owner` may stand in the URL. */
export interface OpenCellOptions {
  /** Default `if-missing`. */
  readonly create?: Create;
  /** How long it lives: `users` (while a handle is open; default of shm://), `process` (with its creator), `system` (until unlink()). */
  readonly owner?: Owner;
  /** Key of the Manager where it lives. Default: of the URL's `keyFile`, or of NARU_MANAGER_KEY. */
  readonly key?: string;
  /** Aborts opening. */
  readonly signal?: AbortSignal;
  /** Longest time opening may take, in milliseconds. Default 10,000. */
  readonly timeoutMs?: number;
}

const SHARED: readonly string[] = ['create', 'owner'];
const OBJECTS: readonly string[] = ['signal', 'timeoutMs', 'key'];

/**
 * Reads URL and options; the options win.
 * @throws NARU_INVALID_ARGUMENT  not a URL, an unknown option or parameter, a wrong value
 */
export function readCellRequest(
  url: string,
  given: OpenCellOptions,
): { readonly url: PlaceUrl; readonly options: OpenCellOptions } {
  const { parts, stated } = parseUrl(url);
  const strange = Object.keys(stated).find((option) => !SHARED.includes(option));
  if (strange !== undefined) throw invalid(parts.text, `values and arrays have no parameter "${strange}"`);
  const options: Record<string, unknown> = { timeoutMs: DEFAULTS.openTimeoutMs, ...stated };
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    if (SHARED.includes(name)) checkOption(name, value, parts.text);
    else if (!OBJECTS.includes(name)) throw invalid(parts.text, `there is no option "${name.slice(0, 80)}"`);
    options[name] = value;
  }
  return { url: parts, options };
}

/** @throws NARU_INVALID_ARGUMENT  the URL has a parameter that the place does not know */
export function checkCellParameters(url: PlaceUrl, parameters: readonly string[]): void {
  const unknown = Object.keys(url.extra).filter((name) => !parameters.includes(name));
  if (unknown.length > 0) throw invalid(url.text, `unknown parameter ${unknown.join(', ')}`);
}

function invalid(text: string, what: string): NaruError {
  return new NaruError('NARU_INVALID_ARGUMENT', `${text}: ${what}`, { mailbox: text });
}
