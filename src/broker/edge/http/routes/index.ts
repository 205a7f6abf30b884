// The routes of the management API: one table, each with what a user must be and may to call it. Nothing is reachable that is not
// here. The page docs/reference/broker-http.md is generated from it.

import type { Route } from '../route.ts';
import { clientRoutes } from './clients.ts';
import { objectRoutes } from './objects.ts';
import { overviewRoutes } from './overview.ts';
import { policyRoutes } from './policies.ts';
import { userRoutes } from './users.ts';

export const ROUTES: readonly Route[] = [
  ...overviewRoutes,
  ...userRoutes,
  ...clientRoutes,
  ...objectRoutes,
  ...policyRoutes,
];
