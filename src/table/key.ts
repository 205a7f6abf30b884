// A key on its way into the table: its bytes, padded with zeros to whole words, and their hash. One object serves a handle; it holds
// the key of the call that is going on.

import { KEY_BYTES_MAX } from './layout.ts';

export class Key {
  readonly bytes: Uint8Array = new Uint8Array(KEY_BYTES_MAX + 4);
  readonly words: Int32Array = new Int32Array(this.bytes.buffer);
  readonly #encoder = new TextEncoder();
  length = 0;
  hash = 0;

  /** @param text  well-formed, and at most KEY_BYTES_MAX bytes of UTF-8 */
  set(text: string): void {
    const { bytes, words } = this;
    const units = text.length;
    let length = 0;
    if (units <= 64) {
      for (; length < units; length += 1) {
        const code = text.charCodeAt(length);
        if (code > 0x7f) break;
        bytes[length] = code;
      }
    }
    if (length < units) length = this.#encoder.encodeInto(text, bytes).written;
    this.length = length;
    // Whoever compares or hashes takes whole words.
    for (let at = length; (at & 3) !== 0; at += 1) bytes[at] = 0;
    let hash = length;
    const wordCount = (length + 3) >>> 2;
    for (let at = 0; at < wordCount; at += 1) {
      let k = Math.imul(words[at] as number, 0xcc9e2d51 | 0);
      k = Math.imul((k << 15) | (k >>> 17), 0x1b873593);
      hash ^= k;
      hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + (0xe6546b64 | 0)) | 0;
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b | 0);
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35 | 0);
    this.hash = hash ^ (hash >>> 16);
  }
}
