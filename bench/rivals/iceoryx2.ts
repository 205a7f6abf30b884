// iceoryx2, publish and subscribe: a crate of this repository (bench/rivals/iceoryx2) that cargo builds on the spot. Two
// processes, 64 bytes, written and read.

import type { Duel } from '../harness/duel.ts';
import { buildRust, RUST_PROGRAM } from './build.ts';
import { programDuel } from './program.ts';

export function iceoryx2(mode: 'flow' | 'ping'): Duel {
  const kind = mode === 'flow' ? 'throughput' : 'latency';
  const spec = { id: `iceoryx2-${mode}`, label: 'iceoryx2, Rust', kind } as const;
  return programDuel({ ...spec, ways: mode === 'flow' ? 1 : 2 }, RUST_PROGRAM, buildRust);
}
