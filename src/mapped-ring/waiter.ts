// How a handle waits: a few turns of the event loop, then parked on its FIFO; or a blocked thread, parked on a futex. Decides
// when to sleep and what to check before; what is worth waking for is told by the ends (sender.ts, receiver.ts).

import { closeSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';
// The global of this name is a getter, which costs as much as the clock.
import { performance } from 'node:perf_hooks';
import type { WaitOptions } from '../mailbox/options.ts';
import { Doorbell } from '../ring/doorbell.ts';
import { BELL } from '../ring/layout.ts';
import { Patience } from '../waiting/patience.ts';
import type { RingEdges } from './edges.ts';

/** Something that waits on a handle's bell: its sender, its receiver, the handle itself. */
export interface WaitingEnd {
  /** WANT bits to be rung for; 0 = waits for nothing. */
  wants(): number;
  /** Whether it keeps the process alive meanwhile (rule R11). */
  holdsProcess(): boolean;
  /** @param last  false while lingering, when only news worth a turn count */
  isReady(last: boolean): boolean;
  /** Something may be ready. */
  wake(): void;
  /** This handle was rung. An end that does not want what it was rung for (any more) passes the ring on. */
  rung(): void;
}

/** How often a parked handle looks for itself: it finds what a peer published and died before ringing. */
export const SAFETY_MS = 500;
/** How long a ring may be on its way. */
const GRACE_MS = 100;
const THREAD_SPIN_MICROS = 20;
const THREAD_YIELDS = 10;
/** From here on a wait is as good as endless: its time is not looked at. */
const ENDLESS_MS: number = 2 ** 31 - 1;

/** How a wait that blocks the thread differs from a mailbox's. */
export interface Pace {
  /** How often it looks for itself, in milliseconds. */
  readonly lookMs: number;
  /** How long a ring may be on its way: what such a look finds is only taken after this time. 0: at once. */
  readonly graceMs: number;
  /** Called before it parks. */
  readonly parking: () => void;
}

const USUAL_PACE: Pace = { lookMs: SAFETY_MS, graceMs: GRACE_MS, parking: () => undefined };

/** Counted for stats(). */
export interface WaitCounters {
  parks: number;
  wakeups: number;
  safetyWakeups: number;
}

export class Waiter {
  readonly counters: WaitCounters = { parks: 0, wakeups: 0, safetyWakeups: 0 };
  readonly #doorbell: Doorbell;
  readonly #buffer: ArrayBufferLike;
  readonly #fd: number;
  readonly #socket: Socket;
  readonly #ends = new Set<WaitingEnd>();
  readonly #edges: RingEdges;
  readonly #options: WaitOptions;
  readonly #turn = (): void => this.#lingered();
  readonly #patience: Patience;
  #isWhole: () => boolean = () => true;
  #turnsLeft = 0;
  #hasTurned = false;
  #immediate: NodeJS.Immediate | undefined;
  #isReferenced = true;
  #isClosed = false;
  /** The mapped memory is gone: nothing of it may be touched any more. */
  #isLost = false;

  /** @param fd  the own FIFO; the waiter closes it, and with it gives up the proof of life */
  constructor(words: Int32Array, slot: number, fd: number, options: WaitOptions, edges: RingEdges) {
    this.#doorbell = new Doorbell(words, slot);
    this.#buffer = words.buffer;
    this.#edges = edges;
    this.#options = options;
    this.#patience = new Patience(options.yields);
    this.#fd = fd;
    // A copy, because the socket closes its descriptor itself; the lock belongs to both.
    this.#socket = new Socket({
      fd: edges.native.duplicate(fd),
      readable: true,
      writable: false,
      // One small buffer for ever: what the bytes are does not matter.
      onread: {
        buffer: Buffer.alloc(256),
        callback: () => {
          this.#rung();
          return true;
        },
      },
      // `onread` is an option of every socket; the types know it for connect() only.
    } as SocketConstructorOpts);
    // The FIFO is open for reading and writing here: it neither ends nor fails while this end lives.
    this.#socket.on('error', () => undefined);
    this.#hold(false);
  }

  /** @param isWhole  asked after each sleep, before the shared memory is touched again; false: the handle has failed */
  guard(isWhole: () => boolean): void {
    this.#isWhole = isWhole;
  }

  add(end: WaitingEnd): void {
    this.#ends.add(end);
  }

  remove(end: WaitingEnd): void {
    this.#ends.delete(end);
    this.#hold(this.#mustHold());
  }

  /** The mapped memory is gone. Who waits is told by wakeAll(). */
  abandon(): void {
    this.#isLost = true;
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#immediate = undefined;
  }

  /** An end began to wait for something: linger, then park. */
  arm(): void {
    if (this.#isClosed || this.#isLost) return;
    if (this.#doorbell.isParked) this.#doorbell.wake();
    this.#turnsLeft = this.#patience.turns;
    this.#hasTurned = false;
    this.#immediate ??= setImmediate(this.#turn);
    this.#hold(this.#mustHold());
  }

  /** An end stopped waiting: the process need not stay for it. */
  disarm(): void {
    this.#hold(this.#mustHold());
  }

  /**
   * Looks without having been rung. News of a moment ago may have their ring on the way: only what is still there a little
   * later, in the same sleep, was never announced, which only a death explains.
   */
  lookForSafety(): void {
    if (!this.#doorbell.isParked || !this.#anyReady(true)) return;
    const { epoch } = this.#doorbell;
    const again = setTimeout(() => {
      if (this.#isClosed || !this.#doorbell.isParked || this.#doorbell.epoch !== epoch) return;
      if (!this.#anyReady(true)) return;
      this.counters.safetyWakeups += 1;
      this.#fire();
    }, GRACE_MS);
    again.unref();
  }

  /** Wakes every end whatever it waits for: the mailbox has changed for good. */
  wakeAll(): void {
    for (const end of this.#ends) end.wake();
  }

  /**
   * Blocks the thread until `isReady` or the time is over. Ends on the event loop are looked after when it turns again.
   *
   * @param housekeeping  called while blocked, as often as `pace` says
   */
  block(
    wants: number,
    isReady: () => boolean,
    timeoutMs: number,
    housekeeping: () => void,
    pace: Pace = USUAL_PACE,
  ): 'ready' | 'timeout' | 'interrupted' {
    const deadline = timeoutMs >= ENDLESS_MS ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    try {
      if (this.#spin(isReady, deadline)) return 'ready';
      for (;;) {
        const left = deadline === Number.POSITIVE_INFINITY ? deadline : deadline - performance.now();
        if (left <= 0) return isReady() ? 'ready' : 'timeout';
        const outcome = this.#sleep(wants, isReady, Math.min(left, pace.lookMs), pace);
        if (outcome === 'timeout') housekeeping();
        else if (outcome !== 'again') return outcome;
      }
    } finally {
      if (this.#doorbell.isParked && !this.#isLost) this.#doorbell.wake();
      // Whoever blocks again and again never gets there: once is enough.
      if (this.#immediate === undefined) this.arm();
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#ends.clear();
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    if (!this.#isLost) this.#doorbell.wake();
    this.#socket.destroy();
    closeSync(this.#fd);
  }

  #spin(isReady: () => boolean, deadline: number): boolean {
    if (isReady()) return true;
    const spinMs = (this.#options.spinMicros ?? THREAD_SPIN_MICROS) / 1000;
    if (spinMs > 0) {
      const until = Math.min(performance.now() + spinMs, deadline);
      do if (isReady()) return true;
      while (performance.now() < until);
    }
    for (let i = this.#options.yields ?? THREAD_YIELDS; i > 0; i -= 1) {
      this.#edges.native.yieldThread();
      if (isReady()) return true;
    }
    return false;
  }

  #sleep(
    wants: number,
    isReady: () => boolean,
    sliceMs: number,
    pace: Pace,
  ): 'ready' | 'timeout' | 'interrupted' | 'again' {
    const bell = this.#doorbell;
    pace.parking();
    // Before parking: whoever rings this sleep changes the word after this, also while this end still looks.
    const value = bell.threadValue;
    bell.park(BELL.parkedThread, wants);
    this.counters.parks += 1;
    this.#edges.failpoint('park:before-look');
    if (isReady()) return 'ready';
    let outcome = this.#waitFor(value, sliceMs);
    if (outcome === 'timeout' && sliceMs === pace.lookMs && pace.graceMs > 0 && isReady()) {
      // As in lookForSafety(): the ring may be on its way.
      outcome = this.#waitFor(value, pace.graceMs);
      if (outcome === 'timeout') this.counters.safetyWakeups += 1;
    }
    // The ends find out by themselves that the handle has failed.
    if (outcome === 'lost') return 'ready';
    bell.wake();
    if (outcome === 'interrupted') return 'interrupted';
    if (outcome !== 'timeout') this.counters.wakeups += 1;
    if (isReady()) return 'ready';
    return outcome === 'timeout' ? 'timeout' : 'again';
  }

  /** @returns `lost` when the shared memory must not be touched any more */
  #waitFor(value: number, ms: number): 'woken' | 'changed' | 'timeout' | 'interrupted' | 'lost' {
    let outcome: 'woken' | 'changed' | 'timeout' | 'interrupted';
    try {
      outcome = this.#edges.native.futexWait(this.#buffer, this.#doorbell.threadOffset, value, ms);
    } catch (error) {
      // EFAULT: the word itself is gone.
      if (!this.#isWhole()) return 'lost';
      throw error;
    }
    return this.#isWhole() ? outcome : 'lost';
  }

  #lingered(): void {
    this.#immediate = undefined;
    if (this.#isClosed) return;
    if (this.#anyReady(this.#turnsLeft === 0) || this.#spinInLoop()) {
      if (this.#hasTurned) this.#patience.found();
      return this.#fire();
    }
    if (this.#turnsLeft > 0) {
      this.#turnsLeft -= 1;
      this.#hasTurned = true;
      this.#immediate = setImmediate(this.#turn);
      return;
    }
    this.#park();
  }

  /** Event loops do not spin unless they were told to. */
  #spinInLoop(): boolean {
    const micros = this.#options.spinMicros ?? 0;
    if (micros === 0) return false;
    const until = performance.now() + micros / 1000;
    while (performance.now() < until) if (this.#anyReady(true)) return true;
    return false;
  }

  #park(): void {
    let wants = 0;
    for (const end of this.#ends) wants |= end.wants();
    this.#doorbell.park(BELL.parkedLoop, wants);
    this.counters.parks += 1;
    this.#edges.failpoint('park:before-look');
    if (this.#anyReady(true)) return this.#fire();
    this.#patience.slept();
    this.#hold(this.#mustHold());
  }

  #rung(): void {
    if (this.#isClosed || !this.#isWhole()) return;
    this.counters.wakeups += 1;
    this.#fire();
    for (const end of this.#ends) end.rung();
  }

  #fire(): void {
    if (this.#doorbell.isParked) this.#doorbell.wake();
    for (const end of this.#ends) if (end.isReady(true)) end.wake();
    // Parked again soon, if only for control: peers come and go, owners close.
    this.arm();
  }

  #anyReady(last: boolean): boolean {
    for (const end of this.#ends) if (end.isReady(last)) return true;
    return false;
  }

  #mustHold(): boolean {
    for (const end of this.#ends) if (end.holdsProcess()) return true;
    return false;
  }

  #hold(hold: boolean): void {
    if (hold === this.#isReferenced || this.#isClosed) return;
    this.#isReferenced = hold;
    if (hold) this.#socket.ref();
    else this.#socket.unref();
  }
}
