// The messages of demo and bench: each says who sent it, as which, and when, so that the receiver can prove that every one
// came once, in order and whole, and tell how long it took.

import { Histogram } from './histogram.ts';

/** Smallest body that holds what a probe says. */
export const PROBE_BYTES_MIN = 24;
const AT = { time: 0, sequence: 8, producer: 16, phase: 18, check: 19 } as const;

/** Milliseconds of the clock that all processes of this machine share; performance.now() starts anew in each. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function checkOf(sequence: number, producer: number): number {
  return (sequence * 31 + producer + 7) & 255;
}

/** Makes `count` probes, numbered on from `first`. They share one piece of memory. */
export function makeProbes(
  count: number,
  bodyBytes: number,
  { producer, phase, first }: { readonly producer: number; readonly phase: number; readonly first: number },
): Uint8Array[] {
  const slab = new Uint8Array(count * bodyBytes);
  const view = new DataView(slab.buffer);
  const now = monotonicMs();
  const bodies: Uint8Array[] = [];
  for (let i = 0; i < count; i += 1) {
    const at = i * bodyBytes;
    const sequence = first + i;
    const check = checkOf(sequence, producer);
    slab.fill(check, at + AT.check, at + bodyBytes);
    view.setFloat64(at + AT.time, now, true);
    view.setFloat64(at + AT.sequence, sequence, true);
    view.setUint16(at + AT.producer, producer, true);
    slab[at + AT.phase] = phase;
    bodies.push(slab.subarray(at, at + bodyBytes));
  }
  return bodies;
}

/** What a receiver knows of one phase. */
export interface PhaseCount {
  received: number;
  /** When the last probe came, on the shared clock. */
  lastAtMs: number;
  readonly latency: Histogram;
}

/** Checks every probe that one consumer gets. */
export class ProbeCheck {
  readonly #bodyBytes: number;
  readonly #last: number[] = [];
  readonly phases: PhaseCount[] = [];
  received = 0;
  /** Sum of all sequence numbers: with the count it tells whether every probe came. */
  sum = 0;
  /** Not the next of its producer: a duplicate, or out of order. */
  disordered = 0;
  /** Not what was sent. */
  broken = 0;

  constructor(bodyBytes: number) {
    this.#bodyBytes = bodyBytes;
  }

  /** @param nowMs  when it came, on the shared clock */
  add(body: Uint8Array, nowMs: number): void {
    const { byteLength } = body;
    if (byteLength !== this.#bodyBytes) {
      this.broken += 1;
      return;
    }
    const view = new DataView(body.buffer, body.byteOffset, byteLength);
    const sequence = view.getFloat64(AT.sequence, true);
    const producer = view.getUint16(AT.producer, true);
    const check = checkOf(sequence, producer);
    if (body[AT.check] !== check || body[byteLength - 1] !== check) {
      this.broken += 1;
      return;
    }
    if (sequence <= (this.#last[producer] ?? 0)) this.disordered += 1;
    else this.#last[producer] = sequence;
    this.received += 1;
    this.sum += sequence;
    const phase = this.#phase(body[AT.phase] ?? 0);
    phase.received += 1;
    phase.lastAtMs = nowMs;
    phase.latency.record((nowMs - view.getFloat64(AT.time, true)) * 1000);
  }

  #phase(index: number): PhaseCount {
    return (this.phases[index] ??= { received: 0, lastAtMs: 0, latency: new Histogram() });
  }
}
