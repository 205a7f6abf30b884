// Who may log in and what they may do: users with salted hashes in RabbitMQ's own form, and their permissions in each virtual
// host. Comparing takes the same time for a wrong password and for a user that does not exist.

import { createHash, timingSafeEqual } from 'node:crypto';
import { NaruError } from '../errors/index.ts';
import { LIMITS } from './limits.ts';
import type { Change } from './storage/change.ts';

export type Action = 'configure' | 'write' | 'read';

export interface Permission {
  /** Patterns of names, as regular expressions; an empty one allows nothing. */
  readonly configure: string;
  readonly write: string;
  readonly read: string;
}

export interface User {
  readonly name: string;
  /** base64 of 4 bytes of salt and SHA-256 of salt and password; empty: nobody can log in with it. */
  readonly passwordHash: string;
  readonly tags: readonly string[];
}

interface Compiled {
  readonly permission: Permission;
  readonly patterns: Readonly<Record<Action, RegExp>>;
}

const SALT_BYTES = 4;
const NOBODY = `${'A'.repeat(47)}=`;

export class Users {
  readonly #max: number;
  readonly #users = new Map<string, User>();
  readonly #permissions = new Map<string, Map<string, Compiled>>();
  /** Raised by every change. */
  epoch = 0;
  readonly #note: (change: Change) => void;

  /**
   * @param max  how many there may be
   * @param note  told every change
   */
  constructor(max: number, note: (change: Change) => void) {
    this.#max = max;
    this.#note = note;
  }

  get all(): Iterable<User> {
    return this.#users.values();
  }

  get(name: string): User | undefined {
    return this.#users.get(name);
  }

  /** @throws NARU_LIMIT  there are as many as may be */
  put(user: User): void {
    if (this.#users.size >= this.#max && !this.#users.has(user.name)) {
      throw new NaruError(
        'NARU_LIMIT',
        `user '${user.name}' cannot be added: the limit of ${this.#max} is reached; delete others or raise usersMax`,
      );
    }
    this.#users.set(user.name, user);
    this.epoch += 1;
    this.#note({ do: 'user', user });
  }

  delete(name: string): boolean {
    for (const byUser of this.#permissions.values()) byUser.delete(name);
    this.epoch += 1;
    this.#note({ do: 'delete-user', name });
    return this.#users.delete(name);
  }

  /** @returns the user, when the password is right. An empty password never is. */
  logIn(name: string, password: Uint8Array): User | undefined {
    const user = this.#users.get(name);
    const known = user !== undefined && user.passwordHash !== '' && password.length > 0;
    const stored = Buffer.from(known ? user.passwordHash : NOBODY, 'base64');
    const given = hash(stored.subarray(0, SALT_BYTES), password);
    const expected = stored.subarray(SALT_BYTES);
    return expected.length === given.length && timingSafeEqual(expected, given) && known ? user : undefined;
  }

  /** @throws NARU_INVALID_ARGUMENT  a pattern is no regular expression, or too long */
  allow(name: string, vhost: string, permission: Permission): void {
    const patterns = {
      configure: compile(permission.configure),
      write: compile(permission.write),
      read: compile(permission.read),
    };
    const byUser = this.#permissions.get(vhost) ?? new Map<string, Compiled>();
    this.#permissions.set(vhost, byUser);
    byUser.set(name, { permission, patterns });
    this.epoch += 1;
    this.#note({ do: 'permission', user: name, vhost, may: permission });
  }

  forbid(name: string, vhost: string): boolean {
    this.epoch += 1;
    this.#note({ do: 'delete-permission', user: name, vhost });
    return this.#permissions.get(vhost)?.delete(name) ?? false;
  }

  forgetVhost(vhost: string): void {
    this.#permissions.delete(vhost);
    this.epoch += 1;
  }

  permission(name: string, vhost: string): Permission | undefined {
    return this.#permissions.get(vhost)?.get(name)?.permission;
  }

  /** Every permission there is. */
  *permissions(): Generator<Permission & { readonly user: string; readonly vhost: string }> {
    for (const [vhost, byUser] of this.#permissions) {
      for (const [user, { permission }] of byUser) yield { user, vhost, ...permission };
    }
  }

  /** The changes that make all users and what they may. */
  changes(): Change[] {
    const users = Array.from(this.#users.values(), (user): Change => ({ do: 'user', user }));
    const permissions = Array.from(this.permissions(), ({ user, vhost, configure, write, read }): Change => {
      return { do: 'permission', user, vhost, may: { configure, write, read } };
    });
    return [...users, ...permissions];
  }

  may(name: string, vhost: string, action: Action, resourceName: string): boolean {
    const compiled = this.#permissions.get(vhost)?.get(name);
    return compiled !== undefined && compiled.patterns[action].test(resourceName);
  }
}

/** @param salt  4 random bytes */
export function hashPassword(password: string, salt: Uint8Array): string {
  return Buffer.concat([salt, hash(salt, Buffer.from(password))]).toString('base64');
}

function hash(salt: Uint8Array, password: Uint8Array): Buffer {
  return createHash('sha256').update(salt).update(password).digest();
}

function compile(pattern: string): RegExp {
  if (pattern.length > LIMITS.patternCharsMax.default) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `a permission's pattern of ${pattern.length} characters is longer than ${LIMITS.patternCharsMax.default}`,
    );
  }
  try {
    return pattern === '' ? /^$/ : new RegExp(pattern);
  } catch (cause) {
    throw new NaruError(
      'NARU_INVALID_ARGUMENT',
      `the permission's pattern ${JSON.stringify(pattern)} is no regular expression: write one, such as ".*"`,
      { cause },
    );
  }
}
