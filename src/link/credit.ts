// Who may send how much: the room of a mailbox, lent to its producers as credit. What is lent is reserved, so that a message
// sent on credit always finds its place; what others leave unused is called back when somebody has none. Pure: the owner
// says when to balance.

/** A producer, as the ledger sees it. */
export interface Borrower {
  /** May send so many messages and bytes more. */
  grant(messages: number, bytes: number): void;
  /** Others need room: give back what is unused. The answer comes by `returned()`, later or at once. */
  recall(): void;
}

/** The room of a mailbox, without what is lent. */
export interface Room {
  readonly messages: number;
  readonly bytes: number;
}

/** One borrower's account. */
export interface Account {
  readonly borrower: Borrower;
  /** False for a producer in the host's own process: it takes what is free, and is lent only what it waited for. */
  readonly borrows: boolean;
  messages: number;
  bytes: number;
  /** Bytes it needs for its next message; -1 = it needs nothing. */
  need: number;
  recalled: boolean;
  /** How much it is lent at a time: more as it uses it, so that who is idle binds little. */
  limit: Room;
  /** Used since the limit was last looked at. */
  usedMessages: number;
  usedBytes: number;
}

/** Shares up to this size are kept whole: in a small mailbox every place counts. */
const SMALL_MESSAGES = 256;
const SMALL_BYTES = 65_536;
const FIRST_LOAN: Room = { messages: 256, bytes: 262_144 };

export class Ledger {
  readonly #room: () => Room;
  readonly #accounts = new Set<Account>();
  /** Accounts in need, in the order in which they said so. */
  readonly #line = new Set<Account>();
  #awaitingReturns: (() => void)[] = [];
  #lentMessages = 0;
  #lentBytes = 0;

  /** @param room  what the mailbox could take now if nothing were lent */
  constructor(room: () => Room) {
    this.#room = room;
  }

  /** Whether somebody waits for room, or has less than its share for want of room. */
  get isShort(): boolean {
    if (this.#line.size > 0) return true;
    const share = this.#share();
    for (const account of this.#accounts) {
      // Where nothing is to be shared nobody is low, and whoever has nothing must hear when there is.
      if (account.borrows && (account.messages === 0 || isLow(account, targetOf(account, share))))
        return true;
    }
    return false;
  }

  /** Whether balance() has something to do for this account, or for those who wait. */
  isDue(account: Account): boolean {
    if (this.#line.size > 0 || account.messages === 0) return true;
    return isLow(account, targetOf(account, this.#share()));
  }

  /** Room that nobody has a claim to. */
  free(): Room {
    const { messages, bytes } = this.#room();
    return { messages: messages - this.#lentMessages, bytes: bytes - this.#lentBytes };
  }

  open(borrower: Borrower, borrows: boolean): Account {
    const account: Account = {
      borrower,
      borrows,
      messages: 0,
      bytes: 0,
      need: -1,
      recalled: false,
      limit: FIRST_LOAN,
      usedMessages: 0,
      usedBytes: 0,
    };
    this.#accounts.add(account);
    return account;
  }

  close(account: Account): void {
    this.#lend(account, -account.messages, -account.bytes);
    this.#accounts.delete(account);
    this.#line.delete(account);
    this.#checkReturned();
  }

  /** A message of so many bytes came in on credit. @returns false when it exceeds what was lent */
  used(account: Account, bytes: number): boolean {
    if (account.messages < 1 || account.bytes < bytes) return false;
    this.#lend(account, -1, -bytes);
    account.usedMessages += 1;
    account.usedBytes += bytes;
    return true;
  }

  /** It waits for room for a message of so many bytes. */
  needs(account: Account, bytes: number): void {
    // Who asked may have left before the answer.
    if (!this.#accounts.has(account)) return;
    account.need = bytes;
    this.#line.add(account);
  }

  /** It does not wait any more. */
  forgets(account: Account): void {
    account.need = -1;
    this.#line.delete(account);
  }

  /** Resolves when everybody who was asked to give back has done so. */
  whenReturned(): Promise<void> {
    return new Promise((resolve) => {
      this.#awaitingReturns.push(resolve);
      this.#checkReturned();
    });
  }

  /** It gave back all but so much. */
  returned(account: Account, messages: number, bytes: number): void {
    account.recalled = false;
    account.limit = FIRST_LOAN;
    this.#lend(account, Math.min(0, messages - account.messages), Math.min(0, bytes - account.bytes));
    this.#checkReturned();
  }

  /** Lends what is free: first to those in need, in turn; then everybody gets its share again. */
  balance(): void {
    for (const account of this.#line) {
      if (!this.#serve(account)) return;
    }
    const share = this.#share();
    for (const account of this.#accounts) {
      const target = targetOf(account, share);
      if (!isLow(account, target)) continue;
      const free = this.free();
      const messages = Math.min(target.messages - account.messages, free.messages);
      const bytes = Math.min(target.bytes - account.bytes, free.bytes);
      if (messages < 1 && bytes < 1) continue;
      this.#grant(account, Math.max(0, messages), Math.max(0, bytes));
    }
  }

  /** @returns false when it must wait on; those behind it must too */
  #serve(account: Account): boolean {
    // What it was lent is on its way back: anything lent now would cross it, and be counted twice.
    if (account.recalled) return false;
    const free = this.free();
    const messages = Math.max(0, 1 - account.messages);
    const bytes = Math.max(0, account.need - account.bytes);
    if (free.messages < messages || free.bytes < bytes) {
      this.#recallFrom(account);
      return false;
    }
    account.need = -1;
    this.#line.delete(account);
    if (!account.borrows) {
      this.#grant(account, messages, bytes);
      return true;
    }
    const target = targetOf(account, this.#share());
    this.#grant(
      account,
      Math.max(messages, Math.min(target.messages - account.messages, free.messages)),
      Math.max(bytes, Math.min(target.bytes - account.bytes, free.bytes)),
    );
    return true;
  }

  #recallFrom(inNeed: Account): void {
    for (const account of this.#accounts) {
      if (account === inNeed || account.recalled || (account.messages === 0 && account.bytes === 0)) continue;
      account.recalled = true;
      account.borrower.recall();
    }
  }

  /** What each would have if all room were divided. */
  #share(): Room {
    const { messages, bytes } = this.#room();
    const count = Math.max(1, this.#accounts.size);
    return { messages: Math.floor(messages / count), bytes: Math.floor(bytes / count) };
  }

  #checkReturned(): void {
    if (this.#awaitingReturns.length === 0) return;
    for (const account of this.#accounts) if (account.recalled) return;
    const awaiting = this.#awaitingReturns;
    this.#awaitingReturns = [];
    for (const resolve of awaiting) resolve();
  }

  #grant(account: Account, messages: number, bytes: number): void {
    this.#lend(account, messages, bytes);
    account.borrower.grant(messages, bytes);
  }

  #lend(account: Account, messages: number, bytes: number): void {
    account.messages += messages;
    account.bytes += bytes;
    this.#lentMessages += messages;
    this.#lentBytes += bytes;
  }
}

/** What it should have: its share, but no more than it has shown to need. */
function targetOf(account: Account, share: Room): Room {
  const { limit, usedMessages, usedBytes } = account;
  if (usedMessages * 2 >= limit.messages || usedBytes * 2 >= limit.bytes) {
    account.limit = { messages: limit.messages * 2, bytes: limit.bytes * 2 };
    account.usedMessages = 0;
    account.usedBytes = 0;
  }
  return {
    messages: Math.min(share.messages, account.limit.messages),
    bytes: Math.min(share.bytes, account.limit.bytes),
  };
}

/** Clearly less than its share: enough less, in a large mailbox, to be worth a frame. */
function isLow(account: Account, target: Room): boolean {
  if (!account.borrows || account.recalled) return false;
  return (
    isBelow(account.messages, target.messages, SMALL_MESSAGES) ||
    isBelow(account.bytes, target.bytes, SMALL_BYTES)
  );
}

function isBelow(has: number, share: number, small: number): boolean {
  return share <= small ? has < share : has < share * 0.75;
}
