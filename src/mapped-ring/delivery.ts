// A message as the receiver hands it out: light, because millions of them are made in a second. It holds numbers and a slab;
// body, sequence and time are read from there when somebody asks.

import type { Delivery } from '../mailbox/driver.ts';
import type { MessageMemory } from '../ring/slab.ts';
import type { MessageFields } from '../wire/envelope-types.ts';
import { sequenceAt, timeAt } from '../wire/envelope.ts';

/** Nobody reads a delivery by words. */
const NO_WORDS = new Int32Array(0);

/** @typeParam L  the lane it came through, as its receiver sees it */
export class LaneDelivery<L> implements Delivery {
  readonly lane: L;
  readonly token: number;
  readonly sender: string;
  readonly deliveries: number;
  readonly receipt: boolean;
  readonly fields: MessageFields | undefined;
  readonly #slab: MessageMemory;
  readonly #start: number;
  readonly #bodyStart: number;
  readonly #end: number;
  #body: Uint8Array | undefined;

  /**
   * @param start      of the envelope in the slab
   * @param bodyStart  of the body in the slab
   * @param end        of the body in the slab
   */
  constructor(
    lane: L,
    token: number,
    sender: string,
    deliveries: number,
    receipt: boolean,
    fields: MessageFields | undefined,
    slab: MessageMemory,
    start: number,
    bodyStart: number,
    end: number,
  ) {
    this.lane = lane;
    this.token = token;
    this.sender = sender;
    this.deliveries = deliveries;
    this.receipt = receipt;
    this.fields = fields;
    this.#slab = slab;
    this.#start = start;
    this.#bodyStart = bodyStart;
    this.#end = end;
  }

  get body(): Uint8Array {
    this.#body ??= new Uint8Array(this.#slab.buffer, this.#bodyStart, this.#end - this.#bodyStart);
    return this.#body;
  }

  get sequence(): number {
    return sequenceAt(this.#slab.view, this.#start);
  }

  get time(): number {
    return timeAt(this.#slab.view, this.#start);
  }

  /**
   * The same message for another delivery; what was read where it lies comes again as a copy. The old object stays as it was:
   * somebody may still hold it.
   */
  again(deliveries: number): LaneDelivery<L> {
    const offset = this.#slab.isMapped ? this.#start : 0;
    return new LaneDelivery(
      this.lane,
      this.token,
      this.sender,
      deliveries,
      this.receipt,
      this.fields,
      this.#slab.isMapped ? privateCopy(this.#slab.bytes.slice(this.#start, this.#end)) : this.#slab,
      this.#start - offset,
      this.#bodyStart - offset,
      this.#end - offset,
    );
  }
}

function privateCopy(bytes: Uint8Array<ArrayBuffer>): MessageMemory {
  const { buffer } = bytes;
  return { buffer, bytes, words: NO_WORDS, view: new DataView(buffer), isMapped: false };
}
