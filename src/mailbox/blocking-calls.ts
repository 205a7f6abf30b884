// The `…Sync` calls: they block the thread in the driver until it is worth trying again, or the time is over.

import { NaruError } from '../errors/index.ts';
import type { Receiver, Sender } from './driver.ts';
import type { Intake } from './intake.ts';
import type { SendOptions } from './lacks.ts';
import type { Life } from './life.ts';
import type { Message } from './message.ts';
import type { Outbox } from './outbox.ts';
import type { Receiving } from './receiving.ts';
import type { Sending } from './sending.ts';
import { timeoutError } from './waiting.ts';

const ENDLESS_MS: number = 2 ** 31 - 1;

/** What blocking calls need of their mailbox. */
export interface BlockingSettings<T> {
  readonly mailbox: string;
  readonly outbox: Outbox;
  readonly intake: Intake;
  readonly sending: Sending;
  readonly receiving: Receiving<T>;
  readonly life: Life;
}

export class BlockingCalls<T> {
  readonly #settings: BlockingSettings<T>;

  constructor(settings: BlockingSettings<T>) {
    this.#settings = settings;
  }

  /** Comes back when the message was taken, or dropped as the drop policy says. */
  send(sender: Sender, data: unknown, options: SendOptions | undefined): void {
    const { mailbox, outbox, sending, life } = this.#settings;
    if (outbox.hasClaim) throw this.#waitsForItself();
    const blocked = new BlockingWait(options?.timeoutMs, mailbox);
    const message = sending.encodeSync(data, options);
    while (!sending.offer(sender, message)) {
      if (outbox.dropsNewest) return;
      blocked.wait(sender, 'no room came free');
      life.checkOpen();
      // Sends of this handle that wait in the event loop, which does not turn now, come first.
      outbox.flush();
    }
  }

  /** Behind a claim of this very thread a send would block for ever. */
  #waitsForItself(): NaruError {
    const { mailbox } = this.#settings;
    return new NaruError(
      'NARU_INVALID_ARGUMENT',
      `${mailbox}: sendSync() would wait for the open claim of this handle; commit or abort it first`,
      { mailbox },
    );
  }

  receive(receiver: Receiver, timeoutMs: number | undefined): Message<T> {
    const { mailbox, intake, receiving, life } = this.#settings;
    const blocked = new BlockingWait(timeoutMs, mailbox);
    for (;;) {
      const message = receiving.tryReceive(receiver);
      if (message !== undefined) return message;
      if (receiver.ended) throw life.nothingMore();
      blocked.wait(receiver, 'no message came');
      life.checkOpen();
      intake.drain();
    }
  }
}

/** One blocking call, with its deadline. */
class BlockingWait {
  readonly #timeoutMs: number | undefined;
  readonly #deadline: number;
  readonly #mailbox: string;

  constructor(timeoutMs: number | undefined, mailbox: string) {
    this.#timeoutMs = timeoutMs;
    this.#deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : performance.now() + timeoutMs;
    this.#mailbox = mailbox;
  }

  /** @throws NARU_TIMEOUT, NARU_INTERRUPTED */
  wait(end: Sender | Receiver, what: string): void {
    // The clock is not looked at where there is no deadline.
    const left = this.#timeoutMs === undefined ? ENDLESS_MS : this.#deadline - performance.now();
    const outcome = left <= 0 ? 'timeout' : (end.waitSync?.(Math.min(left, ENDLESS_MS)) ?? 'timeout');
    if (outcome === 'ready') return;
    if (outcome === 'timeout') throw timeoutError(what, this.#timeoutMs ?? 0, this.#mailbox);
    throw new NaruError(
      'NARU_INTERRUPTED',
      `${this.#mailbox}: a signal arrived while the thread was blocked`,
      {
        mailbox: this.#mailbox,
      },
    );
  }
}
