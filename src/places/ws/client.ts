// What is used of the package ws, and loading it. Its own types are named nowhere.

import type { Duplex } from 'node:stream';
import type { IncomingMessage } from 'node:http';
import { importPackage } from '../../client/optional-package.ts';

/** An open WebSocket. */
export interface WebSocket {
  readonly readyState: number;
  send(data: Uint8Array, options: { binary: boolean }, done?: (error?: Error) => void): void;
  close(code?: number, reason?: string): void;
  terminate(): void;
  pause(): void;
  resume(): void;
  on(event: 'message', listener: (data: Buffer, isBinary: boolean) => void): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  on(event: 'open' | 'close', listener: () => void): unknown;
  on(event: 'unexpected-response', listener: (request: unknown, response: IncomingMessage) => void): unknown;
}

/** Takes the upgrade requests of a server that is not its own. */
export interface WebSocketServer {
  handleUpgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    done: (socket: WebSocket) => void,
  ): void;
}

export interface WsPackage {
  readonly WebSocket: new (url: string, options: object) => WebSocket;
  readonly WebSocketServer: new (options: object) => WebSocketServer;
}

/** readyState of a socket that is closed for good. */
export const CLOSED = 3;

/** @throws NARU_PACKAGE_MISSING */
export async function loadWs(): Promise<WsPackage> {
  return (await importPackage('ws', 'ws@^8.18.0', 'ws')) as WsPackage;
}
