// The table of all routes, and finding the one that a request means.

import { ABOUT } from './about.ts';
import { STREAMING } from './events.ts';
import { LINKING } from './link-routes.ts';
import { RECEIVING } from './receiver.ts';
import type { Route } from './route.ts';
import { SENDING } from './sender.ts';

export const ROUTES: readonly Route[] = [...SENDING, ...RECEIVING, ...STREAMING, ...ABOUT, ...LINKING];

const ID = '{id}';

/** By path without its id: the routes of each method. */
const BY_PATH = new Map<string, Map<string, Route>>();
for (const route of ROUTES) {
  const path = route.path.replace(ID, '');
  const methods = BY_PATH.get(path) ?? new Map<string, Route>();
  BY_PATH.set(path, methods.set(route.method, route));
}

export interface Match {
  readonly route: Route | undefined;
  readonly id: string;
  /** What the path can do, when not this. */
  readonly allowed: readonly string[];
}

/** @param path  below the mailbox @returns undefined when there is nothing at this path */
export function findRoute(method: string, path: string): Match | undefined {
  const slash = path.lastIndexOf('/') + 1;
  const plain = BY_PATH.get(path);
  const methods = plain ?? (slash > 1 && slash < path.length ? BY_PATH.get(path.slice(0, slash)) : undefined);
  if (methods === undefined) return undefined;
  const id = plain === undefined ? path.slice(slash) : '';
  return { route: methods.get(method), id, allowed: [...methods.keys()] };
}
