import { describe, expect, test } from 'vitest';
import { isNaruError, type NaruError } from '../errors/index.ts';
import { FEATURES, type Capabilities, type Feature, type Level } from './capabilities.ts';
import { checkRequirements, has, requiredFeatures } from './requirements.ts';

const NAMES = Object.keys(FEATURES) as Feature[];

/** A place that has all but the given features. */
function place(scheme: string, without: readonly Feature[], emulated: readonly Feature[] = []): Capabilities {
  const level = (name: Feature): Level =>
    without.includes(name) ? 'none' : emulated.includes(name) ? 'emulated' : 'native';
  return {
    scheme,
    mode: 'envelope',
    summary: 'a place of the test',
    features: Object.fromEntries(NAMES.map((name) => [name, level(name)])) as Record<Feature, Level>,
    notes: {},
    limits: { maxMessageBytes: 1, priorityMin: 0, priorityMax: 0, maxProducers: 1, maxConsumers: 1 },
    confirm: 'placed',
    relation: 'enforced',
    owner: 'users',
    shapes: ['process'],
    needs: [],
  };
}

async function refusal(...args: Parameters<typeof checkRequirements>): Promise<NaruError> {
  const error = await checkRequirements(...args).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isNaruError(error)) throw new Error(`expected a NaruError, got ${String(error)}`);
  return error;
}

const nowhere = (): Promise<readonly Capabilities[]> => Promise.resolve([]);

describe('requiredFeatures', () => {
  test.each<[Parameters<typeof requiredFeatures>[0], Feature[]]>([
    [{}, []],
    [{ needs: ['ack', 'ttl'] }, ['ack', 'ttl']],
    [{ deliver: 'all' }, ['deliverAll']],
    [{ deliver: 'one' }, []],
    [{ group: 'g' }, ['groups']],
    [{ survives: 'restart' }, ['durable']],
    [{ survives: 'process' }, []],
    [{ confirm: 'durable' }, ['durable']],
    [{ confirm: 'received' }, ['receipts']],
    [{ confirm: 'placed' }, []],
    [{ capacityMessages: 0 }, ['rendezvous']],
    [{ capacityMessages: 1 }, []],
    [{ slotBytes: 64 }, ['fixedSlots']],
    [{ full: 'drop-oldest' }, ['dropOldest']],
    [{ full: 'drop-newest' }, ['dropNewest']],
    [{ full: 'fail' }, []],
    [{ settle: 'manual' }, ['ack']],
    [{ deadLetter: 'memory://grave' }, ['deadLetter']],
    [{ leaseMs: 1 }, ['lease']],
    [{ leaseMs: 0 }, []],
    [{ retain: 1 }, ['retain']],
    [{ from: 'start' }, ['replay']],
    [{ from: 'now' }, []],
    [{ dedup: 1 }, ['dedup']],
  ])('%o needs %o', (stated, features) => {
    expect([...requiredFeatures(stated)]).toEqual(features);
  });
});

describe('checkRequirements', () => {
  test('takes what the place has', async () => {
    await checkRequirements({ needs: NAMES }, place('full', []), 'full://x', nowhere);
  });

  test('names everything that is missing, and the places that have all of it', async () => {
    const others = [place('half', ['delay']), place('good', []), place('other', ['lease'])];
    const error = await refusal(
      { needs: ['delay', 'ack'], leaseMs: 5 },
      place('poor', ['delay', 'lease']),
      'poor://x',
      () => Promise.resolve(others),
    );
    expect(error.code).toBe('NARU_UNSUPPORTED');
    expect([error.place, error.mailbox]).toEqual(['poor', 'poor://x']);
    expect(error.message).toContain(`delay (${FEATURES.delay})`);
    expect(error.message).toContain(`lease (${FEATURES.lease})`);
    expect(error.message).not.toContain('ack (');
    expect(error.message).toMatch(/places that have it: good:\/\/$/);
  });

  test('says so when no place has all of it', async () => {
    const error = await refusal({ needs: ['delay'] }, place('poor', ['delay']), 'poor://x', nowhere);
    expect(error.message).toContain('no place has all of it');
  });

  test('an emulated feature must be opted in to', async () => {
    const able = place('able', [], ['delay']);
    const error = await refusal({ needs: ['delay'] }, able, 'able://x', nowhere);
    expect(error.message).toContain("emulate: ['delay']");
    await checkRequirements({ needs: ['delay'], emulate: ['delay'] }, able, 'able://x', nowhere);
    expect([has(able, 'delay', []), has(able, 'delay', ['delay']), has(able, 'ack', [])]).toEqual([
      false,
      true,
      true,
    ]);
  });

  test('emulate does not conjure up what is not there', async () => {
    const error = await refusal(
      { needs: ['delay'], emulate: ['delay'] },
      place('poor', ['delay']),
      'p://x',
      nowhere,
    );
    expect(error.code).toBe('NARU_UNSUPPORTED');
  });

  test('a name that is no feature is NARU_INVALID_ARGUMENT, also one that every object has', async () => {
    for (const name of ['magic', 'toString', '__proto__', '']) {
      for (const stated of [{ needs: [name as never] }, { emulate: [name as never] }]) {
        expect((await refusal(stated, place('full', []), 'full://x', nowhere)).code).toBe(
          'NARU_INVALID_ARGUMENT',
        );
      }
    }
  });
});
