// Locks, semaphores and events in a Manager, from a client's side. Nothing is known at once: who wants something asks, and hears when it is
// theirs. One asking is under way at a time; each has a number, so that an answer to one that was taken back is none.

import type { NaruError } from '../errors/index.ts';
import { KeepAlive } from '../mailbox/keep-alive.ts';
import type {
  BlockEnd,
  EventDriver,
  HoldDriver,
  LockDriver,
  SemaphoreDriver,
  SyncFacts,
  SyncHolder,
  SyncHooks,
  Taken,
} from '../sync/driver.ts';
import type { FrameRecord } from '../wire/frames.ts';
import type { Handle, HandleEvents } from './handle.ts';
import { Verb } from './protocol.ts';

/** What all three do: asking, waiting, being told. */
abstract class ManagerSync implements HandleEvents {
  protected readonly hooks: SyncHooks;
  readonly #alive = new KeepAlive();
  #handle: Handle | undefined;
  #wanted = 0;
  #ticket = 0;
  #isAsking = false;

  constructor(hooks: SyncHooks) {
    this.hooks = hooks;
  }

  begin(handle: Handle): void {
    this.#handle = handle;
  }

  protected get handle(): Handle {
    return this.#handle as Handle;
  }

  get facts(): SyncFacts {
    const { target, identity, told } = this.handle;
    const { text, place, address, secrets } = target;
    return { text, place, address, identity, created: told.created, secrets };
  }

  want(count: number): void {
    this.#wanted = count;
    this.#alive.hold('want', count > 0);
    if (count > 0) this.ask();
    else if (this.#isAsking) {
      this.#isAsking = false;
      this.handle.tell(Verb.cancel, { x: this.#ticket });
    }
  }

  block(): BlockEnd {
    throw this.handle.error(
      'NARU_UNSUPPORTED',
      'a Manager blocks no thread: its answer comes over a connection',
    );
  }

  async poll(): Promise<void> {
    const { ref, y } = await this.handle.call(Verb.try, {}, true);
    if (ref === 1) this.taken(y === 1);
  }

  async close(): Promise<void> {
    this.#alive.end();
    this.#wanted = 0;
    await this.handle.close();
  }

  async unlink(): Promise<void> {
    await this.handle.unlink();
  }

  news(type: number, { x, y }: FrameRecord): void {
    if (type !== Verb.granted || !this.#isAsking || x !== this.#ticket) return;
    this.#isAsking = false;
    this.taken(y === 1);
    this.hooks.ready();
    this.ask();
  }

  lost(error: NaruError): void {
    this.#isAsking = false;
    if (!this.dropped()) return;
    this.handle.fail(
      this.handle.error(
        'NARU_PEER_GONE',
        `what this handle had was lost with the connection (${error.message}); open it again`,
      ),
    );
  }

  back(): void {
    this.ask();
  }

  failed(error: NaruError): void {
    this.#alive.end();
    this.hooks.failed(error);
  }

  /** Asks, if somebody waits and there is nothing to wait for yet. */
  protected ask(): void {
    if (this.#wanted === 0 || this.#isAsking || !this.isLacking() || !this.handle.isConnected) return;
    this.#isAsking = true;
    this.#ticket += 1;
    this.handle.tell(Verb.take, { x: this.#ticket });
  }

  /**
   * Something that the Manager does, and nobody waits for the answer; if it does not, this handle is no good any more.
   * @param isLost  a broken connection does the same
   */
  protected act(verb: number, isLost: boolean): void {
    this.handle.check();
    this.handle.call(verb, {}, true).catch((error: NaruError) => {
      if (!isLost || (error.code !== 'NARU_OUTCOME_UNKNOWN' && error.code !== 'NARU_DISCONNECTED'))
        this.handle.fail(error);
    });
  }

  /** It is this handle's now. */
  protected abstract taken(recovered: boolean): void;
  /** Asking may help. */
  protected abstract isLacking(): boolean;
  /** The connection is lost, and what this handle had. @returns whether somebody relied on it */
  protected abstract dropped(): boolean;
}

/** What is held: a lock, or permits. */
abstract class ManagerHold extends ManagerSync implements HoldDriver {
  /** Given by the Manager, and not yet taken by a call. */
  #ready: Taken[] = [];
  #held = 0;

  get held(): number {
    return this.#held;
  }

  tryTake(): Taken {
    this.handle.check();
    const taken = this.#ready.shift();
    if (taken !== undefined) this.#held += 1;
    return taken;
  }

  give(): void {
    this.settle(Verb.give);
    this.ask();
  }

  protected settle(verb: number): void {
    this.handle.check();
    if (this.#held === 0) throw this.handle.error('NARU_NOT_HELD', 'this handle has none');
    this.#held -= 1;
    this.act(verb, verb === Verb.give);
  }

  protected taken(recovered: boolean): void {
    this.#ready.push(recovered ? 'recovered' : 'taken');
  }

  protected dropped(): boolean {
    const isMissed = this.#held > 0;
    this.#ready = [];
    this.#held = 0;
    return isMissed;
  }

  override want(count: number): void {
    super.want(count);
    // Given in the very moment in which the last one gave up.
    if (count > 0) return;
    while (this.#ready.length > 0) {
      this.tryTake();
      this.give();
    }
  }

  protected get isTaken(): boolean {
    return this.#held > 0 || this.#ready.length > 0;
  }
}

export class ManagerLock extends ManagerHold implements LockDriver {
  holder(): SyncHolder | undefined {
    return undefined;
  }

  protected isLacking(): boolean {
    return !this.isTaken;
  }
}

export class ManagerSemaphore extends ManagerHold implements SemaphoreDriver {
  get bounded(): boolean {
    return this.handle.told.settings['bounded'] === true;
  }

  get value(): number {
    throw this.handle.error('NARU_UNSUPPORTED', 'a Manager does not tell at once how many permits are left');
  }

  add(): void {
    this.act(Verb.add, false);
  }

  spend(): void {
    this.settle(Verb.spend);
  }

  protected isLacking(): boolean {
    return true;
  }
}

export class ManagerEvent extends ManagerSync implements EventDriver {
  /** How often this handle heard that it is set: whoever waited until then goes on. */
  #count = 0;

  get isSet(): boolean {
    this.handle.check();
    return false;
  }

  get count(): number {
    return this.#count;
  }

  set(): void {
    this.act(Verb.give, false);
  }

  clear(): void {
    this.act(Verb.spend, false);
  }

  protected taken(): void {
    this.#count += 1;
  }

  protected isLacking(): boolean {
    return true;
  }

  protected dropped(): boolean {
    return false;
  }
}
