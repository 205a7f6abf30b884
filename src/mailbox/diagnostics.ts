// Hooks for tracing and metrics: node:diagnostics_channel with the names of OpenTelemetry's messaging conventions (status:
// Development, 2026-08). No dependency; costs one property read when nobody subscribed. Bodies and headers are never published.

import { channel, type Channel } from 'node:diagnostics_channel';

/** The four operation types of the conventions that a mailbox performs. */
export type Operation = 'send' | 'receive' | 'process' | 'settle';

/** What subscribers get; attribute names are OpenTelemetry's. */
export interface OperationEvent {
  readonly 'messaging.operation.type': Operation;
  readonly 'messaging.operation.name': string;
  /** The place: `shm`, `tcp`, … */
  readonly 'messaging.system': string;
  /** The mailbox, without a password. */
  readonly 'messaging.destination.name': string;
  readonly 'messaging.batch.message_count': number;
  readonly 'messaging.message.id'?: string | undefined;
  readonly 'messaging.message.body.size'?: number | undefined;
  /** Code of the error that ended the operation. */
  readonly 'error.type'?: string | undefined;
  /** Seconds, where the operation has a duration (`process`). */
  readonly durationSeconds?: number | undefined;
  /** W3C trace context that came with the message, for links. */
  readonly traceparent?: string | undefined;
}

const CHANNELS: Readonly<Record<Operation, Channel>> = {
  send: channel('naru:send'),
  receive: channel('naru:receive'),
  process: channel('naru:process'),
  settle: channel('naru:settle'),
};

/** Publishes the operations of one mailbox. */
export class Diagnostics {
  readonly #system: string;
  readonly #destination: string;

  constructor(system: string, destination: string) {
    this.#system = system;
    this.#destination = destination;
  }

  /** Whether anybody would hear; ask before computing anything. */
  heard(operation: Operation): boolean {
    // Each name by itself, not CHANNELS[operation]: a lookup by changing names costs more than all the rest of the question.
    if (operation === 'send') return CHANNELS.send.hasSubscribers;
    if (operation === 'receive') return CHANNELS.receive.hasSubscribers;
    if (operation === 'settle') return CHANNELS.settle.hasSubscribers;
    return CHANNELS.process.hasSubscribers;
  }

  publish(operation: Operation, name: string, count: number, more: Partial<OperationEvent> = {}): void {
    const event: OperationEvent = {
      'messaging.operation.type': operation,
      'messaging.operation.name': name,
      'messaging.system': this.#system,
      'messaging.destination.name': this.#destination,
      'messaging.batch.message_count': count,
      ...more,
    };
    CHANNELS[operation].publish(event);
  }
}
