// A log in a folder as a mailbox, in one process: lists and single sends, placed and durable, one sender and many, with a consumer and
// without. Beside it what somebody writes by hand: bodies with their lengths, one write and, where it has to last, one sync for many.

import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';
import { open } from 'naru';
import { Bodies } from '../harness/bodies.ts';
import type { Duel, NearEnd } from '../harness/duel.ts';
import { duelOf, sampleOf } from './naru-log.ts';

/** Messages of a list, and of a group that is written by hand. */
const LIST = 1000;
/** Sends under way at once, where each is a call of its own. */
const CALLS = 4096;
/** Senders that each send lists. */
const SENDERS = 16;

type Receipt = 'placed' | 'durable';

/** What is done: lists by one sender or several, single sends of many, and whether a consumer takes it all. */
export type Work = 'list' | 'lists' | 'calls' | 'consumed';

export const mailboxDuelId = (work: Work, confirm: Receipt): string => `naru-file-${work}-${confirm}`;
export const handDuelId = (confirm: Receipt): string => `node-fs-hand-${confirm}`;

const LABELS: Readonly<Record<Work, string>> = {
  list: 'sendMany(), one sender',
  lists: `sendMany(), ${SENDERS} senders`,
  calls: `send(), ${CALLS.toLocaleString('en')} under way`,
  consumed: 'sendMany() and batches(), each settled',
};

class Box {
  readonly #mailbox: Awaited<ReturnType<typeof openBox>>;
  readonly #confirm: Receipt;
  readonly #work: Work;
  readonly #bodies: Bodies;
  #left = 0;

  constructor(mailbox: Awaited<ReturnType<typeof openBox>>, work: Work, confirm: Receipt, bytes: number) {
    this.#mailbox = mailbox;
    this.#work = work;
    this.#confirm = confirm;
    this.#bodies = new Bodies(undefined, bytes);
  }

  static async open(folder: string, work: Work, confirm: Receipt, bytes: number): Promise<NearEnd> {
    const mailbox = await openBox(folder);
    const box = new Box(mailbox, work, confirm, bytes);
    return {
      address: mailbox.address,
      run: async (count) => {
        const started = process.hrtime.bigint();
        await box.#run(count);
        const sample = sampleOf(count, started);
        // Room for the next round.
        await mailbox.purge();
        return sample;
      },
      close: async () => {
        await mailbox.unlink();
        await mailbox.close();
      },
    };
  }

  async #run(count: number): Promise<void> {
    this.#left = count;
    const consumed = this.#work === 'consumed' ? this.#consume(count) : undefined;
    const senders = { list: 1, consumed: 1, lists: SENDERS, calls: CALLS }[this.#work];
    const send = (): Promise<void> => (this.#work === 'calls' ? this.#sendOnes() : this.#sendLists());
    await Promise.all(Array.from({ length: senders }, send));
    await consumed;
  }

  async #sendLists(): Promise<void> {
    while (this.#left > 0) {
      const size = Math.min(LIST, this.#left);
      this.#left -= size;
      const list = Array.from({ length: size }, (_, index) => this.#bodies.make(index));
      await this.#mailbox.sendMany(list, { confirm: this.#confirm });
    }
  }

  async #sendOnes(): Promise<void> {
    while (this.#left > 0) {
      this.#left -= 1;
      await this.#mailbox.send(this.#bodies.make(this.#left), { confirm: this.#confirm });
    }
  }

  async #consume(count: number): Promise<void> {
    let taken = 0;
    for await (const batch of this.#mailbox.batches({ max: LIST })) {
      taken += batch.length;
      if (taken >= count) return;
    }
  }
}

function openBox(folder: string) {
  return open(`file://${folder}` as 'file:///log', { codec: 'bytes', capacityBytes: 4_294_967_296 });
}

export const mailboxWorks = (work: Work, confirm: Receipt, bytes: number): Duel =>
  duelOf(mailboxDuelId(work, confirm), `file:///folder, ${confirm}: ${LABELS[work]}`, bytes, true, (folder) =>
    Box.open(folder, work, confirm, bytes),
  );

/** Nothing is found again, nothing is checked, nobody hears of a single message. */
export const byHand = (confirm: Receipt, bytes: number): Duel =>
  duelOf(
    handDuelId(confirm),
    `by hand, ${confirm}: node:fs, ${LIST.toLocaleString('en')} at a time`,
    bytes,
    false,
    async (path) => {
      const fd = openSync(path, 'w');
      const bodies = new Bodies(undefined, bytes);
      return {
        address: '',
        run: async (count) => {
          const started = process.hrtime.bigint();
          for (let sent = 0; sent < count; sent += LIST) {
            writeSync(fd, group(bodies, Math.min(LIST, count - sent)));
            if (confirm === 'durable') fdatasyncSync(fd);
          }
          return sampleOf(count, started);
        },
        close: async () => {
          closeSync(fd);
          rmSync(path);
        },
      };
    },
  );

function group(bodies: Bodies, count: number): Buffer {
  const parts: Uint8Array[] = [];
  for (let index = 0; index < count; index += 1) {
    const body = bodies.make(index);
    const length = Buffer.allocUnsafe(4);
    length.writeUInt32LE(body.length);
    parts.push(length, body);
  }
  return Buffer.concat(parts);
}
