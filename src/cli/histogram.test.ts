// Percentiles of times: right to within a bucket, the same after a journey between processes.

import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

test('percentiles are right to within 3 %', () => {
  const histogram = new Histogram();
  for (let micros = 1; micros <= 10_000; micros += 1) histogram.record(micros);
  for (const share of [0.01, 0.5, 0.9, 0.99]) {
    const found = histogram.percentile(share) as number;
    expect(Math.abs(found / (share * 10_000) - 1)).toBeLessThan(0.03);
  }
});

test('merged after a journey as JSON, it counts everything', () => {
  const [one, two] = [new Histogram(), new Histogram()];
  one.record(10);
  two.record(1000);
  two.record(1001);
  const copy = new Histogram(JSON.parse(JSON.stringify(one)) as [number, number][]);
  copy.merge(two);
  expect(copy.count).toBe(3);
  expect(copy.percentile(0.3)).toBeCloseTo(10, 0);
  expect(copy.percentile(0.99)).toBeGreaterThan(980);
});

test('an empty one has no percentiles, and impossible times go to the ends', () => {
  expect(new Histogram().percentile(0.5)).toBeNull();
  const histogram = new Histogram();
  for (const micros of [-1, 0, Number.POSITIVE_INFINITY]) histogram.record(micros);
  expect(histogram.count).toBe(3);
});
