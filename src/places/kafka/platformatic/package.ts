// What is used of the package @platformatic/kafka, and how each of its clients is made here: bounded, silent, and safe where version 1 would
// end the process.

import { importPackage } from '../../../client/optional-package.ts';
import { type OutRecord, PACKAGES } from '../client.ts';
import { REQUEST } from '../limits.ts';
import type { Target } from '../options.ts';
import type { FetchResponse } from './records.ts';

/** What is used of the package. */
export interface Base {
  readonly connections: Pool;
  on(event: string, listener: (detail: EventDetail) => void): unknown;
  close(force?: boolean): Promise<void>;
  listApis(): Promise<readonly { readonly name: string; readonly maxVersion: number }[]>;
  metadata(options: { topics: string[]; forceUpdate?: boolean }): Promise<Metadata>;
}

type Callback = (error: Error | null | undefined, connection?: unknown) => void;

interface Pool {
  get(broker: object | undefined, callback?: Callback): unknown;
  getFirstAvailable(brokers: readonly object[], callback?: Callback): unknown;
  close(): Promise<void>;
}

export interface Connection {
  readonly socket?: { unref(): void; destroy(): void };
  /** The callback is last. */
  send(apiKey: number, ...rest: unknown[]): unknown;
}

/** What a broker answers only when the whole group has spoken: JoinGroup, SyncGroup. */
const OF_THE_GROUP: readonly number[] = [11, 14];

export interface EventDetail {
  readonly error?: unknown;
  readonly connection?: Connection;
}

export interface Metadata {
  readonly brokers: ReadonlyMap<number, object>;
  readonly topics: ReadonlyMap<
    string,
    | {
        readonly id: string;
        readonly partitions: readonly { readonly leader: number; readonly leaderEpoch: number }[];
      }
    | undefined
  >;
}

export type OffsetList = ReadonlyMap<string, readonly bigint[]>;

export interface Consumer extends Base {
  readonly topics: { track(topic: string): boolean };
  readonly assignments: readonly { readonly topic: string; readonly partitions: readonly number[] }[] | null;
  readonly memberId: string | null;
  findGroupCoordinator(): Promise<number>;
  joinGroup(options: object): Promise<unknown>;
  leaveGroup(force?: boolean): Promise<void>;
  fetch(options: object): Promise<FetchResponse>;
  commit(options: object): Promise<void>;
  listOffsets(options: { topics: string[]; timestamp?: bigint }): Promise<OffsetList>;
}

export interface Admin extends Base {
  createTopics(options: object): Promise<unknown>;
  deleteTopics(options: object): Promise<void>;
  describeConfigs(
    options: object,
  ): Promise<
    readonly { readonly configs: readonly { readonly name: string; readonly value?: string | null }[] }[]
  >;
  listConsumerGroupOffsets(options: object): Promise<
    readonly {
      readonly topics: readonly {
        readonly name: string;
        readonly partitions: readonly { readonly partitionIndex: number; readonly committedOffset: bigint }[];
      }[];
    }[]
  >;
}

export interface Producer extends Base {
  initIdempotentProducer(options: object): Promise<unknown>;
  send(options: object): Promise<unknown>;
  /** What `kGetApi` names: finds the function that makes a request of this name. */
  [kGetApi: symbol]: (name: string, callback: (error: Error | null, request?: Produce) => void) => void;
}

/** A request with messages for one broker. */
export type Produce = (
  connection: Connection,
  acks: number,
  timeoutMs: number,
  messages: readonly ProducedMessage[],
  options: {
    readonly producerId: bigint;
    readonly producerEpoch: number;
    /** By topic and partition, `topic:0`: the number of the next message. */
    readonly sequences: { getWithDefault(key: string, otherwise: number): number };
  },
  callback: Callback,
) => void;

/** A message in the package's hands. It looks at topic and partition, and passes the value on. */
export interface ProducedMessage {
  readonly topic: string;
  readonly partition: number;
  readonly value: OutRecord;
}

/** Writes requests. */
export interface Writer {
  append(bytes: Uint8Array): Writer;
  appendInt16(value: number): Writer;
  appendInt32(value: number): Writer;
  appendUnsignedVarInt(value: number): Writer;
  appendString(value: string | undefined): Writer;
  appendArray<T>(values: readonly T[], each: (writer: Writer, value: T) => void): Writer;
  appendTaggedFields(): Writer;
}

export interface Package {
  readonly kGetApi: symbol;
  readonly produceV9: {
    readonly api: { readonly key: number; readonly version: number };
    readonly parseResponse: (...parts: never[]) => unknown;
  };
  readonly Writer: { create(): Writer };
  readonly crc32c: (bytes: Uint8Array) => number;
  readonly Admin: new (options: object) => Admin;
  readonly Producer: new (options: object) => Producer;
  readonly Consumer: new (options: object) => Consumer;
  readonly NetworkError: new (message: string, properties: object) => Error;
}

/** @throws NARU_PACKAGE_MISSING */
export async function loadPackage(): Promise<Package> {
  const { name, install } = PACKAGES.platformatic;
  return (await importPackage(name, install, 'kafka')) as Package;
}

export function optionsOf({ brokers, sasl, tls }: Target): object {
  return {
    clientId: 'naru',
    bootstrapBrokers: [...brokers],
    connectTimeout: REQUEST.connectMs,
    requestTimeout: REQUEST.answerMs,
    timeout: REQUEST.answerMs,
    retries: REQUEST.retries,
    retryDelay: REQUEST.retryMs,
    autocreateTopics: false,
    ...(sasl === undefined ? {} : { sasl: { ...sasl, mechanism: sasl.mechanism.toUpperCase() } }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** Waiting for messages is what keeps a process alive, not a socket; and nothing that goes wrong inside ends it. */
export function tamed<T extends Base>(one: T, { NetworkError }: Package): T {
  one.on('client:broker:connect', ({ connection }) => connection?.socket?.unref());
  // Whoever made a call hears of it; without a listener it would end the process.
  one.on('error', () => undefined);
  guard(one.connections, NetworkError);
  return one;
}

/**
 * Version 1 asks its pool for brokers that the cluster does not name just now (a partition without a leader), and where the pool is closed
 * its callers miss a method in the error. Both are thrown where nobody can catch them. Version 2 answers as it is answered here.
 */
function guard(pool: Pool, NetworkError: Package['NetworkError']): void {
  const get = pool.get.bind(pool);
  const getFirst = pool.getFirstAvailable.bind(pool);
  const understood =
    (callback: Callback): Callback =>
    (error, connection) => {
      const isOwn = error === null || error === undefined || 'findBy' in error;
      callback(
        isOwn ? error : new NetworkError(error.message, { canRetry: false, cause: error }),
        connection,
      );
    };
  pool.get = (broker, callback) => {
    if (callback === undefined) return get(broker);
    if (broker !== undefined) return get(broker, understood(callback));
    const what = 'the cluster names no broker for it just now';
    callback(
      new NetworkError(what, { canRetry: true, hasStaleMetadata: true, apiId: 'LEADER_NOT_AVAILABLE' }),
    );
    return undefined;
  };
  pool.getFirstAvailable = (brokers, callback) =>
    callback === undefined ? getFirst(brokers) : getFirst(brokers, understood(callback));
}

/** Its `requestTimeout` holds for what the group answers; all other requests have the usual time. */
export function patient(one: Consumer, { NetworkError }: Package): Consumer {
  one.on('client:broker:connect', ({ connection }) => {
    if (connection === undefined) return;
    const send = connection.send.bind(connection);
    connection.send = (apiKey, ...rest) => {
      if (OF_THE_GROUP.includes(apiKey)) return send(apiKey, ...rest);
      const callback = rest.pop() as Callback;
      return send(apiKey, ...rest, inTime(callback, NetworkError));
    };
  });
  return one;
}

function inTime(callback: Callback, NetworkError: Package['NetworkError']): Callback {
  let isOver = false;
  const end: Callback = (error, answer) => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    callback(error, answer);
  };
  const timer = setTimeout(
    () => end(new NetworkError('Request timed out', { canRetry: true })),
    REQUEST.answerMs,
  );
  return end;
}

export function discard(one: Base | undefined): void {
  // It would leave its group first; when that fails its connections stay.
  one?.close(true).catch(() => one.connections.close().catch(() => undefined));
}
