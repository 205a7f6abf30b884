// One run of one case: what a case may use. It opens mailboxes here and at the peer, checks refusals, and afterwards closes,
// unlinks and gives back everything, also when the case failed.

import assert from 'node:assert/strict';
import { isNaruError, type NaruError, type NaruErrorCode } from '../errors/index.ts';
import type { Capabilities, Feature, Shape } from '../mailbox/capabilities.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { OpenOptions } from '../mailbox/options.ts';
import { has } from '../mailbox/requirements.ts';
import { open } from '../open.ts';
import type { ConformanceOptions } from './options.ts';
import { FarMailbox } from './far-mailbox.ts';
import type { PeerOptions } from './peer-session.ts';
import type { Peer, PeerPool } from './peers.ts';
import { within } from './waiting.ts';

/** What a trial is made from. */
export interface TrialSetup {
  readonly shape: Shape;
  readonly options: ConformanceOptions;
  readonly pool: PeerPool;
  /** Unique among all trials of a run; fit for a mailbox name. */
  readonly name: string;
}

/** How long closing and unlinking after a case may take, in milliseconds. */
const CLEANUP_MS = 5_000;

/** One mailbox of a case: the first to open it creates it, everybody else opens its address. */
export class Site {
  readonly #trial: Trial;
  readonly #url: string;
  #first:
    | {
        readonly handle: Mailbox | FarMailbox;
        readonly address: string;
        readonly close: () => unknown;
      }
    | undefined;

  constructor(trial: Trial, url: string) {
    this.#trial = trial;
    this.#url = url;
  }

  /** Where it can be opened: its address once it exists. */
  get url(): string {
    return this.#first?.address ?? this.#url;
  }

  /** The mailbox is gone: the next to open it makes it again. */
  forget(): void {
    this.#first = undefined;
  }

  /** Opens a handle here. */
  async open(options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox = await open(this.url, { ...this.#trial.settings.open, ...options });
    this.#keep(mailbox, () => mailbox.close({ flushMs: 0 }));
    return mailbox;
  }

  /** Opens a handle at a peer: the case's own unless another is given. */
  async far(options: PeerOptions = {}, at?: Peer): Promise<FarMailbox> {
    const peer = at ?? (await this.#trial.peer());
    const opened = await peer.call('open', this.url, { ...this.#trial.settings.open, ...options });
    const far = new FarMailbox(peer, opened);
    this.#keep(far, () => (peer.alive ? far.close({ flushMs: 0 }) : undefined));
    return far;
  }

  /** Unlinks the mailbox through the handle that made it, and closes that one. @internal */
  async remove(): Promise<void> {
    // The creator may have closed, died or unlinked already; then cleanup() of the harness removes what is left.
    await this.#first?.handle.unlink().catch(() => undefined);
    await this.#first?.close();
  }

  /** The creator is closed last of all, with remove(): others would take its end for an accident. */
  #keep(handle: Mailbox | FarMailbox, close: () => unknown): void {
    if (this.#first === undefined) this.#first = { handle, address: handle.address, close };
    else this.#trial.defer(close);
  }
}

export class Trial {
  readonly shape: Shape;
  readonly settings: ConformanceOptions;
  readonly #setup: TrialSetup;
  readonly #sites = new Map<string, Site>();
  readonly #peers: Peer[] = [];
  readonly #cleanup: (() => unknown)[] = [];
  #peer: Promise<Peer> | undefined;

  constructor(setup: TrialSetup) {
    this.#setup = setup;
    this.shape = setup.shape;
    this.settings = setup.options;
  }

  get capabilities(): Capabilities {
    return this.settings.capabilities;
  }

  /** More rounds when the run is a stress run. */
  rounds(quick: number, stress: number): number {
    return this.isStress ? stress : quick;
  }

  /** Other cases run in the same process at the same time. */
  get isStress(): boolean {
    return this.settings.stress !== undefined && this.settings.stress !== false;
  }

  has(feature: Feature): boolean {
    return has(this.capabilities, feature, this.settings.open?.emulate ?? []);
  }

  /** A mailbox of the case by a name of its own; `main` is the one that `open()` and `far()` mean. */
  site(name = 'main'): Site {
    const known = this.#sites.get(name);
    if (known !== undefined) return known;
    const site = new Site(this, this.settings.url(`${this.#setup.name}.${name}`));
    this.#sites.set(name, site);
    return site;
  }

  open(options?: OpenOptions): Promise<Mailbox> {
    return this.site().open(options);
  }

  far(options?: PeerOptions): Promise<FarMailbox> {
    return this.site().far(options);
  }

  /** Options that make the mailbox hold only a few dozen messages of `t.filler()`. */
  get small(): OpenOptions {
    return this.settings.small ?? { capacityBytes: 64 * 1024 };
  }

  /** Waits until the peers are there; not where the place cannot know it (stats() says -1). */
  async attached(mailbox: Mailbox, peers: { producers?: number; consumers?: number }): Promise<void> {
    const { place } = await mailbox.stats();
    if (place.consumers >= 0) await mailbox.ready({ ...peers, timeoutMs: 8_000 });
  }

  /** Data of about 1 KiB as JSON, told apart by its number. */
  filler(n: number): { n: number; padding: string } {
    return { n, padding: 'x'.repeat(1000) };
  }

  /** Fills a mailbox until nothing more goes in. @returns how many messages went in */
  async fill(mailbox: Mailbox): Promise<number> {
    for (let n = 1; n <= 100_000; n += 1) {
      try {
        await mailbox.send(this.filler(n), { timeoutMs: 0 });
      } catch (error) {
        if (isNaruError(error, 'NARU_TIMEOUT') || isNaruError(error, 'NARU_FULL')) return n - 1;
        throw error;
      }
    }
    throw new Error('100,000 messages of 1 KiB did not fill a small mailbox');
  }

  /** The peer of this case, of the shape the case runs in. */
  peer(): Promise<Peer> {
    this.#peer ??= this.anotherPeer();
    return this.#peer;
  }

  /** One more peer: to be killed, or to be a third party. */
  async anotherPeer(): Promise<Peer> {
    const peer = await this.#setup.pool.take(this.shape);
    this.#peers.push(peer);
    return peer;
  }

  /** Opens any URL with the run's options; closed after the case. */
  async openUrl(url: string, options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox = await open(url, { ...this.settings.open, ...options });
    this.defer(() => mailbox.close({ flushMs: 0 }));
    return mailbox;
  }

  /** Runs after the case, last first. */
  defer(act: () => unknown): void {
    this.#cleanup.push(act);
  }

  /** Checks that a call is refused with a code. @returns the error */
  async rejects(call: Promise<unknown> | (() => unknown), code: NaruErrorCode): Promise<NaruError> {
    let outcome: unknown;
    try {
      outcome = await within(typeof call === 'function' ? Promise.resolve().then(call) : call, 10_000, code);
    } catch (error) {
      if (isNaruError(error, code)) return error;
      throw new Error(`expected ${code}, got ${String(error)}`, { cause: error });
    }
    throw new Error(`expected ${code}, but the call succeeded with ${JSON.stringify(outcome)}`);
  }

  /** A failure with a sentence of its own. */
  equal(actual: unknown, expected: unknown, what: string): void {
    try {
      assert.deepEqual(actual, expected);
    } catch (cause) {
      const text = cause instanceof Error ? cause.message.split('\n').slice(0, 24).join('\n') : String(cause);
      throw new Error(`${what}: ${text}`, { cause });
    }
  }

  ok(condition: boolean, what: string): void {
    if (!condition) throw new Error(`it does not hold that ${what}`);
  }

  /** Closes and removes everything. @param unharmed  whether the case passed */
  async finish(unharmed: boolean): Promise<void> {
    const failures: unknown[] = [];
    const attempt = async (act: () => unknown, what: string): Promise<void> => {
      try {
        await within(Promise.resolve(act()), CLEANUP_MS, what);
      } catch (error) {
        failures.push(error);
      }
    };
    for (const act of this.#cleanup.toReversed()) await attempt(act, 'the clean-up after the case');
    for (const site of this.#sites.values()) await attempt(() => site.remove(), 'unlink()');
    for (const { output } of this.#peers) {
      if (output !== '') failures.push(new Error(`R10: the peer wrote to its output: ${output}`));
    }
    for (const peer of this.#peers) {
      await attempt(() => this.#setup.pool.giveBack(peer, unharmed && failures.length === 0), 'the peer');
    }
    const urls = [...this.#sites.values()].map((site) => site.url);
    await attempt(() => this.settings.cleanup?.(urls), 'cleanup()');
    if (failures.length > 0 && unharmed) {
      throw new Error('the case passed, but not what came after it', { cause: failures[0] });
    }
  }
}
