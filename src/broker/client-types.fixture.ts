// The parts of client libraries that the tests use, by their shape: the suite compiles also where the packages are not installed.
// Not part of the package.

/** Anything that emits. */
interface Emitter {
  on(event: string, fn: (value: Error) => void): unknown;
  once(event: string, fn: (value: unknown) => void): unknown;
}

export interface AmqplibMessage {
  readonly content: Buffer;
  readonly fields: { readonly routingKey: string };
  readonly properties: { readonly headers?: Readonly<Record<string, unknown>>; readonly replyTo?: string };
}

export interface AmqplibChannel extends Emitter {
  assertQueue(queue: string, options?: object): Promise<{ readonly queue: string }>;
  checkQueue(queue: string): Promise<{ readonly messageCount: number; readonly consumerCount: number }>;
  assertExchange(name: string, type: string, options?: object): Promise<unknown>;
  bindQueue(queue: string, exchange: string, key: string): Promise<unknown>;
  prefetch(count: number): Promise<unknown>;
  sendToQueue(queue: string, body: Buffer, options?: object): boolean;
  publish(exchange: string, key: string, body: Buffer, options?: object): boolean;
  consume(queue: string, fn: (message: AmqplibMessage | null) => void, options?: object): Promise<unknown>;
  ack(message: AmqplibMessage): void;
  waitForConfirms(): Promise<unknown>;
}

export interface AmqplibConnection extends Emitter {
  createChannel(): Promise<AmqplibChannel>;
  createConfirmChannel(): Promise<AmqplibChannel>;
  close(): Promise<void>;
}

/** amqplib, any version. */
export interface Amqplib {
  connect(url: string, socketOptions?: object): Promise<AmqplibConnection>;
}

interface RabbitConsumer extends Emitter {
  close(): Promise<void>;
}

type RabbitHandler = (
  message: { readonly body: unknown },
  reply: (body: unknown) => Promise<void>,
) => Promise<void>;

interface RabbitConnection {
  createPublisher(options: object): {
    send(to: string, body: unknown): Promise<void>;
    close(): Promise<void>;
  };
  createConsumer(options: object, handler: RabbitHandler): RabbitConsumer;
  createRPCClient(options: object): {
    send(to: string, body: unknown): Promise<{ readonly body: unknown }>;
    close(): Promise<void>;
  };
  close(): Promise<void>;
}

export interface RabbitmqClient {
  readonly Connection: new (url: string) => RabbitConnection;
}

interface CloudMessage {
  bodyString(): string | null;
  ack(): Promise<void>;
}

interface CloudChannel {
  confirmSelect(): Promise<void>;
  queueDeclare(name: string, options: object): Promise<unknown>;
  basicPublish(exchange: string, key: string, body: string, properties: object): Promise<unknown>;
  basicConsume(
    queue: string,
    options: object,
    fn: (message: CloudMessage) => Promise<void>,
  ): Promise<unknown>;
}

export interface CloudAmqp {
  readonly AMQPClient: new (
    url: string,
  ) => {
    connect(): Promise<{ channel(): Promise<CloudChannel>; close(): Promise<void> }>;
  };
}
