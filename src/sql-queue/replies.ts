// The way back for answers to requests: a requester has a seat, by which its life is proved, and answers are rows for that seat until it takes them.
// Those for seats of the dead go with the seats.

import type { Replies } from '../engine-queue/backend.ts';
import type { SqlRow, Step } from './backend.ts';
import type { ReplyStatements } from './statements.ts';

/** As open() says them; what stands in a request may be anything. */
const ADDRESS = /^[1-9]\d{0,9}$/;

export interface SqlRepliesInit {
  readonly statements: ReplyStatements;
  /** Takes a seat for the requester. */
  readonly enter: () => Promise<number>;
  readonly leave: (seat: number) => Promise<void>;
  readonly query: (step: Step) => Promise<readonly SqlRow[]>;
}

export class SqlReplies implements Replies {
  readonly #init: SqlRepliesInit;
  #seat: number | undefined;
  #heard: (message: Uint8Array) => void = () => undefined;
  #looking: Promise<void> | undefined;
  /** Something may have come since the last look. */
  #isDirty = false;

  constructor(init: SqlRepliesInit) {
    this.#init = init;
  }

  /** The requester's, once it has one. */
  get seat(): number | undefined {
    return this.#seat;
  }

  async open(heard: (message: Uint8Array) => void): Promise<string> {
    this.#heard = heard;
    this.#seat = await this.#init.enter();
    return String(this.#seat);
  }

  async answer(address: string, message: Buffer): Promise<boolean> {
    if (!ADDRESS.test(address)) return false;
    const seat = Number(address);
    const { answer } = this.#init.statements;
    const kept = await this.#init.query({ statement: answer, values: [seat, message] });
    this.look(seat);
    return kept.length > 0;
  }

  /** Answers may have come. @param seat  for whom; undefined: the database does not say */
  look(seat?: number): void {
    if (this.#seat === undefined || (seat !== undefined && seat !== this.#seat)) return;
    this.#isDirty = true;
    this.#looking ??= this.#takeAll(this.#seat).finally(() => {
      this.#looking = undefined;
    });
  }

  async close(): Promise<void> {
    const seat = this.#seat;
    this.#seat = undefined;
    await this.#looking;
    if (seat !== undefined) await this.#init.leave(seat);
  }

  async #takeAll(seat: number): Promise<void> {
    const { answers } = this.#init.statements;
    while (this.#isDirty) {
      this.#isDirty = false;
      // A connection that broke is looked behind when it is there again; requests have times of their own.
      const rows = await this.#init.query({ statement: answers, values: [seat] }).catch(() => []);
      for (const [, message] of rows) this.#heard(message as Uint8Array);
    }
  }
}
