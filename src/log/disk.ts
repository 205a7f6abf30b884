// What the log asks of the outside: a folder on a disk, and time. The real ones are in src/disk/; tests bring a disk that
// loses what was not synced. A failed call rejects with an Error whose `code` is the errno (`ENOSPC`, `EIO`, `ENOENT`).

/** An open file. Offsets and lengths in bytes. */
export interface DiskFile {
  /** Writes all of it, one part after the other. */
  write(parts: readonly Uint8Array[], offset: number): Promise<void>;
  /** @returns how much was read: less than asked for only at the end of the file */
  read(into: Uint8Array, offset: number): Promise<number>;
  /** What was written, and the file's size, survive a loss of power when this has resolved. */
  sync(): Promise<void>;
  /** Makes the file exactly so long: cuts it, or lets it grow by zeros that take no room. */
  truncate(bytes: number): Promise<void>;
  /** Takes room for the file up to `bytes`, as zeros where nothing was written. ENOSPC when there is none. */
  allocate(bytes: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

/** One folder. Names are plain file names in it. */
export interface Disk {
  /** How errors name it: a path. */
  readonly folder: string;
  list(): Promise<readonly string[]>;
  /** Makes a file; EEXIST when there is one. */
  create(name: string): Promise<DiskFile>;
  open(name: string): Promise<DiskFile>;
  /** Replaces `to` when it exists. */
  rename(from: string, to: string): Promise<void>;
  unlink(name: string): Promise<void>;
  /** What was created, renamed and unlinked survives a loss of power when this has resolved. Needs no descriptor of its own while locked. */
  syncFolder(): Promise<void>;
  /**
   * Makes sure that nobody else writes here, until the returned function is called or this process dies.
   * @throws NARU_EXISTS  another process has it
   */
  lock(): Promise<() => Promise<void>>;
}

/** Time. Timers must not keep the process alive. */
export interface LogClock {
  /** Milliseconds; only differences matter. */
  now(): number;
  /** Calls `fn` once, `ms` from now. @returns a function that cancels it */
  after(ms: number, fn: () => void): () => void;
}

/** How safe something is: in this process's memory; in the operating system's; on the disk. */
export type Level = 'memory' | 'os' | 'disk';

/** errno of a failed call, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined;
  return typeof code === 'string' ? code : undefined;
}

/** No room on the disk, or no descriptor for one more file. */
const FULL: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE']);

/** Whether a call failed because there is no room: the one failure that passes by itself. */
export function isFull(error: unknown): boolean {
  return FULL.has(errnoOf(error) ?? '');
}
