// One client's connection as everything behind the handshake sees it: who it is, what was agreed, where bytes go. Its channels and
// the frames are session.ts's.

import type { Core } from '../core.ts';
import type { Queue, QueueOwner } from '../queue/queue.ts';
import type { Action, User } from '../users.ts';
import type { Vhost } from '../vhost.ts';
import { accessRefused, resource } from '../refusal.ts';
import { Output } from './output.ts';
import type { Transport } from './transport.ts';

/** Where a connection comes from, for rules and for people. */
export interface PeerAddress {
  /** `host:port`, or the path of a Unix socket. */
  readonly text: string;
  /** Whether the peer is on this machine. */
  readonly isLocal: boolean;
  readonly isTls: boolean;
}

/** What a client said it can do that the broker minds. */
export interface ClientCapabilities {
  readonly consumerCancelNotify: boolean;
  readonly connectionBlocked: boolean;
  readonly authenticationFailureClose: boolean;
}

export class Connection implements QueueOwner {
  /** Its exclusive queues: they go with it. */
  readonly owned: Set<Queue> = new Set();
  readonly core: Core;
  readonly transport: Transport;
  readonly peer: PeerAddress;
  readonly output: Output;
  readonly name: string;
  readonly connectedAtMs: number;
  user: User | undefined;
  vhost: Vhost | undefined;
  capabilities: ClientCapabilities = {
    consumerCancelNotify: false,
    connectionBlocked: false,
    authenticationFailureClose: false,
  };
  clientProperties: Readonly<Record<string, unknown>> = {};
  channelsMax: number;
  frameBytesMax: number;
  heartbeatSeconds = 0;
  receivedBytes = 0;
  /** Frames of the connection are taken and sent; false from its close on. */
  isOpen = true;
  /** The client is gone, and what it had sent is being taken: nothing waits for the disk. */
  isLeaving = false;
  /** It sent a message, so an alarm stops it. */
  publishes = false;

  constructor(core: Core, transport: Transport, peer: PeerAddress) {
    this.core = core;
    this.transport = transport;
    this.peer = peer;
    this.output = new Output(core, transport);
    this.name = peer.text;
    this.connectedAtMs = core.clock.wallMs();
    this.channelsMax = core.limits.channelsMax;
    this.frameBytesMax = core.limits.frameBytesMax;
  }

  /** Whether the client does not read what it is sent: nothing more is given to it. */
  get isCongested(): boolean {
    return this.output.pendingBytes >= this.core.limits.outputBytesMax;
  }

  /** The virtual host; there is one when channels are. */
  get place(): Vhost {
    return this.vhost as Vhost;
  }

  /** @throws Refusal 403  the user may not */
  check(action: Action, kind: 'queue' | 'exchange', name: string): void {
    const user = this.user?.name ?? '';
    const vhost = this.place.name;
    // RabbitMQ checks the default exchange under this name.
    const checked = kind === 'exchange' && name === '' ? 'amq.default' : name;
    if (this.core.users.may(user, vhost, action, checked)) return;
    throw accessRefused(`${action} access to ${resource(kind, checked, vhost)} refused for user '${user}'`);
  }
}
