// One run of one rule about maps: what a case may use. It opens handles, starts writers in other processes, checks refusals, and
// afterwards closes, unlinks and ends everything, also when the case failed.

import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { isNaruError, type NaruError, type NaruErrorCode } from '../errors/index.ts';
import { openMap } from '../open-state.ts';
import type { SharedMap } from '../state/map.ts';
import type { MapCapabilities, MapFeature } from '../state/map-capabilities.ts';
import type { OpenMapOptions } from '../state/map-options.ts';
import type { WriterOrders } from './map-peer.ts';
import { within } from './waiting.ts';

/** How the suite meets a place's maps. */
export interface MapConformanceOptions {
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
  /** Only rules whose id is one of these or begins with one of these and a dot. */
  readonly only?: readonly string[];
  /** Rules the place does not keep, each with the reason. They are listed in the report. */
  readonly skip?: readonly { readonly rule: string; readonly reason: string }[];
  /** Longest time of one case, in milliseconds. Default 20,000. */
  readonly caseTimeoutMs?: number;
}

/** A map whose types leave everything open: the suite asks for what may not be there. */
export type AnyMap = SharedMap;

const PROGRAM = new URL('./map-peer.js', import.meta.url);
const CLEANUP_MS = 10_000;

export class MapTrial {
  readonly settings: MapConformanceOptions;
  readonly #name: string;
  readonly #maps: AnyMap[] = [];
  readonly #urls = new Set<string>();
  readonly #children = new Set<ChildProcess>();

  constructor(settings: MapConformanceOptions, name: string) {
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
    const url = this.url(name);
    const map = await openMap(url, { ...this.settings.open, ...options });
    this.#maps.push(map);
    return map;
  }

  url(name = 'main'): string {
    const url = this.settings.url(`${this.#name}.${name}`);
    this.#urls.add(url);
    return url;
  }

  /** Starts a writer in another process. */
  writer(orders: Omit<WriterOrders, 'url' | 'open'>): {
    readonly done: Promise<number | string>;
    kill(): void;
  } {
    const all: WriterOrders = { ...orders, url: this.url(), open: this.settings.open ?? {} };
    const child = fork(PROGRAM, [JSON.stringify(all)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.#children.add(child);
    const done = new Promise<number | string>((resolve) => {
      child.on('exit', (code, signal) => {
        this.#children.delete(child);
        resolve(signal ?? code ?? -1);
      });
    });
    return {
      done,
      kill: () => {
        child.kill('SIGKILL');
      },
    };
  }

  /** Checks that a call is refused with a code. @returns the error */
  async rejects(call: () => unknown, code: NaruErrorCode): Promise<NaruError> {
    let outcome: unknown;
    try {
      outcome = await within(Promise.resolve().then(call), 10_000, code);
    } catch (error) {
      if (isNaruError(error, code)) return error;
      throw new Error(`expected ${code}, got ${String(error)}`, { cause: error });
    }
    throw new Error(`expected ${code}, but the call succeeded with ${JSON.stringify(outcome)}`);
  }

  equal(actual: unknown, expected: unknown, what: string): void {
    try {
      assert.deepEqual(actual, expected);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message.split('\n').slice(0, 20).join('\n') : String(cause);
      throw new Error(`${what}: ${text}`, { cause });
    }
  }

  ok(condition: boolean, what: string): void {
    if (!condition) throw new Error(`it does not hold that ${what}`);
  }

  /** Closes and removes everything. */
  async finish(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    const work = async (): Promise<void> => {
      for (const map of this.#maps) await map.unlink().catch(() => undefined);
      for (const map of this.#maps) await map.close().catch(() => undefined);
      await this.settings.cleanup?.([...this.#urls]);
    };
    await within(work(), CLEANUP_MS, 'the clean-up after the case');
  }
}
