// Versions of entries for places that have no counter of their own which never goes back: made by the writer, never twice.

/** Ten bytes of chance for the handle, six of a counter. */
const BYTES = 16;
const COUNTER_BYTES = 6;

/** Length of a version in bytes. */
export const VERSION_BYTES: number = BYTES;

export class Versions {
  readonly #prefix: Uint8Array;
  #count = 0;

  /** @param random  gives so many bytes of chance */
  constructor(random: (bytes: number) => Uint8Array) {
    this.#prefix = random(BYTES - COUNTER_BYTES);
  }

  /** A version that no entry has had, anywhere. */
  next(): Buffer {
    const version = Buffer.allocUnsafe(BYTES);
    this.write(version, 0);
    return version;
  }

  /** The same, into bytes that are there. */
  write(into: Buffer, at: number): void {
    into.set(this.#prefix, at);
    this.#count += 1;
    into.writeUIntBE(this.#count, at + BYTES - COUNTER_BYTES, COUNTER_BYTES);
  }
}

/** As the model keeps it: equal versions are equal strings. */
export function versionText(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, BYTES).toString('base64url');
}

/** The bytes of such a text; of something else no entry's. */
export function versionBytes(version: unknown): Buffer {
  const bytes = typeof version === 'string' ? Buffer.from(version, 'base64url') : Buffer.alloc(0);
  return bytes.byteLength === BYTES ? bytes : Buffer.alloc(BYTES);
}
