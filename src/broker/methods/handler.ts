// What a method on a channel does: one function each, found by the method's number.

import type { Reader } from '../../wire/amqp091/index.ts';
import type { Channel } from '../connection/channel.ts';

/** Reads the arguments, does it, answers. Throws a Refusal when it will not. */
export type Handler = (channel: Channel, reader: Reader) => void;

export type Handlers = readonly (readonly [number, Handler])[];
