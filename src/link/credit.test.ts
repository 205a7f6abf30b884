// The ledger: what is lent never exceeds the room, and whoever needs room gets it when there is some.

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Account, Ledger } from './credit.ts';

/** A mailbox of numbers with producers that use, need and return credit. */
class World {
  held = 0;
  heldBytes = 0;
  readonly accounts: Account[] = [];
  readonly recalls: Account[] = [];
  readonly ledger: Ledger;
  readonly #messages: number;
  readonly #bytes: number;

  constructor(messages: number, bytes: number) {
    this.#messages = messages;
    this.#bytes = bytes;
    this.ledger = new Ledger(() => ({ messages: messages - this.held, bytes: bytes - this.heldBytes }));
  }

  open(): Account {
    const account: Account = this.ledger.open(
      { grant: () => undefined, recall: () => this.recalls.push(account) },
      true,
    );
    this.accounts.push(account);
    return account;
  }

  /** @returns whether it had the credit */
  send(account: Account, bytes: number): boolean {
    if (!this.ledger.used(account, bytes)) return false;
    this.held += 1;
    this.heldBytes += bytes;
    return true;
  }

  answerRecalls(): void {
    for (const account of this.recalls.splice(0)) this.ledger.returned(account, 0, 0);
  }

  check(): void {
    const messages = this.accounts.reduce((sum, account) => sum + account.messages, 0);
    const bytes = this.accounts.reduce((sum, account) => sum + account.bytes, 0);
    expect(this.held + messages).toBeLessThanOrEqual(this.#messages);
    expect(this.heldBytes + bytes).toBeLessThanOrEqual(this.#bytes);
    for (const account of this.accounts) {
      expect(account.messages).toBeGreaterThanOrEqual(0);
      expect(account.bytes).toBeGreaterThanOrEqual(0);
    }
  }
}

describe('the ledger', () => {
  test('never lends more than there is, whatever producers do', () => {
    const step = fc.record({ who: fc.nat(3), what: fc.nat(5), bytes: fc.nat(400) });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 50 }), fc.array(step, { maxLength: 200 }), (capacity, steps) => {
        const world = new World(capacity, 1000);
        for (let i = 0; i < 4; i += 1) world.open();
        world.ledger.balance();
        for (const { who, what, bytes } of steps) {
          const account = world.accounts[who] as Account;
          if (what === 0) world.ledger.needs(account, bytes);
          else if (what === 1) world.answerRecalls();
          else if (what === 2 && world.held > 0) {
            world.heldBytes -= Math.floor(world.heldBytes / world.held);
            world.held -= 1;
          } else world.send(account, bytes);
          world.ledger.balance();
          world.check();
        }
      }),
    );
  });

  test('serves one after the other who needs more than is free, by calling back what others do not use', () => {
    const world = new World(100, 1000);
    const [a, b] = [world.open(), world.open()];
    world.ledger.balance();
    expect([a.bytes, b.bytes]).toEqual([500, 500]);
    world.ledger.needs(a, 900);
    world.ledger.needs(b, 800);
    world.ledger.balance();
    expect(world.recalls).toEqual([b]);
    world.answerRecalls();
    world.ledger.balance();
    expect(a.bytes).toBeGreaterThanOrEqual(900);
    expect(world.send(a, 900)).toBe(true);
    world.ledger.balance();
    world.answerRecalls();
    world.ledger.balance();
    expect(b.need).toBe(800);
    world.held = 0;
    world.heldBytes = 0;
    world.ledger.balance();
    world.answerRecalls();
    world.ledger.balance();
    expect(world.send(b, 800)).toBe(true);
  });

  test('lends more to who uses it, and little to who is idle', () => {
    const world = new World(1_000_000, 1e9);
    const busy = world.open();
    const idle = world.open();
    world.ledger.balance();
    for (let i = 0; i < 100_000; i += 1) {
      if (!world.send(busy, 10)) world.ledger.needs(busy, 10);
      if (i % 64 === 0) world.ledger.balance();
    }
    expect(busy.messages).toBeGreaterThan(10_000);
    expect(idle.messages).toBe(256);
  });

  test('is short while somebody has nothing, so that room is told as soon as there is some', () => {
    const world = new World(1, 100);
    const only = world.open();
    world.ledger.balance();
    expect(world.ledger.isShort).toBe(false);
    world.send(only, 10);
    world.ledger.balance();
    expect(only.messages).toBe(0);
    expect(world.ledger.isShort).toBe(true);
  });

  test('a producer that leaves gives back what it was lent', () => {
    const world = new World(10, 100);
    const a = world.open();
    world.ledger.balance();
    expect(a.messages).toBe(10);
    world.ledger.close(a);
    world.accounts.splice(0);
    const b = world.open();
    world.ledger.balance();
    expect(b.messages).toBe(10);
  });
});
