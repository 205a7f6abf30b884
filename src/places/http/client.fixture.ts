// For the tests of http://: mailboxes that are closed after each test, and clients that know nothing of Naru.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { expect } from 'vitest';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import { open } from '../../open.ts';

export const LISTEN = 'http://127.0.0.1:0/jobs?listen';
const opened: Mailbox[] = [];
const sockets: Socket[] = [];

/** Closes what a test has opened. */
export async function closeAll(): Promise<void> {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(opened.splice(0).map((mailbox) => mailbox.close({ flushMs: 0 })));
}

export async function use(url: string = LISTEN, options: Parameters<typeof open>[1] = {}): Promise<Mailbox> {
  const mailbox = await open(url, options);
  opened.push(mailbox);
  return mailbox;
}

export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ succeeded: value }),
    (error: unknown) => (error as { code?: string }).code ?? error,
  );
}

export interface Taken {
  readonly messages: {
    readonly id: string;
    readonly ack: string;
    readonly data?: unknown;
    readonly text?: string;
    readonly base64?: string;
    readonly deliveries: number;
    readonly headers?: Record<string, string>;
    readonly wantsReply?: boolean;
  }[];
}

export function post(
  url: string,
  body?: string | Uint8Array<ArrayBuffer>,
  init: RequestInit = {},
): Promise<Response> {
  return fetch(url, { method: 'POST', ...(body === undefined ? {} : { body }), ...init });
}

export function postJson(
  url: string,
  value: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return post(url, JSON.stringify(value), { headers: { 'content-type': 'application/json', ...headers } });
}

export async function json<T>(response: Promise<Response> | Response): Promise<T> {
  return (await (await response).json()) as T;
}

export async function take(url: string, query = 'waitMs=0'): Promise<Taken['messages']> {
  const response = await post(`${url}/receive?${query}`);
  return response.status === 204 ? [] : (await json<Taken>(response)).messages;
}

export async function problem(
  response: Promise<Response>,
): Promise<{ status: number; code: string; detail: string }> {
  const answer = await response;
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  const found = await json<{ status: number; code: string; detail: string }>(answer);
  expect(found.status).toBe(answer.status);
  return found;
}

/** Runs curl. */
export async function curl(...args: string[]): Promise<string> {
  const child = spawn('curl', ['-sS', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => (text += bytes.toString()));
  await once(child, 'close');
  return text;
}

export async function plain(
  port: number,
): Promise<{ socket: Socket; heard: () => string; closed: () => boolean }> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  let text = '';
  let isClosed = false;
  socket.on('data', (bytes) => (text += bytes.toString('latin1')));
  socket.on('error', () => undefined);
  socket.on('close', () => (isClosed = true));
  await once(socket, 'connect');
  return { socket, heard: () => text, closed: () => isClosed };
}

export const portOf = ({ address }: Mailbox): number => Number(new URL(address).port);
