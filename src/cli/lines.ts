// Lines of bytes, cut without ever making text of them: what is no UTF-8, NUL bytes and carriage returns pass unchanged.
// Pure: no streams here.

/** Joins pieces; a lone piece is not copied. */
function join(pieces: readonly Uint8Array[]): Uint8Array {
  return pieces.length === 1 ? (pieces[0] as Uint8Array) : Buffer.concat(pieces);
}

/**
 * Cuts a stream of chunks at line feeds. Lines are views of the chunks where they can be; the line feed is not part of them.
 */
export class LineSplitter {
  #partial: Uint8Array[] = [];
  #partialBytes = 0;

  /** Bytes of the line that has no end yet. */
  get partialBytes(): number {
    return this.#partialBytes;
  }

  /** @returns the lines that this chunk completes */
  push(chunk: Buffer): Uint8Array[] {
    const lines: Uint8Array[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      lines.push(chunk.subarray(start, end));
      start = end + 1;
    }
    if (this.#partialBytes > 0 && lines.length > 0) {
      lines[0] = join([...this.#partial, lines[0] as Uint8Array]);
      this.#partial = [];
      this.#partialBytes = 0;
    }
    if (start < chunk.length) {
      this.#partial.push(chunk.subarray(start));
      this.#partialBytes += chunk.length - start;
    }
    return lines;
  }

  /** @returns what stands after the last line feed; undefined when nothing does */
  end(): Uint8Array | undefined {
    if (this.#partialBytes === 0) return undefined;
    const rest = join(this.#partial);
    this.#partial = [];
    this.#partialBytes = 0;
    return rest;
  }
}
