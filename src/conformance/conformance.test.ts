// The suite itself: it covers what it says, and it fails where a place is wrong.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FEATURES, type Capabilities, type Feature } from '../mailbox/capabilities.ts';
import { memory } from '../places/memory/capabilities.ts';
import { conformanceSuite, listRules, runConformance, type ConformanceOptions } from './index.ts';

const NAMES = Object.keys(FEATURES) as Feature[];
const rules = listRules();
const harness: ConformanceOptions = { url: (name) => `memory://${name}`, capabilities: memory };

/** memory:// as it would look if it declared other features than it has. */
function pretending(features: Partial<Record<Feature, 'native' | 'none'>>): Capabilities {
  return { ...memory, features: { ...memory.features, ...features } };
}

describe('the rules', () => {
  test('have ids of their own and are sentences', () => {
    expect(new Set(rules.map(({ id }) => id)).size).toBe(rules.length);
    expect(new Set(rules.map(({ text }) => text)).size).toBe(rules.length);
    for (const { id, text } of rules) {
      expect(id).toMatch(/^[a-z]+\.[A-Za-z0-9]+$/);
      expect(text.length, id).toBeGreaterThan(30);
      expect(text, id).not.toMatch(/\.$/);
    }
  });

  test('cover every rule of the driver’s contract', () => {
    const covered = new Set<string>(rules.flatMap(({ covers }) => covers));
    expect(Array.from({ length: 15 }, (_, i) => `R${i + 1}`).filter((rule) => !covered.has(rule))).toEqual(
      [],
    );
  });

  test('name features that exist', () => {
    const named = rules.flatMap(({ needs, without }) => [
      ...needs,
      ...(without === undefined ? [] : [without]),
    ]);
    expect(named.filter((feature) => !NAMES.includes(feature))).toEqual([]);
  });

  test('hold every feature to its word in both directions', () => {
    // What no test on one machine can show, or what every rule with a sleeping wait shows.
    const shownElsewhere: readonly Feature[] = ['durable', 'crossHost', 'crossProcess', 'wait'];
    const positive = new Set(rules.flatMap(({ needs }) => needs));
    const negative = new Set(rules.map(({ without }) => without));
    expect(NAMES.filter((name) => !positive.has(name) && !shownElsewhere.includes(name))).toEqual([]);
    expect(NAMES.filter((name) => !negative.has(name))).toEqual([]);
  });
});

describe('runConformance', () => {
  test('reports every rule with its text, without any test runner', async () => {
    const heard: string[] = [];
    const report = await runConformance({
      ...harness,
      only: ['settle', 'lacking.waitSync', 'lacking.lease'],
      skip: [{ rule: 'settle.4', reason: 'to see that it is listed' }],
      onResult: ({ rule }) => heard.push(rule),
    });
    expect(report).toMatchObject({
      scheme: 'memory',
      mode: 'envelope',
      failed: 0,
      skipped: 1,
      inapplicable: 1,
    });
    expect(report.passed).toBe(report.results.length - 2);
    expect(heard).toEqual(report.results.map(({ rule }) => rule));
    expect(report.results.find(({ rule }) => rule === 'settle.4')?.reason).toBe('to see that it is listed');
    expect(report.results.find(({ rule }) => rule === 'lacking.lease')).toMatchObject({
      outcome: 'inapplicable',
      reason: 'memory:// has lease',
    });
  });

  test('a feature that is declared and does not work fails, with the text of the rule', async () => {
    const capabilities = pretending({ waitSync: 'native' });
    const report = await runConformance({ ...harness, capabilities, only: ['blocking'] });
    const [first] = report.results.filter(({ outcome }) => outcome === 'failed');
    expect(report.failed).toBeGreaterThan(0);
    expect(first?.error?.message.startsWith(`${first.rule} (process): ${first.text}\n`)).toBe(true);
  });

  test.each<Feature>(['priority', 'deliverAll', 'multiProducer', 'depth'])(
    'a feature that works and is not declared (%s) fails',
    async (feature) => {
      const capabilities = pretending({ [feature]: 'none' });
      const report = await runConformance({ ...harness, capabilities, only: [`lacking.${feature}`] });
      expect(report.failed).toBe(1);
      expect(report.results[0]?.error?.message).toContain(
        'expected NARU_UNSUPPORTED, but the call succeeded',
      );
    },
  );

  test('a place that drops in silence fails', async () => {
    const report = await runConformance({
      ...harness,
      only: ['full.1', 'sendmany.2'],
      url: (name) => `memory://${name}?full=drop-oldest`,
      caseTimeoutMs: 500,
    });
    expect(report.failed).toBe(2);
  });

  test('a case that never ends fails in its time', async () => {
    const report = await runConformance({
      ...harness,
      only: ['nobody.1'],
      // The case sends before there is a consumer.
      open: { nobody: 'wait' },
      caseTimeoutMs: 200,
    });
    expect(report.results[0]?.error?.message).toContain('waited 200 ms for the case to finish');
  });

  test('copies of a case run side by side in a stress run', async () => {
    const report = await runConformance({ ...harness, only: ['order.1', 'abort.1'], stress: 4 });
    expect(report).toMatchObject({ passed: 2, failed: 0 });
  });
});

describe('the options of the suite', () => {
  test('a skip needs a rule that exists and a reason', () => {
    expect(() =>
      conformanceSuite({ ...harness, skip: [{ rule: 'order.99', reason: 'does not exist' }] }),
    ).toThrow('there is no rule "order.99"');
    expect(() => conformanceSuite({ ...harness, skip: [{ rule: 'order.1', reason: ' ' }] })).toThrow(
      'say why',
    );
  });

  test('only must name rules', () => {
    expect(() => conformanceSuite({ ...harness, only: ['ordr'] })).toThrow('there is no rule "ordr"');
  });
});

test('the suite runs under node:test, as the guide shows', async () => {
  const program = fileURLToPath(new URL('./node-test.fixture.js', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, ['--test', '--test-reporter=tap', program], {
    // A test run inside a test run would report to the outer one.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  });
  expect(stdout).toMatch(/# fail 0/);
  expect(Number(/# pass (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(10);
});
