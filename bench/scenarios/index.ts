// Every scenario, and through them every contestant. A new scenario is a file here and a line below.

import type { Duel } from '../harness/duel.ts';
import { broker } from './broker.ts';
import { engines } from './engines.ts';
import { fan } from './fan.ts';
import { kernel } from './kernel.ts';
import { large } from './large.ts';
import { log } from './log.ts';
import { mailbox } from './mailbox.ts';
import { pipe } from './pipe.ts';
import { ring } from './ring.ts';
import type { Scenario } from './scenario.ts';
import { state } from './state.ts';
import { wake } from './wake.ts';

export const SCENARIOS: readonly Scenario[] = [
  mailbox,
  ring,
  wake,
  large,
  fan,
  kernel,
  pipe,
  log,
  state,
  broker,
  engines,
];

/** @throws when there is none with this id */
export function duelOf(id: string): Duel {
  for (const { duels } of SCENARIOS) {
    const found = duels.find((duel) => duel.id === id);
    if (found !== undefined) return found;
  }
  throw new Error(`no contestant "${id}"`);
}
