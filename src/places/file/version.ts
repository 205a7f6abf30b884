// Which value a file holds, told from what stat(2) says of it: whether it was read before, and whether its writer may still be at it.
// Pure: no file, no clock.

/** What stat(2) says of a file that matters here. */
export interface FileVersion {
  readonly dev: bigint;
  readonly ino: bigint;
  readonly size: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
}

/** What to do with what is there. */
export type Verdict = 'known' | 'unsettled' | 'new';

/** So long must a file that may be written in place have been left alone. Time stamps advance in steps of up to 10 ms. */
export const QUIET_MS = 25;

const NS_PER_MS = 1_000_000n;

/**
 * Whether it is the value that was read before. A replaced file is another inode; one written in place has another modification
 * time or size. What else is changed about a file (mode, names) is no value. The file that was read must be kept open meanwhile:
 * its inode number would be given to another.
 */
export function isSameValue(a: FileVersion, b: FileVersion): boolean {
  return a.dev === b.dev && a.ino === b.ino && a.size === b.size && a.mtimeNs === b.mtimeNs;
}

/** Whether nothing at all was done to the file between two looks. */
export function isUntouched(a: FileVersion, b: FileVersion): boolean {
  return isSameValue(a, b) && a.ctimeNs === b.ctimeNs;
}

/** Judges one look after the other. */
export class Judge {
  #known: FileVersion | undefined;
  #suspect: { readonly version: FileVersion; readonly sinceMs: number } | undefined;

  /** The value that was read, or that is not wanted. */
  know(version: FileVersion | undefined): void {
    this.#known = version;
    this.#suspect = undefined;
  }

  /**
   * @param wallMs   milliseconds since the epoch, by the clock that stamps files
   * @param steadyMs milliseconds from any moment on, by a clock that is never set
   */
  judge(version: FileVersion, wallMs: number, steadyMs: number): Verdict {
    if (this.#known !== undefined && isSameValue(this.#known, version)) return 'known';
    if (isSettled(version, wallMs)) return 'new';
    const suspect = this.#suspect;
    if (suspect === undefined || !isUntouched(suspect.version, version)) {
      this.#suspect = { version, sinceMs: steadyMs };
      return 'unsettled';
    }
    return steadyMs - suspect.sinceMs >= QUIET_MS ? 'new' : 'unsettled';
  }
}

/**
 * The last thing done to it was not a write: it was renamed to where it is, or its attributes were set when all was written. Or it
 * was left alone for long. An empty file is what a writer in place begins with.
 */
function isSettled({ size, mtimeNs, ctimeNs }: FileVersion, wallMs: number): boolean {
  if (size > 0n && ctimeNs > mtimeNs) return true;
  const newest = ctimeNs > mtimeNs ? ctimeNs : mtimeNs;
  const age = wallMs - Number(newest / NS_PER_MS);
  return age >= QUIET_MS;
}
