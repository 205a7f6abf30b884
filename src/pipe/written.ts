// How many messages the last bytes of a pipe are: what a writer must know when they are lost with it.

export class WrittenBytes {
  /** Bytes and messages of each write, the oldest first. */
  #writes: { readonly bytes: number; readonly count: number }[] = [];
  #bytes = 0;
  /** What no pipe holds need not be remembered; grown when a pipe held more. */
  #mostBytes = 2 ** 20;

  add(bytes: number, count: number): void {
    this.#writes.push({ bytes, count });
    this.#bytes += bytes;
    if (this.#bytes > 2 * this.#mostBytes) this.#forget();
  }

  /** Remember so many bytes: the size of the pipe. */
  keep(bytes: number): void {
    this.#mostBytes = Math.max(this.#mostBytes, bytes);
  }

  /** How many messages lie in the last `bytes` bytes, in whole or in part. */
  last(bytes: number): number {
    let left = bytes;
    let count = 0;
    for (let i = this.#writes.length - 1; i >= 0 && left > 0; i -= 1) {
      const write = this.#writes[i] as { bytes: number; count: number };
      // Messages of one write are taken to be of one length.
      count += left >= write.bytes ? write.count : Math.ceil((left / write.bytes) * write.count);
      left -= write.bytes;
    }
    return count;
  }

  #forget(): void {
    let from = 0;
    while (this.#bytes > this.#mostBytes) {
      this.#bytes -= (this.#writes[from] as { bytes: number }).bytes;
      from += 1;
    }
    this.#writes = this.#writes.slice(from);
  }
}
