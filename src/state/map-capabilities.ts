// What a place can do for maps: one object per place, read by the types, by openMap(), by the conformance suite and by the
// tables in the docs. The same idea as a mailbox's capabilities, with features of its own. Names no place.

import type { Level } from '../mailbox/capabilities.ts';

/** Every feature a map can have, with the sentence that the tables show. */
export const MAP_FEATURES = {
  iterate: 'entries(), keys(), size() and clear()',
  ttl: 'entries expire',
  watch: 'a change wakes those who watch; nothing polls',
  sync: 'getSync, setSync and their like answer at once, synchronously',
  keepsAll: 'an entry stays until it is deleted or expires; a full map refuses new ones',
  durable: 'entries survive a restart of the machine',
  crossProcess: 'other processes of this machine reach it',
  crossHost: 'other machines reach it',
} as const;

/** The name of a feature of maps. */
export type MapFeature = keyof typeof MAP_FEATURES;

/** Everything a place says of its maps. Compare-and-set and update() every map has. */
export interface MapCapabilities {
  /** URL scheme. */
  readonly scheme: string;
  /** One sentence for the tables. */
  readonly summary: string;
  readonly features: Readonly<Record<MapFeature, Level>>;
  /** A remark to a feature, shown as a footnote. */
  readonly notes: Readonly<Partial<Record<MapFeature, string>>>;
  readonly limits: {
    /** Longest key in bytes of UTF-8. */
    readonly maxKeyBytes: number;
    /** Largest value in bytes, as its codec writes it, at default settings. */
    readonly maxValueBytes: number;
  };
  /** What must be there: `addon`, or the name of an npm package. */
  readonly needs: readonly string[];
}

/** Names of the features a capabilities object has, at type level: what a literal URL gives. */
export type MapFeaturesOf<C> = C extends { readonly features: infer F }
  ? { [K in keyof F]: F[K] extends 'none' ? never : K }[keyof F] & MapFeature
  : never;

declare const lacks: unique symbol;

/** What the editor shows where a feature is used that the place's maps do not have. No value has this type. */
export interface MapLacks<F extends string> {
  readonly [lacks]: `Maps of this place have no '${F}'. Choose another place, or name it in needs: ['${F}'].`;
}

/** `T` where the feature is there, else `MapLacks`. */
export type IfMap<F extends MapFeature, Has extends MapFeature, T> = F extends Has ? T : MapLacks<F>;

/** A parameter list that cannot be satisfied where the feature is missing. */
export type MapNeeds<
  F extends MapFeature,
  Has extends MapFeature,
  Args extends readonly unknown[],
> = F extends Has ? Args : [MapLacks<F>, ...never[]];
