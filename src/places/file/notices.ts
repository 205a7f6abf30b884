// What the system tells of changes to a file: notices of its folder, since a file that is replaced is another one each time. Where the
// system tells nothing, whoever waits looks by itself.

import { existsSync, type FSWatcher, watch } from 'node:fs';
import { basename, dirname } from 'node:path';

export class Notices {
  readonly #path: string;
  readonly #heard: () => void;
  #watcher: FSWatcher | undefined;
  #isHeld = false;
  /** How often a file came to the path, as far as the system told. */
  arrivals = 0;

  constructor(path: string, heard: () => void) {
    this.#path = path;
    this.#heard = heard;
  }

  get isWatching(): boolean {
    return this.#watcher !== undefined;
  }

  /** Begins to listen, again where the folder was moved or removed. Where it cannot (no descriptors left, too many watches), it does not. */
  ensure(): void {
    if (this.#watcher !== undefined) return;
    const name = basename(this.#path);
    try {
      const watcher = watch(dirname(this.#path), { persistent: this.#isHeld });
      watcher.on('change', (type, changed) => {
        if (changed !== null && String(changed) !== name) {
          // Of the folder itself: it went.
          if (type === 'rename' && String(changed) === basename(dirname(this.#path))) this.stop();
          return;
        }
        // A file that went is no arrival.
        if (type === 'rename' && existsSync(this.#path)) this.arrivals += 1;
        this.#heard();
      });
      watcher.on('error', () => this.stop());
      this.#watcher = watcher;
    } catch {
      // Looking every pollMs is what is left.
    }
  }

  /** Whether listening keeps the process alive. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    if (isHeld) this.#watcher?.ref();
    else this.#watcher?.unref();
  }

  stop(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }
}

/**
 * How many values nobody read: of those that came, as far as the system told, all but the ones that were read. Pure.
 * Each is told once.
 */
export class Missed {
  #read = 0;
  #told = 0;
  /** Missed values that never arrived: they were there from the start. */
  #base = 0;

  get total(): number {
    return this.#told;
  }

  read(): void {
    this.#read += 1;
  }

  /** What was read goes back unseen. */
  unread(): void {
    this.#read -= 1;
  }

  /** What was read was replaced unseen, and that is told. @param isArrival  it was counted as read */
  lose(isArrival: boolean): void {
    if (isArrival) this.#read -= 1;
    this.#told += 1;
    if (!isArrival) this.#base += 1;
  }

  /** @param arrivals  how many had come before the look that is over now @returns how many more were missed */
  settle(arrivals: number): number {
    const more = Math.max(0, arrivals - this.#read - this.#told + this.#base);
    this.#told += more;
    return more;
  }
}
