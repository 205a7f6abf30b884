// By what others see that a handle lives: a file of its own beside the database, with a lock that the kernel frees when its process
// dies. Its name stands in the seats of the handle.

import { randomBytes } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { FileLock } from '../../kernel/index.ts';

export class LifeLock {
  /** What stands in the seats. */
  readonly name: string;
  readonly #path: string;
  readonly #lock: FileLock;

  /** @throws NARU_NATIVE_MISSING, NARU_DENIED, NARU_LIMIT */
  constructor(database: string) {
    this.name = randomBytes(9).toString('base64url');
    this.#path = pathOf(database, this.name);
    this.#lock = new FileLock(this.#path);
    this.#lock.tryAcquire();
  }

  close(): void {
    rmSync(this.#path, { force: true });
    void this.#lock.close();
  }
}

/** Whether the holder of this lock is dead; removes its file then. */
export function isDead(database: string, name: string): boolean {
  // Names come out of the file, which anybody may have written to.
  if (!/^[\w-]{12}$/.test(name)) return true;
  const path = pathOf(database, name);
  if (!existsSync(path)) return true;
  const lock = new FileLock(path, { create: false });
  try {
    if (!lock.tryAcquire()) return false;
    rmSync(path, { force: true });
    return true;
  } finally {
    void lock.close();
  }
}

function pathOf(database: string, name: string): string {
  return `${database}-naru-${name}`;
}
