// One run of one rule about maps: what a case may use, beside what every trial has (feature-trial.ts): handles, and writers in other processes.

import { openMap } from '../open-state.ts';
import type { SharedMap } from '../state/map.ts';
import type { MapCapabilities, MapFeature } from '../state/map-capabilities.ts';
import type { OpenMapOptions } from '../state/map-options.ts';
import type { FeatureOptions } from './feature-suite.ts';
import { FeatureTrial, type OtherProcess } from './feature-trial.ts';
import type { WriterOrders } from './map-peer.ts';

/** How the suite meets a place's maps. */
export interface MapConformanceOptions extends FeatureOptions {
  /** The URL of a map that does not exist yet; `name` is unique in the run, 1 to 60 of the characters A-Z a-z 0-9 . - */
  readonly url: (name: string) => string;
  /** What the place declares. Declared `native` must hold, declared `none` must be refused. */
  readonly capabilities: MapCapabilities;
  /** Options for every openMap() of the suite; must be cloneable, because writers in other processes get them too. */
  readonly open?: Omit<OpenMapOptions, 'schema' | 'signal'>;
  /** Options that make a map full after at most a few thousand entries of 1 KiB. Default: `maxEntries: 100`. */
  readonly small?: Omit<OpenMapOptions, 'schema' | 'signal'>;
  /** Called after each case with the URLs of its maps: removes what unlink() left. */
  readonly cleanup?: (urls: readonly string[]) => void | Promise<void>;
}

/** A map whose types leave everything open: the suite asks for what may not be there. */
export type AnyMap = SharedMap;

const PROGRAM = new URL('./map-peer.js', import.meta.url);

export class MapTrial extends FeatureTrial {
  readonly settings: MapConformanceOptions;
  readonly #name: string;
  readonly #urls = new Set<string>();

  constructor(settings: MapConformanceOptions, name: string) {
    super();
    this.settings = settings;
    this.#name = name;
  }

  get capabilities(): MapCapabilities {
    return this.settings.capabilities;
  }

  has(feature: MapFeature): boolean {
    return this.capabilities.features[feature] === 'native';
  }

  /** A handle of the case's map. The first one makes it. */
  async open(options: OpenMapOptions = {}, name = 'main'): Promise<AnyMap> {
    return this.keep(await openMap(this.url(name), { ...this.settings.open, ...options }));
  }

  url(name = 'main'): string {
    const url = this.settings.url(`${this.#name}.${name}`);
    this.#urls.add(url);
    return url;
  }

  /** Starts a writer in another process. */
  writer(orders: Omit<WriterOrders, 'url' | 'open'>): OtherProcess {
    const all: WriterOrders = { ...orders, url: this.url(), open: this.settings.open ?? {} };
    return this.start(PROGRAM, all);
  }

  protected cleanup(): void | Promise<void> {
    return this.settings.cleanup?.([...this.#urls]);
  }
}
