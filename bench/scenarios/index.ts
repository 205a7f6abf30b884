// Every scenario. A new one is a file here and a line below.

import { mailbox } from './mailbox.ts';
import type { Scenario } from './scenario.ts';

export const SCENARIOS: readonly Scenario[] = [mailbox];
