// A long list in pages, as RabbitMQ's tools ask for it: ?page=2&page_size=100&name=text. Without a page it is given whole.

import { badRequest } from './http-error.ts';

/** Elements of a page unless the request says otherwise. */
const SIZE = 100;

/** One page of a list. */
interface Page {
  readonly items: readonly unknown[];
  readonly page: number;
  readonly page_size: number;
  readonly page_count: number;
  readonly item_count: number;
  readonly filtered_count: number;
  readonly total_count: number;
}

/**
 * @param sizeMax  elements of a page
 * @returns the page that is asked for; anything but a list, and a list without a page, as it is
 * @throws HttpError 400
 */
export function pageOf(result: unknown, query: URLSearchParams, sizeMax: number): unknown {
  if (!Array.isArray(result) || !query.has('page')) return result;
  const all = result as readonly unknown[];
  const page = numberOf(query, 'page', 1, Number.MAX_SAFE_INTEGER);
  const size = numberOf(query, 'page_size', SIZE, sizeMax);
  const wanted = query.get('name') ?? '';
  // Text, not a pattern: a request never makes the broker work for long.
  const filtered = wanted === '' ? all : all.filter((item) => nameOf(item).includes(wanted));
  const items = filtered.slice((page - 1) * size, page * size);
  const answer: Page = {
    items,
    page,
    page_size: size,
    page_count: Math.max(1, Math.ceil(filtered.length / size)),
    item_count: items.length,
    filtered_count: filtered.length,
    total_count: all.length,
  };
  return answer;
}

function numberOf(query: URLSearchParams, name: string, usual: number, max: number): number {
  const text = query.get(name) ?? String(usual);
  const value = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  if (value >= 1 && value <= max) return value;
  throw badRequest(`${name} is ${JSON.stringify(text)}, but must be a whole number from 1 to ${max}`);
}

function nameOf(item: unknown): string {
  const { name } = (item ?? {}) as { readonly name?: unknown };
  return typeof name === 'string' ? name : '';
}
