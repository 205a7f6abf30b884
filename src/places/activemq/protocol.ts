// What this place uses of the package rhea, as interfaces of its own: the package's types are nobody's business outside.

import type { EventEmitter } from 'node:events';

/** Why a connection or a link was ended, or a message refused. */
export interface RheaError {
  readonly condition?: string | undefined;
  readonly description?: string | undefined;
}

export interface RheaMessage {
  readonly body?: unknown;
  readonly message_id?: unknown;
  readonly correlation_id?: unknown;
  readonly reply_to?: string | undefined;
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
  readonly content_type?: string | undefined;
  readonly creation_time?: Date | number | undefined;
  readonly durable?: boolean | undefined;
  readonly priority?: number | undefined;
  readonly ttl?: number | undefined;
  readonly delivery_count?: number | undefined;
  readonly message_annotations?: Readonly<Record<string, unknown>> | undefined;
  readonly application_properties?: Readonly<Record<string, unknown>> | undefined;
}

/** One message on one link. */
export interface RheaDelivery {
  readonly id: number;
  readonly remote_state?: { readonly error?: RheaError | undefined } | undefined;
  readonly link: { readonly session: RheaSession };
  settled: boolean;
  update(settled: boolean, state: unknown): void;
}

/** Not part of what rhea describes. */
export interface RheaSession {
  /** Writes what was said of messages so far. */
  readonly incoming: { process(session: RheaSession): void };
  /** Takes a frame that brings a message, or a part of one. */
  on_transfer(frame: { readonly performative: { message_format: number } }): void;
}

interface RheaLink extends EventEmitter {
  readonly session: RheaSession;
  /** What the other side says of this end; absent where it refused it. */
  readonly source?: { readonly address?: string | undefined } | undefined;
  readonly target?: { readonly address?: string | undefined } | undefined;
  readonly error?: RheaError | undefined;
  readonly max_message_size?: number | bigint | undefined;
  credit: number;
  readonly delivery_count: number;
  /** Ends it for good. */
  close(): void;
  /** Leaves it; a durable subscription stays. */
  detach(): void;
  is_closed(): boolean;
}

export interface RheaSender extends RheaLink {
  send(payload: Buffer, tag: string | undefined, format: 0): RheaDelivery;
}

export interface RheaReceiver extends RheaLink {
  drain: boolean;
  add_credit(credit: number): void;
  drain_credit(): void;
}

export interface RheaContext {
  readonly error?: (Error & RheaError) | undefined;
  readonly delivery?: RheaDelivery | undefined;
  /** Its bytes, since the connection leaves them as they are. */
  readonly message?: Buffer | undefined;
}

/** One end of a link, as it is asked for. */
export interface Terminus {
  readonly address?: string;
  readonly dynamic?: boolean;
  readonly durable?: number;
  readonly expiry_policy?: string;
  readonly distribution_mode?: 'copy';
  readonly capabilities?: readonly string[];
  readonly filter?: unknown;
}

export interface ReceiverRequest {
  readonly name?: string;
  readonly source: Terminus;
}

export interface SenderRequest {
  readonly target: Terminus;
}

export interface RheaSocket extends EventEmitter {
  ref(): void;
  unref(): void;
  destroy(): void;
  readonly writable: boolean;
  end(): void;
  write(data: Uint8Array): boolean;
  setNoDelay(isOn: boolean): void;
}

export interface RheaConnection extends EventEmitter {
  readonly properties?: Readonly<Record<string, unknown>> | undefined;
  readonly offered_capabilities?: unknown;
  readonly remote: { readonly open?: { readonly offered_capabilities?: unknown } | undefined };
  readonly socket?: RheaSocket | undefined;
  open_receiver(
    request: ReceiverRequest & { readonly credit_window: 0; readonly autoaccept: false },
  ): RheaReceiver;
  open_sender(request: SenderRequest): RheaSender;
  close(): void;
  is_open(): boolean;
}

export interface RheaContainer extends EventEmitter {
  connect(options: object): RheaConnection;
}

/** What `import('rhea')` gives. */
export interface RheaPackage {
  readonly default: {
    create_container(options: { readonly id: string }): RheaContainer;
    readonly filter: { selector(text: string): unknown };
    readonly message: {
      encode(message: object): Buffer;
      decode(bytes: Buffer): RheaMessage;
      accepted(): { described(): unknown };
      released(): { described(): unknown };
      rejected(fields: object): { described(): unknown };
      modified(fields: { readonly delivery_failed: boolean }): { described(): unknown };
    };
  };
}
