// One run of one rule about locks, semaphores and events: what a case may use, beside what every trial has (feature-trial.ts): handles, and
// holders in other processes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEvent, openLock, openSemaphore } from '../open-sync.ts';
import type { SharedEvent } from '../sync/event.ts';
import type { Lock } from '../sync/lock.ts';
import type { Semaphore } from '../sync/semaphore.ts';
import type { SyncCapabilities, SyncFeature } from '../sync/sync-capabilities.ts';
import type { OpenLockOptions, OpenSemaphoreOptions, OpenSyncOptions } from '../sync/sync-options.ts';
import type { FeatureOptions } from './feature-suite.ts';
import { FeatureTrial, type OtherProcess } from './feature-trial.ts';
import type { HolderOrders } from './sync-peer.ts';

/** How the suite meets a place's locks, semaphores and events. */
export interface SyncConformanceOptions extends FeatureOptions {
  /** The URL of an object that does not exist yet; `name` is unique in the run, 1 to 60 of the characters A-Z a-z 0-9 . - */
  readonly url: (name: string) => string;
  /** What the place declares. Declared `native` must hold, declared `none` must be refused. */
  readonly capabilities: SyncCapabilities;
  /** Options for every open of the suite; must be cloneable, because holders in other processes get them too. */
  readonly open?: Omit<OpenSyncOptions, 'signal'>;
  /** Called after each case with the URLs of its objects: removes what unlink() left. */
  readonly cleanup?: (urls: readonly string[]) => void | Promise<void>;
}

const PROGRAM = new URL('./sync-peer.js', import.meta.url);

export class SyncTrial extends FeatureTrial {
  readonly settings: SyncConformanceOptions;
  readonly #name: string;
  readonly #urls = new Set<string>();
  #folder: string | undefined;

  constructor(settings: SyncConformanceOptions, name: string) {
    super();
    this.settings = settings;
    this.#name = name;
  }

  get capabilities(): SyncCapabilities {
    return this.settings.capabilities;
  }

  has(feature: SyncFeature): boolean {
    return this.capabilities.features[feature] === 'native';
  }

  /** A handle of the case's lock. The first one makes it. */
  async lock(options: OpenLockOptions = {}, name = 'lock'): Promise<Lock> {
    return this.keep(await openLock(this.url(name), { ...this.settings.open, ...options }));
  }

  async semaphore(options: OpenSemaphoreOptions = {}, name = 'semaphore'): Promise<Semaphore> {
    return this.keep(await openSemaphore(this.url(name), { ...this.settings.open, ...options }));
  }

  async event(options: OpenSyncOptions = {}, name = 'event'): Promise<SharedEvent> {
    return this.keep(await openEvent(this.url(name), { ...this.settings.open, ...options }));
  }

  url(name: string): string {
    const url = this.settings.url(`${this.#name}.${name}`);
    this.#urls.add(url);
    return url;
  }

  /** A file that is removed after the case. */
  file(name: string): string {
    this.#folder ??= mkdtempSync(join(tmpdir(), 'naru-conformance-'));
    return join(this.#folder, name);
  }

  /** Starts somebody in another process who takes, counts, sets or waits. */
  holder(orders: Omit<HolderOrders, 'lock' | 'semaphore' | 'event' | 'open'>): OtherProcess {
    const all: HolderOrders = {
      ...orders,
      lock: this.url('lock'),
      semaphore: this.url('semaphore'),
      event: this.url('event'),
      open: this.settings.open ?? {},
    };
    return this.start(PROGRAM, all);
  }

  protected async cleanup(): Promise<void> {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true });
    await this.settings.cleanup?.([...this.#urls]);
  }
}
