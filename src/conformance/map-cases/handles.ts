// Opening, closing, removing; and what a place does not have is refused.

import { MAP_FEATURES, type MapFeature } from '../../state/map-capabilities.ts';
import type { MapRule } from '../map-rule.ts';
import type { AnyMap } from '../map-trial.ts';

export const handles: readonly MapRule[] = [
  {
    id: 'handles.1',
    text: 'a closed handle says NARU_CLOSED; closing again does nothing; others go on',
    covers: ['M10'],
    run: async (t) => {
      const [mine, theirs] = [await t.open(), await t.open()];
      await mine.set('a', 1);
      await mine.close();
      await mine.close();
      await t.rejects(() => mine.get('a'), 'NARU_CLOSED');
      await t.rejects(() => mine.set('a', 2), 'NARU_CLOSED');
      await t.rejects(() => mine.delete('a'), 'NARU_CLOSED');
      await t.rejects(() => mine.update('a', () => 2), 'NARU_CLOSED');
      t.equal(await theirs.get('a'), 1, 'the other handle');
    },
  },
  {
    id: 'handles.2',
    text: 'maps of different names share nothing',
    run: async (t) => {
      const [one, two] = [await t.open(), await t.open({}, 'second')];
      await one.set('a', 1);
      await two.set('a', 2);
      await two.delete('b');
      t.equal([await one.get('a'), await two.get('a')], [1, 2], 'the values');
    },
  },
  {
    id: 'handles.3',
    text: 'the address opens the same map; capabilities and limits are those declared',
    run: async (t) => {
      const map = await t.open();
      await map.set('a', 1);
      t.equal(map.capabilities.scheme, t.capabilities.scheme, 'the scheme');
      t.equal(map.capabilities.features, t.capabilities.features, 'the features');
      t.ok(map.limits.maxKeyBytes >= 1 && map.limits.maxValueBytes >= 1, 'there are limits');
      t.ok(map.address.startsWith(`${t.capabilities.scheme}:`), 'the address is a URL of the place');
    },
  },
  {
    id: 'handles.4',
    text: 'unlink() removes the map: whoever opens it then finds nothing in it',
    run: async (t) => {
      const map = await t.open();
      await map.set('a', 1);
      await map.unlink();
      await map.close();
      t.equal(await (await t.open()).get('a'), undefined, 'the value');
    },
  },
  {
    id: 'handles.5',
    text: 'options and parameters that maps do not have are NARU_INVALID_ARGUMENT, as are wrong values',
    run: async (t) => {
      for (const options of [
        { colour: 'red' },
        { maxEntries: 'many' },
        { maxEntries: 0 },
        { needs: ['speed'] },
      ])
        await t.rejects(() => t.open(options as never), 'NARU_INVALID_ARGUMENT');
    },
  },
  ...(Object.keys(MAP_FEATURES) as MapFeature[]).map(lacking),
];

const CALLS: Readonly<Partial<Record<MapFeature, (map: AnyMap) => unknown>>> = {
  iterate: async (map) => {
    for await (const entry of map.entries()) void entry;
  },
  ttl: (map) => map.set('a', 1, { ttlMs: 1000 }),
  watch: (map) => map.watch('a'),
  sync: (map) => map.getSync('a'),
};

/** What a place does not have is refused when it is asked for, and when it is used. */
function lacking(feature: MapFeature): MapRule {
  return {
    id: `lacking.${feature}`,
    text: `without ${feature}, needs refuses it with NARU_UNSUPPORTED, and so does the call`,
    without: feature,
    run: async (t) => {
      const error = await t.rejects(() => t.open({ needs: [feature] }), 'NARU_UNSUPPORTED');
      t.ok(error.message.includes(feature), 'the error names it');
      const call = CALLS[feature];
      if (call === undefined) return;
      const map = await t.open();
      await t.rejects(() => call(map), 'NARU_UNSUPPORTED');
    },
  };
}
