// A mailbox as tables: what a backend of engine-queue/ has to do, said in statements. Which database runs them, and how it tells of changes,
// is the place's.

import type {
  Backend,
  ChangeListener,
  NewRows,
  Outlook,
  Room,
  SeatRole,
  Settling,
  Stored,
  Taken,
  TakenRow,
  Taking,
} from '../engine-queue/backend.ts';
import { isNaruError, NaruError } from '../errors/index.ts';
import type { DriverFacts } from '../mailbox/driver.ts';
import type { Dialect, SqlBackend, SqlBoxSettings, SqlListener, SqlRow, Step } from './backend.ts';
import { FloorKeeper } from './floor.ts';
import { SqlReplies } from './replies.ts';
import { boxStatements, type BoxStatements, FRONT } from './statements.ts';

const UNLIMITED = 2 ** 31 - 1;

export interface TablesInit {
  readonly facts: DriverFacts;
  readonly settings: SqlBoxSettings;
  readonly dialect: Dialect;
  readonly listener: ChangeListener;
}

export class Tables implements Backend, SqlListener {
  readonly replies: SqlReplies;
  readonly #init: TablesInit;
  readonly #statements: BoxStatements;
  /** Set by start(), before anybody has this object; a database may call back before that. */
  #opened: SqlBackend | undefined;
  /** The highest number of a message that each seat of this handle ever had: what it has lies no further. */
  readonly #highest = new Map<number, number>();
  /** One for all seats of this handle: what one gives back, another may take. */
  readonly #floor = new FloorKeeper();

  private constructor(init: TablesInit) {
    this.#init = init;
    this.#statements = boxStatements(init.dialect, init.settings.id);
    this.replies = new SqlReplies({
      statements: this.#statements,
      enter: async () => (await this.enter('r', init.facts.identity, UNLIMITED)) as number,
      leave: (seat) => this.#leaveAsking(seat),
      query: (step) => this.#query(step),
    });
  }

  /** @param open  connects to the database, which tells its listener of changes */
  static async start(
    init: TablesInit,
    open: (listener: SqlListener) => Promise<SqlBackend>,
  ): Promise<Tables> {
    const tables = new Tables(init);
    tables.#opened = await open(tables);
    return tables;
  }

  get waitsForPut(): boolean {
    return this.#sql.waitsForPut === true;
  }

  get #sql(): SqlBackend {
    return this.#opened as SqlBackend;
  }

  get #isAtOnce(): boolean {
    return this.#init.dialect.takingAtOnce !== undefined;
  }

  async enter(role: SeatRole, identity: string, most: number): Promise<number | undefined> {
    const { enter, lockBox } = this.#statements;
    const [box, seats] = await this.#run([
      { statement: lockBox, values: [] },
      { statement: enter, values: [role, this.#sql.lock, identity, most] },
    ]);
    if (box?.length === 0) throw this.#removed();
    const id = seats?.[0]?.[0];
    return id === undefined ? undefined : Number(id);
  }

  async leave(seat: number): Promise<void> {
    const { leave, freeSeat } = this.#statements;
    const highest = this.#highest.get(seat);
    this.#highest.delete(seat);
    const steps: Step[] = [{ statement: leave, values: [[seat]] }];
    if (highest !== undefined) steps.push({ statement: freeSeat, values: [seat, highest] });
    await this.#run(steps);
  }

  async #leaveAsking(seat: number): Promise<void> {
    const { leave, forgetAnswers } = this.#statements;
    await this.#run([
      { statement: leave, values: [[seat]] },
      { statement: forgetAnswers, values: [] },
    ]);
  }

  async peers(): Promise<{ producers: number; consumers: number }> {
    const rows = await this.#query({ statement: this.#statements.peers, values: [] });
    const counts = new Map(rows.map(([role, count]) => [role, Number(count)]));
    return { producers: counts.get('p') ?? 0, consumers: counts.get('c') ?? 0 };
  }

  async reap(): Promise<number> {
    const { forgetAnswers, orphansInFront } = this.#statements;
    const count = await this.#watched(this.#sql.reap());
    if (count > 0) await this.#run([{ statement: forgetAnswers, values: [] }]);
    // Seats may also have gone with a server that crashed.
    else if ((await this.#query({ statement: orphansInFront, values: [] })).length === 0) return 0;
    await this.#freeOrphans();
    return Math.max(1, count);
  }

  async #freeOrphans(): Promise<void> {
    const { orphaned, free } = this.#statements;
    const ids = (await this.#query({ statement: orphaned, values: [] })).map(([id]) => Number(id));
    if (ids.length > 0) await this.#run([{ statement: free, values: [ids] }]);
  }

  async put(messages: NewRows, isDurable: boolean): Promise<Stored> {
    await this.#watched(this.#sql.put(messages, isDurable));
    return { placed: messages.rows.length, dropped: 0 };
  }

  async room(): Promise<Room> {
    const { capacityBytes, capacityMessages } = this.#init.settings;
    const [row] = await this.#query({ statement: this.#statements.room, values: [] });
    return {
      messages: (capacityMessages ?? Number.POSITIVE_INFINITY) - Number(row?.[0]),
      bytes: (capacityBytes ?? Number.POSITIVE_INFINITY) - Number(row?.[1]),
    };
  }

  async take(taking: Taking): Promise<Taken> {
    const { seat, sleeps } = taking;
    const rows = await this.#claim(this.#takingSteps(taking), taking);
    if (rows.length > 0 || !sleeps) return { rows, expired: 0, outlook: undefined };
    // One behind the other without waiting: what comes after it has said that it sleeps finds it asleep.
    const again = this.#claiming(taking, []);
    const looked = [
      this.tend(),
      this.#sql.sleeps(seat),
      this.#claim([again], taking),
      this.#outlook(seat),
    ] as const;
    const [expired, , late, outlook] = await Promise.all(looked);
    return { rows: late, expired, outlook: late.length > 0 ? undefined : outlook };
  }

  #takingSteps(taking: Taking): Step[] {
    const { seat, leaseMs, settling, known } = taking;
    // One statement sees the table as it was: a message whose lease is over would be acked and taken at once.
    const areTogether = this.#isAtOnce && leaseMs === 0;
    const steps = this.#settlingSteps(seat, areTogether ? { ...settling, gone: [] } : settling);
    if (known !== undefined) steps.push({ statement: this.#statements.forget, values: [seat, known] });
    return [...steps, this.#claiming(taking, areTogether ? settling.gone : [])];
  }

  #claiming({ seat, max, leaseMs }: Taking, acked: readonly number[]): Step {
    const { claim } = this.#statements;
    if (!this.#isAtOnce) return { statement: claim, values: [seat, max, leaseMs] };
    const { until, from } = this.#floor.next();
    return { statement: claim, values: [seat, max, leaseMs, acked, until, from] };
  }

  /** The last of the steps is a taking. */
  async #claim(steps: readonly Step[], { seat, max }: Taking): Promise<readonly TakenRow[]> {
    try {
      const rows = inOrder((await this.#run(steps)).at(-1));
      const last = rows.at(-1)?.id ?? 0;
      if (last > (this.#highest.get(seat) ?? 0)) this.#highest.set(seat, last);
      if (rows.length === max) this.#floor.passed(last);
      else this.#floor.reset();
      return rows;
    } catch (error) {
      // What it took, if it did, is not known.
      this.#highest.set(seat, Number.MAX_SAFE_INTEGER);
      this.#floor.reset();
      throw error;
    }
  }

  async settle(seat: number, settling: Settling): Promise<void> {
    await this.#run(this.#settlingSteps(seat, settling));
  }

  async extend(seat: number, id: number, ms: number): Promise<void> {
    await this.#run([{ statement: this.#statements.extend, values: [seat, [id], ms] }]);
  }

  async tend(): Promise<number> {
    const expired = await this.#query({ statement: this.#statements.expire, values: [] });
    return expired.length;
  }

  sleeps(seat: number): Promise<void> {
    return this.#watched(this.#sql.sleeps(seat));
  }

  async #outlook(seat: number): Promise<Outlook> {
    const [row = []] = await this.#query({ statement: this.#statements.outlook, values: [seat] });
    const [due, lease, held, seen] = row;
    const times = [due, lease].filter((ms) => ms !== null && ms !== undefined).map(Number);
    return {
      dueMs: times.length === 0 ? undefined : Math.min(...times),
      // Behind many that are delayed there may be more.
      othersHold: Number(held ?? 0) > 0 || Number(seen) >= FRONT,
    };
  }

  tell(what: 'message' | 'room' | 'seats'): Promise<void> {
    return this.#watched(this.#sql.tell(what));
  }

  async stats(): Promise<{ depth: number; depthBytes: number; unsettled: number }> {
    const [row] = await this.#query({ statement: this.#statements.stats, values: [] });
    const [depth = 0, depthBytes = 0, unsettled = 0] = (row ?? []).map(Number);
    return { depth, depthBytes, unsettled };
  }

  async peek(max: number): Promise<readonly TakenRow[]> {
    const rows = await this.#query({ statement: this.#statements.peek, values: [max] });
    return rows.map((row) => takenRow(row, 1));
  }

  async purge(): Promise<number> {
    const rows = await this.#query({ statement: this.#statements.purge, values: [] });
    return rows.length;
  }

  remove(): Promise<void> {
    return this.#sql.remove();
  }

  close(): void {
    this.#sql.close();
  }

  changed(): void {
    this.#init.listener.changed();
  }

  seatsChanged(): void {
    this.#init.listener.seatsChanged();
  }

  disconnected(reason: string): void {
    this.#init.listener.disconnected(reason);
  }

  answered(seat: number | undefined): void {
    this.replies.look(seat);
  }

  reconnected(attempts: number): void {
    this.replies.look();
    this.#init.listener.reconnected(attempts);
  }

  /** The seats' rows may be gone, and what they held be somebody else's. */
  seatsAgain(lock: number | string): Step[] {
    const { enterAgain } = this.#statements;
    const { identity } = this.#init.facts;
    const { seat } = this.replies;
    const asking = seat === undefined ? [] : [{ id: seat, role: 'r' as const }];
    return [...this.#init.listener.seats(), ...asking].map(({ id, role }) => ({
      statement: enterAgain,
      values: [id, role, lock, identity],
    }));
  }

  #settlingSteps(seat: number, { gone, released, requeued }: Settling): Step[] {
    const { release, requeue } = this.#statements;
    const steps: Step[] = [];
    if (released.length > 0 || requeued.size > 0) this.#floor.reset();
    if (gone.length > 0) steps.push(this.#ack(seat, gone));
    if (released.length > 0) steps.push({ statement: release, values: [seat, released] });
    for (const [delayMs, ids] of requeued)
      steps.push({ statement: requeue, values: [seat, ids, Math.round(delayMs)] });
    return steps;
  }

  #ack(seat: number, gone: readonly number[]): Step {
    const { ack, ackRun } = this.#statements;
    const [first] = gone;
    const isRun = first !== undefined && gone.every((id, index) => id === first + index);
    if (this.#isAtOnce || !isRun) return { statement: ack, values: [seat, gone] };
    return { statement: ackRun, values: [seat, first, first + gone.length - 1] };
  }

  async #query(step: Step): Promise<readonly SqlRow[]> {
    const [rows] = await this.#run([step]);
    return rows ?? [];
  }

  #run(steps: readonly Step[]): Promise<readonly (readonly SqlRow[])[]> {
    return this.#watched(this.#sql.run(steps));
  }

  /** A mailbox that was removed is the end of the handle, whichever call learns of it. */
  async #watched<T>(result: Promise<T>): Promise<T> {
    try {
      return await result;
    } catch (error) {
      if (isNaruError(error, 'NARU_CLOSED')) this.#init.listener.gone(error);
      throw error;
    }
  }

  #removed(): NaruError {
    const { address, capabilities } = this.#init.facts;
    const error = new NaruError('NARU_CLOSED', `${address}: the mailbox was removed`, {
      place: capabilities.scheme,
      mailbox: address,
    });
    this.#init.listener.gone(error);
    return error;
  }
}

/** Nothing says in which order changed rows come back. */
function inOrder(rows: readonly SqlRow[] = []): readonly TakenRow[] {
  return rows.map((row) => takenRow(row, 0)).sort((a, b) => a.id - b.id);
}

function takenRow([id, deliveries, message]: SqlRow, more: number): TakenRow {
  return { id: Number(id), deliveries: Number(deliveries) + more, message: message as Uint8Array };
}
