// The part of the package amqplib that this place uses, as interfaces of our own: the same in its versions 0.10, 1 and 2.

/** The properties of a message that Naru reads and writes. */
export interface AmqpProperties {
  readonly messageId?: string | undefined;
  readonly appId?: string | undefined;
  /** In seconds. */
  readonly timestamp?: number | undefined;
  readonly contentType?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  /** Of what was received: 2 = on disk. */
  readonly deliveryMode?: number | undefined;
  readonly type?: string | undefined;
  readonly priority?: number | undefined;
  /** Milliseconds as text. */
  readonly expiration?: string | undefined;
  readonly headers?: Readonly<Record<string, unknown>> | undefined;
}

export interface PublishOptions extends AmqpProperties {
  readonly persistent?: boolean;
  readonly mandatory?: boolean;
}

export interface AmqpMessage {
  readonly content: Buffer;
  readonly fields: {
    readonly deliveryTag: number;
    readonly redelivered: boolean;
    readonly exchange: string;
    readonly routingKey: string;
    readonly replyCode?: number;
  };
  readonly properties: AmqpProperties;
}

export interface QueueOptions {
  readonly durable?: boolean;
  readonly exclusive?: boolean;
  readonly autoDelete?: boolean;
  readonly arguments?: Readonly<Record<string, string | number>>;
}

interface QueueState {
  readonly messageCount: number;
  readonly consumerCount: number;
}

interface Settling {
  readonly fields: { readonly deliveryTag: number };
}

/** A channel. Every call on one that was closed throws. */
export interface AmqpChannel {
  on(event: string, listener: (value: never) => void): unknown;
  assertQueue(name: string, options: QueueOptions): Promise<QueueState>;
  checkQueue(name: string): Promise<QueueState>;
  deleteQueue(name: string): Promise<unknown>;
  purgeQueue(name: string): Promise<{ readonly messageCount: number }>;
  bindQueue(name: string, exchange: string, pattern: string): Promise<unknown>;
  assertExchange(name: string, type: string, options: object): Promise<unknown>;
  checkExchange(name: string): Promise<unknown>;
  deleteExchange(name: string): Promise<unknown>;
  publish(exchange: string, key: string, body: Buffer, options: PublishOptions): boolean;
  consume(
    queue: string,
    deliver: (message: AmqpMessage | null) => void,
    options: object,
  ): Promise<{ readonly consumerTag: string }>;
  cancel(consumerTag: string): Promise<unknown>;
  get(queue: string, options: object): Promise<AmqpMessage | false>;
  ack(message: Settling, upTo: boolean): void;
  nack(message: Settling, upTo: boolean, requeue: boolean): void;
  prefetch(count: number): Promise<unknown>;
  close(): Promise<unknown>;
}

/** What a server says of itself. */
export interface ServerProperties {
  readonly product?: unknown;
  readonly version?: unknown;
  readonly capabilities?: Readonly<Record<string, unknown>>;
  /** Naru's broker only: what a confirm of a durable message means, `disk`, `os` or `memory`. */
  readonly naru_sync?: unknown;
}

export interface AmqpModel {
  on(event: string, listener: (value: never) => void): unknown;
  createChannel(): Promise<AmqpChannel>;
  createConfirmChannel(): Promise<AmqpChannel>;
  close(): Promise<void>;
  readonly connection: {
    readonly serverProperties: ServerProperties;
    readonly heartbeater?: { readonly sendTimer: NodeJS.Timeout; readonly recvTimer: NodeJS.Timeout } | null;
    readonly stream: { ref?(): void; unref?(): void; cork(): void; uncork(): void; destroy(): void };
  };
}

export interface AmqpPackage {
  readonly default: { connect(url: object, options: object): Promise<AmqpModel> };
}
