// What a script of the differential test is made of. Names of queues and exchanges are short ones here (`q0`, `e1`); whoever plays a
// script gives them a beginning of their own, so that scripts do not meet.

import type { Properties } from '../../wire/amqp091/index.ts';
import type { Plain } from '../got.fixture.ts';

/** Where a step happens. */
interface Where {
  /** Which connection, 0 or 1. Default 0. */
  readonly on?: number;
  /** Which of its channels. Default 1. */
  readonly channel?: number;
}

/** A frame made by hand. */
export interface RawFrame {
  readonly type: number;
  /** In hexadecimal digits. */
  readonly payload: string;
  /** The octet behind it; the right one when left out. */
  readonly mark?: number;
}

/** One thing that a client does. */
export type Step = Where &
  (
    | { readonly do: 'call'; readonly method: string; readonly args?: Plain }
    | {
        readonly do: 'publish';
        readonly args: Plain;
        readonly body?: string;
        readonly properties?: Properties & { readonly headers?: never };
        readonly headers?: Plain;
      }
    | {
        readonly do: 'settle';
        readonly method: 'basic.ack' | 'basic.nack' | 'basic.reject';
        /** Which of the deliveries that are not settled, counted from the oldest; beyond them: a tag that was never given. */
        readonly which: number;
        readonly multiple?: boolean;
        readonly requeue?: boolean;
      }
    | { readonly do: 'frames'; readonly frames: readonly RawFrame[] }
    | { readonly do: 'close connection' }
  );

export type Script = readonly Step[];
