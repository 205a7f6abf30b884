// A message that its producer writes where it stays: the array it fills becomes the body, without a copy. Its room in the box is
// set aside meanwhile.

import { NaruError } from '../../errors/index.ts';
import type { ClaimRequest, DriverClaim } from '../../mailbox/driver.ts';
import type { Box } from './box.ts';
import { newParcel, parcelBytes } from './parcel.ts';

export class MemoryClaim implements DriverClaim {
  readonly body: Uint8Array;
  readonly #box: Box;
  readonly #sender: string;
  readonly #request: ClaimRequest;
  readonly #reservedBytes: number;

  private constructor(box: Box, sender: string, request: ClaimRequest, reservedBytes: number) {
    this.body = new Uint8Array(request.sizeBytes);
    this.#box = box;
    this.#sender = sender;
    this.#request = request;
    this.#reservedBytes = reservedBytes;
  }

  /**
   * @returns undefined when the box has no room now
   * @throws NARU_UNSUPPORTED  it is a rendezvous
   */
  static open(box: Box, sender: string, request: ClaimRequest): MemoryClaim | undefined {
    const { capacityMessages, capacityBytes } = box.settings;
    if (capacityMessages === 0) {
      throw new NaruError(
        'NARU_UNSUPPORTED',
        `${box.text}: a rendezvous (capacity 0) has no room that a claim could set aside; use send()`,
        { place: 'memory', mailbox: box.text },
      );
    }
    const bytes = parcelBytes(request.sizeBytes, request.fields, capacityBytes);
    return box.store.reserve(bytes) ? new MemoryClaim(box, sender, request, bytes) : undefined;
  }

  commit(usedBytes: number): void {
    const box = this.#box;
    box.store.unreserve(this.#reservedBytes);
    if (box.gone !== undefined) throw box.gone;
    const body = usedBytes === this.body.byteLength ? this.body : this.body.subarray(0, usedBytes);
    const message = { ...this.#request, body, confirm: undefined, done: undefined };
    const parcel = newParcel(message, this.#sender, box.settings.capacityBytes, undefined);
    if (box.store.offer(parcel, parcel) === 'ended') throw box.endedError();
  }

  abort(): void {
    this.#box.store.unreserve(this.#reservedBytes);
  }
}
