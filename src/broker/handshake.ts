// From the first bytes of a connection to connection.open-ok: protocol header, login, limits agreed, virtual host. Strangers get
// little memory and little time; the session that owns it watches the clock.

import {
  METHOD,
  PROTOCOL_HEADER,
  readConnectionOpen,
  readConnectionStartOk,
  readConnectionTuneOk,
  writeConnectionOpenOk,
  writeConnectionStart,
  writeConnectionTune,
  type Reader,
} from '../wire/amqp091/index.ts';
import { authenticate, MECHANISMS } from './authenticate.ts';
import type { Connection } from './connection/connection.ts';
import { plainTable } from './plain-table.ts';
import { notAllowed, Refusal } from './refusal.ts';
import { serverProperties } from './server-properties.ts';

/** What the next method must be. */
export type Stage = 'start-ok' | 'tune-ok' | 'open' | 'done';

/** Login was refused; how the client is told depends on what it understands. */
export class LoginRefused extends Refusal {
  constructor(mechanism: string) {
    super(
      403,
      `Login was refused using authentication mechanism ${mechanism}. For details see the broker logfile.`,
      'connection',
    );
  }
}

const HEADER_BYTES = 8;
/** 0-9-1, and two that say 0-9 and mean the same. */
const HEADERS: readonly string[] = ['0,0,9,1', '1,1,0,9', '1,1,9,1'];
const LOCALES = 'en_US';

/** Collects the first eight bytes. */
export class ProtocolHeader {
  #held = Buffer.alloc(0);

  /** @returns the bytes behind the header; 'more' when it is not complete; 'wrong' when it is another protocol */
  push(chunk: Buffer): Buffer | 'more' | 'wrong' {
    const bytes = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    const known = Math.min(4, bytes.length);
    // Whoever speaks another language is told so at once, not after eight bytes.
    if (!bytes.subarray(0, known).equals(PROTOCOL_HEADER.subarray(0, known))) return 'wrong';
    if (bytes.length < HEADER_BYTES) {
      this.#held = Buffer.from(bytes);
      return 'more';
    }
    return HEADERS.includes(bytes.subarray(4, HEADER_BYTES).join()) ? bytes.subarray(HEADER_BYTES) : 'wrong';
  }
}

export class Handshake {
  readonly #connection: Connection;
  stage: Stage = 'start-ok';

  constructor(connection: Connection) {
    this.#connection = connection;
    writeConnectionStart(connection.output, 0, {
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: serverProperties(connection.core.product, connection.core.store?.level ?? 'memory'),
      mechanisms: MECHANISMS,
      locales: LOCALES,
    });
  }

  /** @throws Refusal */
  method(id: number, reader: Reader): void {
    if (this.stage === 'start-ok' && id === METHOD.connectionStartOk) this.#startOk(reader);
    else if (this.stage === 'tune-ok' && id === METHOD.connectionTuneOk) this.#tuneOk(reader);
    else if (this.stage === 'open' && id === METHOD.connectionOpen) this.#open(reader);
    else throw new Refusal(503, `unexpected method in connection state expecting ${this.stage}`);
  }

  #startOk(reader: Reader): void {
    const connection = this.#connection;
    const { clientProperties, mechanism, response } = readConnectionStartOk(reader);
    const capabilities = clientProperties['capabilities'];
    const can = (name: string): boolean =>
      capabilities?.type === 'F' && capabilities.value[name]?.type === 't' && capabilities.value[name].value;
    connection.capabilities = {
      consumerCancelNotify: can('consumer_cancel_notify'),
      connectionBlocked: can('connection.blocked'),
      authenticationFailureClose: can('authentication_failure_close'),
    };
    const { core } = connection;
    const user = authenticate(core.users, mechanism, response, connection.peer);
    if (user === undefined) throw new LoginRefused(mechanism);
    connection.user = user;
    connection.clientProperties = plainTable(clientProperties);
    writeConnectionTune(connection.output, 0, {
      channelMax: core.limits.channelsMax,
      frameMax: core.limits.frameBytesMax,
      heartbeat: core.limits.heartbeatSeconds,
    });
    this.stage = 'tune-ok';
  }

  #tuneOk(reader: Reader): void {
    const connection = this.#connection;
    const { limits } = connection.core;
    const { channelMax, frameMax, heartbeat } = readConnectionTuneOk(reader);
    checkNegotiated('frame_max', frameMax, limits.frameBytesMin, limits.frameBytesMax);
    checkNegotiated('channel_max', channelMax, 1, limits.channelsMax);
    connection.channelsMax = channelMax;
    connection.frameBytesMax = frameMax;
    connection.output.frameBytesMax = frameMax;
    connection.heartbeatSeconds = heartbeat;
    this.stage = 'open';
  }

  #open(reader: Reader): void {
    const connection = this.#connection;
    const { virtualHost } = readConnectionOpen(reader);
    const { core, user } = connection;
    const vhost = core.vhosts.get(virtualHost);
    if (vhost === undefined) throw notAllowed(`vhost ${virtualHost} not found`);
    if (core.users.permission(user?.name ?? '', virtualHost) === undefined) {
      throw notAllowed(`access to vhost '${virtualHost}' refused for user '${user?.name ?? ''}'`);
    }
    connection.vhost = vhost;
    writeConnectionOpenOk(connection.output, 0);
    this.stage = 'done';
  }
}

function checkNegotiated(name: string, value: number, min: number, max: number): void {
  if (value !== 0 && value < min) {
    throw notAllowed(`negotiated ${name} = ${value} is lower than the minimum allowed value (${min})`);
  }
  if (value === 0 || value > max) {
    throw notAllowed(`negotiated ${name} = ${value} is higher than the maximum allowed value (${max})`);
  }
}
