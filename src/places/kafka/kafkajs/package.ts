// What is used of the package kafkajs, and how it is set up here: bounded, silent, with sockets that keep no process alive.

import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { importPackage } from '../../../client/optional-package.ts';
import { PACKAGES } from '../client.ts';
import { REQUEST } from '../limits.ts';
import type { Target } from '../options.ts';
import type { Message } from './records.ts';

export interface BatchCall {
  readonly batch: { readonly partition: number; readonly messages: readonly Message[]; lastOffset(): string };
  readonly resolveOffset: (offset: string) => void;
  readonly heartbeat: () => Promise<void>;
  readonly isRunning: () => boolean;
  readonly isStale: () => boolean;
}

export interface Joined {
  readonly payload: { readonly memberAssignment: Readonly<Record<string, readonly number[]>> };
}

export interface Crashed {
  readonly payload: { readonly error: Error };
}

export interface Consumer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  subscribe(options: object): Promise<void>;
  run(options: object): Promise<void>;
  seek(to: { topic: string; partition: number; offset: string }): void;
  commitOffsets(offsets: readonly { topic: string; partition: number; offset: string }[]): Promise<void>;
  on(event: 'consumer.group_join', listener: (event: Joined) => void): unknown;
  on(event: 'consumer.crash', listener: (event: Crashed) => void): unknown;
}

export interface Producer {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  send(options: object): Promise<unknown>;
}

export interface Admin {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  fetchTopicMetadata(options: { topics: string[] }): Promise<{
    readonly topics: readonly { readonly name: string; readonly partitions: readonly unknown[] }[];
  }>;
  createTopics(options: object): Promise<boolean>;
  deleteTopics(options: object): Promise<void>;
  deleteGroups(groups: string[]): Promise<unknown>;
  describeConfigs(options: object): Promise<{
    readonly resources: readonly {
      readonly configEntries: readonly { readonly configName: string; readonly configValue: string }[];
    }[];
  }>;
  fetchTopicOffsets(
    topic: string,
  ): Promise<readonly { readonly partition: number; readonly high: string; readonly low: string }[]>;
  fetchTopicOffsetsByTimestamp(
    topic: string,
    time: number,
  ): Promise<readonly { readonly partition: number; readonly offset: string }[]>;
  fetchOffsets(options: object): Promise<
    readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly offset: string }[];
    }[]
  >;
}

export interface Kafka {
  admin(options?: object): Admin;
  producer(options: object): Producer;
  consumer(options: object): Consumer;
}

export type Assigner = (context: { cluster: unknown; groupId: string; logger: unknown }) => {
  readonly name: string;
  readonly version: number;
};

export interface Package {
  readonly default: {
    readonly Kafka: new (options: object) => Kafka;
    readonly PartitionAssigners: { readonly roundRobin: Assigner };
    readonly AssignerProtocol: { readonly MemberMetadata: { encode(metadata: object): Uint8Array } };
  };
}

/** @throws NARU_PACKAGE_MISSING */
export async function loadPackage(): Promise<Package> {
  const { name, install } = PACKAGES.kafkajs;
  return (await importPackage(name, install, 'kafka')) as Package;
}

export const RETRY: Readonly<Record<string, number>> = {
  initialRetryTime: REQUEST.retryMs,
  maxRetryTime: 4 * REQUEST.retryMs,
  retries: REQUEST.retries,
};

export function optionsOf({ brokers, sasl, tls }: Target): object {
  return {
    clientId: 'naru',
    brokers: [...brokers],
    connectionTimeout: REQUEST.connectMs,
    authenticationTimeout: REQUEST.connectMs,
    requestTimeout: REQUEST.answerMs,
    // Its own check is an interval that keeps the process alive; a socket that stays silent for so long is closed instead.
    enforceRequestTimeout: false,
    retry: RETRY,
    // It would write to standard output.
    logLevel: 0,
    socketFactory: loosened,
    ...(sasl === undefined ? {} : { sasl }),
    ...(tls === undefined ? {} : { ssl: tls }),
  };
}

export interface SocketRequest {
  readonly host: string;
  readonly port: number;
  readonly ssl?: object | boolean | null;
  readonly onConnect: () => void;
}

/** Waiting for messages is what keeps a process alive, not a socket. */
export function loosened({ host, port, ssl, onConnect }: SocketRequest): Socket {
  const servername = isIP(host) === 0 ? { servername: host } : {};
  const socket =
    typeof ssl === 'object' && ssl !== null
      ? connectTls({ host, port, ...servername, ...ssl }, onConnect)
      : connectTcp({ host, port }, onConnect);
  return socket.setNoDelay(true).setTimeout(REQUEST.answerMs).unref();
}
