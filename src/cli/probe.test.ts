// The proof that every probe came once, in order and unchanged: it must notice each way in which that can fail.

import { expect, test } from 'vitest';
import { makeProbes, monotonicMs, ProbeCheck } from './probe.ts';

const one = { producer: 0, phase: 0, first: 1 };

function checked(bodies: readonly Uint8Array[]): ProbeCheck {
  const check = new ProbeCheck(32);
  for (const body of bodies) check.add(body, monotonicMs());
  return check;
}

test('what was sent in order is received, and the sum of the numbers agrees', () => {
  const { received, sum, disordered, broken, phases } = checked(makeProbes(10, 32, one));
  expect({ received, sum, disordered, broken }).toEqual({ received: 10, sum: 55, disordered: 0, broken: 0 });
  expect(phases[0]?.latency.count).toBe(10);
});

test('a duplicate, a wrong order and a changed byte are each noticed', () => {
  const [a, b, c] = makeProbes(3, 32, one) as [Uint8Array, Uint8Array, Uint8Array];
  expect(checked([a, a]).disordered).toBe(1);
  expect(checked([b, a]).disordered).toBe(1);
  const changed = Uint8Array.from(c);
  changed[31] = (changed[31] ?? 0) ^ 1;
  expect(checked([changed])).toMatchObject({ received: 0, broken: 1 });
  expect(checked([c.subarray(0, 30)])).toMatchObject({ received: 0, broken: 1 });
});

test('a missing one changes the sum', () => {
  const [a, , c] = makeProbes(3, 32, one) as [Uint8Array, Uint8Array, Uint8Array];
  expect(checked([a, c]).sum).not.toBe(6);
});
