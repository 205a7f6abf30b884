// Tells when other connections changed the file: the kernel says that its write-ahead log was written to, SQLite's data_version
// whether that was a commit. The log is written a moment before the commit can be seen, so after an event it looks a few times.

import { type FSWatcher, watch } from 'node:fs';

/** After an event it looks at once and after so many milliseconds each. */
const LOOKS_MS = [2, 10, 50, 200, 700];

export class FileWatch {
  readonly #readVersion: () => number | undefined;
  readonly #changed: () => void;
  readonly #watcher: FSWatcher;
  #version: number | undefined;
  #look = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param readVersion  SQLite's data_version; undefined: it cannot be read now
   * @param changed      somebody else has committed something
   */
  constructor(path: string, readVersion: () => number | undefined, changed: () => void) {
    this.#readVersion = readVersion;
    this.#changed = changed;
    this.#version = readVersion();
    this.#watcher = watch(`${path}-wal`, { persistent: false }, () => this.#hear());
    // The file cannot be watched any more: whoever waits must look for itself.
    this.#watcher.on('error', () => this.#changed());
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#watcher.close();
  }

  #hear(): void {
    this.#look = 0;
    clearTimeout(this.#timer);
    this.#check();
  }

  #check(): void {
    const version = this.#readVersion();
    if (version === undefined || version !== this.#version) {
      this.#version = version;
      this.#changed();
    }
    const delayMs = LOOKS_MS[this.#look];
    this.#look += 1;
    if (delayMs !== undefined) this.#timer = setTimeout(() => this.#check(), delayMs).unref();
  }
}
