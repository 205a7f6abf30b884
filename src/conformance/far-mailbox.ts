// A mailbox handle at a peer, with the methods of a mailbox as far as cases need them.

import type { SendOptions } from '../mailbox/lacks.ts';
import type { CloseOptions, CloseResult } from '../mailbox/setup.ts';
import type { SendManyResult } from '../mailbox/receipt.ts';
import type { MailboxStats } from '../mailbox/stats.ts';
import type { Beginning, Opened, PeerLimits, Seen, Serving } from './peer-session.ts';
import type { AnswerOf, Peer } from './peers.ts';

export class FarMailbox {
  readonly peer: Peer;
  readonly address: string;
  readonly identity: string;
  readonly created: boolean;
  readonly #handle: number;

  constructor(peer: Peer, opened: Opened) {
    this.peer = peer;
    this.address = opened.address;
    this.identity = opened.identity;
    this.created = opened.created;
    this.#handle = opened.handle;
  }

  send(data: unknown, options: SendOptions = {}): Promise<{ id: string; reached: string }> {
    return this.peer.call('send', this.#handle, data, options);
  }

  sendMany(list: unknown[], options: SendOptions = {}): Promise<SendManyResult> {
    return this.peer.call('sendMany', this.#handle, list, options);
  }

  /** @see PeerSession.sendNumbered */
  sendNumbered(label: string, count: number): Promise<void> {
    return this.peer.call('sendNumbered', this.#handle, label, count);
  }

  /** @see PeerSession.fill */
  fill(data: unknown): Promise<number> {
    return this.peer.call('fill', this.#handle, data);
  }

  trySend(data: unknown, options: SendOptions = {}): Promise<boolean> {
    return this.peer.call('trySend', this.#handle, data, options);
  }

  sendSync(data: unknown, options: SendOptions = {}): Promise<void> {
    return this.peer.call('sendSync', this.#handle, data, options);
  }

  receive(limits: PeerLimits = {}): Promise<Seen> {
    return this.peer.call('receive', this.#handle, limits);
  }

  receiveCount(count: number, limits: PeerLimits = { timeoutMs: 10_000 }): Promise<Seen[]> {
    return this.peer.call('receiveCount', this.#handle, count, limits);
  }

  receiveMany(max: number, limits: PeerLimits = {}): Promise<Seen[]> {
    return this.peer.call('receiveMany', this.#handle, max, limits);
  }

  tryReceive(): Promise<Seen | undefined> {
    return this.peer.call('tryReceive', this.#handle);
  }

  receiveSync(limits: PeerLimits = {}): Promise<Seen> {
    return this.peer.call('receiveSync', this.#handle, limits);
  }

  /** @see PeerSession.iterate */
  iterate(breakAfter?: number, limits: PeerLimits = {}): Promise<Seen[]> {
    return this.peer.call('iterate', this.#handle, breakAfter, limits);
  }

  settle(
    message: Seen,
    how: 'ack' | 'nack' | 'reject',
    options: { delayMs?: number; reason?: string } = {},
  ): Promise<void> {
    return this.peer.call('settle', this.#handle, message.id, how, options);
  }

  request(data: unknown, options: SendOptions = {}): Promise<Seen> {
    return this.peer.call('request', this.#handle, data, options);
  }

  serve(serving: Serving, concurrency = 256): Promise<void> {
    return this.peer.call('serve', this.#handle, serving, concurrency);
  }

  collect(): Promise<void> {
    return this.peer.call('collect', this.#handle);
  }

  flood(label: string): Promise<void> {
    return this.peer.call('flood', this.#handle, label);
  }

  begin(call: Beginning, data?: unknown): Promise<void> {
    return this.peer.call('begin', this.#handle, call, data);
  }

  progress(): Promise<AnswerOf<'progress'>> {
    return this.peer.call('progress', this.#handle);
  }

  finish(): Promise<AnswerOf<'finish'>> {
    return this.peer.call('finish', this.#handle);
  }

  connect(role: 'producer' | 'consumer'): Promise<void> {
    return this.peer.call('connect', this.#handle, role);
  }

  disconnect(role: 'producer' | 'consumer'): Promise<void> {
    return this.peer.call('disconnect', this.#handle, role);
  }

  ready(options: { producers?: number; consumers?: number; timeoutMs?: number }): Promise<void> {
    return this.peer.call('ready', this.#handle, options);
  }

  stats(): Promise<MailboxStats> {
    return this.peer.call('stats', this.#handle);
  }

  end(): Promise<void> {
    return this.peer.call('end', this.#handle);
  }

  unlink(): Promise<void> {
    return this.peer.call('unlink', this.#handle);
  }

  close(options: CloseOptions = {}): Promise<CloseResult> {
    return this.peer.call('close', this.#handle, options);
  }
}
