// One connection's life: frames in, channels, heartbeats, closing from either side. Owns the connection and its channels; the socket
// is the transport's.

import { FrameParser, FrameType, METHOD, METHOD_NAMES, PROTOCOL_HEADER } from '../wire/amqp091/index.ts';
import {
  readChannelClose,
  readConnectionUpdateSecret,
  writeChannelClose,
  writeChannelCloseOk,
  writeChannelOpenOk,
  writeConnectionBlocked,
  writeConnectionClose,
  writeConnectionCloseOk,
  writeConnectionUnblocked,
  writeConnectionUpdateSecretOk,
  type FrameHandler,
  type FrameProblem,
  type Reader,
} from '../wire/amqp091/index.ts';
import { isNaruError } from '../errors/index.ts';
import { Channel, type HeldFrame } from './connection/channel.ts';
import { Connection, type PeerAddress } from './connection/connection.ts';
import { EXPECT } from './connection/publication.ts';
import type { Transport } from './connection/transport.ts';
import type { Core } from './core.ts';
import { Handshake, LoginRefused, ProtocolHeader } from './handshake.ts';
import { HANDLERS, receiveBody, receiveHeader } from './methods/index.ts';
import { octets } from './octets.ts';
import { MisplacedFrame, notAllowed, Refusal } from './refusal.ts';

const NOTHING = Buffer.alloc(0);
/** Class, weight, size and property flags: shorter is no content header. */
const HEADER_BYTES_MIN = 14;

/** What the session tells its owner. */
export interface SessionHooks {
  /** The handshake is over: it is no stranger any more. */
  opened(): void;
  /** The session is over and holds nothing. */
  closed(): void;
  /** A mistake of the broker's own; the client was told 541. */
  failed(error: unknown): void;
}

/** Methods that change no queue that others look at: what waits to be delivered may wait on. */
const STREAMING: ReadonlySet<number> = new Set([
  METHOD.basicPublish,
  METHOD.basicAck,
  METHOD.basicNack,
  METHOD.basicReject,
]);

export class Session implements FrameHandler {
  readonly connection: Connection;
  readonly channels: Map<number, Channel> = new Map();
  readonly #core: Core;
  readonly #transport: Transport;
  readonly #hooks: SessionHooks;
  readonly #parser: FrameParser;
  readonly #stopAlarm: () => void;
  #header: ProtocolHeader | undefined = new ProtocolHeader();
  #handshake: Handshake | undefined;
  /** The channel of the last frame: the next is mostly its too. */
  #last: Channel | undefined;
  #state: 'header' | 'handshake' | 'open' | 'closing' | 'closed' = 'header';
  #isBlocked = false;
  /** Why the socket is not read from. */
  readonly #pauses = new Set<'alarm' | 'backlog'>();
  /** Bytes of frames that wait in the channels' backlogs. */
  #heldBytes = 0;
  /** The client closed while channels waited for the disk: their frames come first. */
  #closesLater = false;
  #lastReceivedAt: number;
  #lastSentBytes = 0;
  #cancelTimer: (() => void) | undefined;
  #cancelHeartbeat: (() => void) | undefined;

  constructor(core: Core, transport: Transport, peer: PeerAddress, hooks: SessionHooks) {
    this.#core = core;
    this.#transport = transport;
    this.#hooks = hooks;
    this.connection = new Connection(core, transport, peer);
    this.#parser = new FrameParser(this);
    this.#lastReceivedAt = core.clock.now();
    this.#stopAlarm = core.onAlarm(() => this.#alarm());
    core.counters.connections += 1;
    this.#after(core.limits.handshakeMs, () => this.abort());
  }

  get state(): string {
    return this.#isBlocked && this.#state === 'open' ? 'blocked' : this.#state;
  }

  /** Bytes came from the client. The owner ends the turn afterwards. */
  receive(chunk: Buffer): void {
    this.#lastReceivedAt = this.#core.clock.now();
    this.connection.receivedBytes += chunk.length;
    if (this.#header === undefined) this.#parser.push(chunk);
    else this.#receiveHeader(chunk, this.#header);
  }

  /** The socket has room again. */
  drained(): void {
    for (const channel of this.channels.values()) channel.wake();
  }

  /** The socket is closed: nothing can be sent any more. Idempotent. */
  disconnected(): void {
    this.#takeHeld();
    this.#finish();
    this.#core.endTurn();
  }

  /** Ends the connection from the broker's side, with a reply. */
  close(code: number, explanation: string): void {
    this.#fail(new Refusal(code, explanation, 'connection'), 0);
    this.#core.endTurn();
  }

  /** Ends the connection without a word. */
  abort(): void {
    this.#transport.destroy();
    this.disconnected();
  }

  frame(type: number, number: number, buffer: Buffer, start: number, end: number): void {
    let method = 0;
    try {
      if (type === FrameType.method) {
        if (end - start < 4) throw unknownFrame(type, buffer, start, end);
        method = buffer.readUInt32BE(start);
        this.#method(number, method, this.#core.reader.reset(buffer, start + 4, end));
      } else if (this.#state === 'open') this.#other(type, number, buffer, start, end);
      else if (type !== FrameType.heartbeat) this.#early(type, buffer, start, end);
    } catch (error) {
      this.#caught(error, number, isContent(type, error) ? METHOD.basicPublish : method);
    }
  }

  broken(problem: FrameProblem): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    const max = this.connection.frameBytesMax - 8;
    const explanation =
      problem.kind === 'end-mark'
        ? `type ${problem.type}, ${octets(problem.payload)}: {invalid_frame_end_marker,${problem.found}}`
        : `type ${problem.type}, ${octets(NOTHING)}: {frame_too_large,${problem.size},${max}}`;
    this.#fail(new Refusal(501, explanation), 0);
    // Nothing that follows can be understood, a close-ok neither. The reply leaves before the socket ends.
    this.connection.output.flush();
    this.#transport.end();
  }

  #receiveHeader(chunk: Buffer, header: ProtocolHeader): void {
    const rest = header.push(chunk);
    if (rest === 'more') return;
    this.#header = undefined;
    if (rest === 'wrong') {
      this.#parser.stop();
      this.#transport.write(Buffer.from(PROTOCOL_HEADER));
      this.#transport.end();
      return;
    }
    this.#state = 'handshake';
    this.#handshake = new Handshake(this.connection);
    if (rest.length > 0) this.#parser.push(rest);
  }

  #method(number: number, method: number, reader: Reader): void {
    if (this.#state === 'open' && number !== 0) {
      const channel = this.#channel(number);
      if (channel?.backlog !== undefined)
        this.#keepFrame(channel.backlog, FrameType.method, reader.buffer.subarray(reader.at - 4, reader.end));
      else if (channel === undefined || method >>> 16 === 20)
        this.#channelMethod(number, channel, method, reader);
      else if (!channel.isClosing) this.#call(channel, method, reader);
    } else if (this.#state === 'closing') this.#whileClosing(method);
    else if (number !== 0) throw notAllowed('a channel before the connection is open');
    else if (method === METHOD.connectionClose) this.#closedByClient();
    else if (this.#state === 'handshake') this.#shake(method, reader);
    else if (this.#state === 'open') this.#connectionMethod(method, reader);
  }

  #call(channel: Channel, method: number, reader: Reader): void {
    if (channel.incoming.expects !== EXPECT.method) throw new MisplacedFrame(channel.incoming.expects);
    const handler = HANDLERS.get(method);
    if (handler === undefined) throw unknownMethod(method);
    if (!STREAMING.has(method)) this.#core.deliver();
    else if (method === METHOD.basicPublish && !this.connection.publishes) this.#firstPublish();
    handler(channel, reader);
  }

  #other(type: number, number: number, buffer: Buffer, start: number, end: number): void {
    if (type === FrameType.header || type === FrameType.body) {
      if (type === FrameType.header && end - start < HEADER_BYTES_MIN)
        throw unknownFrame(type, buffer, start, end);
      if (number === 0) throw new Refusal(505, `type ${type}, ${octets(buffer.subarray(start, end))}`);
      const channel = this.#channel(number);
      if (channel === undefined) throw new MisplacedFrame(0);
      if (channel.isClosing) return;
      if (channel.backlog !== undefined) this.#keepFrame(channel.backlog, type, buffer.subarray(start, end));
      else if (type === FrameType.body) receiveBody(channel, buffer, start, end);
      else receiveHeader(channel, buffer, start, end);
    } else if (type === FrameType.heartbeat && end === start) {
      if (number !== 0) throw new Refusal(505, `type 8, all octets = <<>>`);
    } else throw unknownFrame(type, buffer, start, end);
  }

  /** A channel waits for the disk: what comes for it waits too, and too much of it stops the socket. */
  #keepFrame(backlog: HeldFrame[], type: number, payload: Buffer): void {
    backlog.push({ type, payload: Buffer.from(payload) });
    this.#heldBytes += payload.length;
    if (this.#heldBytes > this.#core.limits.heldBytesMax) this.#pause('backlog');
  }

  /** A channel waits no more: what came meanwhile is taken, in order, until it waits again. */
  #replay(channel: Channel): void {
    const frames = channel.backlog ?? [];
    channel.backlog = undefined;
    for (const [index, { type, payload }] of frames.entries()) {
      const again = channel.backlog as HeldFrame[] | undefined;
      if (again !== undefined) {
        again.push(...frames.slice(index));
        break;
      }
      this.#heldBytes -= payload.length;
      this.frame(type, channel.number, payload, 0, payload.length);
    }
    if (this.#heldBytes <= this.#core.limits.heldBytesMax) this.#resume('backlog');
    if (this.#closesLater && !this.#isHolding) this.#closedByClient();
    this.#core.endTurn();
  }

  /** The client is gone: what it had sent is taken, and nothing waits or is answered any more. */
  #takeHeld(): void {
    if (this.#state !== 'open') return;
    this.connection.isLeaving = true;
    for (const channel of this.channels.values()) if (channel.backlog !== undefined) this.#replay(channel);
  }

  get #isHolding(): boolean {
    for (const { backlog, isClosing } of this.channels.values())
      if (backlog !== undefined && !isClosing) return true;
    return false;
  }

  #pause(why: 'alarm' | 'backlog'): void {
    if (this.#pauses.size === 0) this.#transport.pause();
    this.#pauses.add(why);
  }

  #resume(why: 'alarm' | 'backlog'): void {
    if (!this.#pauses.delete(why) || this.#pauses.size > 0) return;
    this.#lastReceivedAt = this.#core.clock.now();
    this.#transport.resume();
  }

  #early(type: number, buffer: Buffer, start: number, end: number): void {
    if (this.#state !== 'handshake') return;
    if (type === FrameType.header || type === FrameType.body) {
      throw new Refusal(505, 'expected method frame, got non method frame instead');
    }
    throw unknownFrame(type, buffer, start, end);
  }

  #channel(number: number): Channel | undefined {
    if (this.#last?.number === number) return this.#last;
    const channel = this.channels.get(number);
    if (channel !== undefined) this.#last = channel;
    return channel;
  }

  #shake(method: number, reader: Reader): void {
    const handshake = this.#handshake as Handshake;
    handshake.method(method, reader);
    if (handshake.stage === 'open') {
      // A payload may be as long as the whole frame was agreed to be: RabbitMQ lets that pass.
      this.#parser.payloadMax = this.connection.frameBytesMax;
      this.#watchHeart();
    }
    if (handshake.stage !== 'done') return;
    this.#handshake = undefined;
    this.#state = 'open';
    this.#cancelTimer?.();
    this.#hooks.opened();
  }

  #connectionMethod(method: number, reader: Reader): void {
    if (method !== METHOD.connectionUpdateSecret) {
      throw method >>> 16 === 10
        ? new Refusal(503, `unexpected method ${METHOD_NAMES.get(method) ?? String(method)}`)
        : new Refusal(504, 'unexpected method in connection state running');
    }
    readConnectionUpdateSecret(reader);
    writeConnectionUpdateSecretOk(this.connection.output, 0);
  }

  /** Class channel, and anything on a channel that is not open. */
  #channelMethod(number: number, channel: Channel | undefined, method: number, reader: Reader): void {
    const { output, channelsMax } = this.connection;
    if (channel === undefined) {
      if (method === METHOD.channelClose) return writeChannelCloseOk(output, number);
      if (method === METHOD.channelCloseOk) return;
      if (method !== METHOD.channelOpen) throw new Refusal(504, "expected 'channel.open'");
      if (this.channels.size >= channelsMax || number > channelsMax) {
        throw notAllowed(
          `number of channels opened (${this.channels.size}) has reached the negotiated channel_max (${channelsMax})`,
        );
      }
      const opened = new Channel(this.connection, number);
      opened.goOn = () => this.#replay(opened);
      opened.refuse = (refusal) => this.#closeChannel(opened, refusal, 0);
      this.channels.set(number, opened);
      return writeChannelOpenOk(output, number);
    }
    if (method === METHOD.channelCloseOk && channel.isClosing) return this.#dropChannel(channel);
    if (method === METHOD.channelClose) {
      readChannelClose(reader);
      this.#core.deliver();
      if (!channel.isClosing) channel.finishTurn();
      this.#dropChannel(channel);
      return writeChannelCloseOk(output, number);
    }
    if (channel.isClosing) return;
    if (method === METHOD.channelOpen) throw new Refusal(504, "second 'channel.open' seen");
    this.#call(channel, method, reader);
  }

  #dropChannel(channel: Channel): void {
    if (!channel.isClosing) channel.close();
    this.channels.delete(channel.number);
    this.#last = undefined;
  }

  #caught(error: unknown, number: number, method: number): void {
    let refusal: Refusal;
    if (error instanceof Refusal) refusal = error;
    else if (isNaruError(error, 'NARU_INVALID_MESSAGE')) refusal = new Refusal(502, error.message);
    else {
      this.#hooks.failed(error);
      refusal = new Refusal(541, 'the broker failed');
    }
    const channel = this.channels.get(number);
    if (refusal instanceof LoginRefused) this.#refuseLogin(refusal);
    else if (refusal.soft && channel !== undefined && this.#state === 'open') {
      this.#closeChannel(channel, refusal, method);
    } else this.#fail(refusal, method);
  }

  /** channel.close from the broker's side. */
  #closeChannel(channel: Channel, refusal: Refusal, method: number): void {
    channel.finishTurn();
    channel.close();
    writeChannelClose(this.connection.output, channel.number, reply(refusal, method));
  }

  #refuseLogin(refusal: LoginRefused): void {
    if (this.connection.capabilities.authenticationFailureClose) return this.#fail(refusal, 0);
    this.#state = 'closing';
    this.#parser.stop();
    this.#after(this.#core.limits.failedLoginMs, () => this.abort());
  }

  /** connection.close from the broker's side. */
  #fail(refusal: Refusal, method: number): void {
    if (this.#state === 'closing' || this.#state === 'closed') return;
    if (this.#state === 'header') return this.abort();
    this.#state = 'closing';
    writeConnectionClose(this.connection.output, 0, reply(refusal, method));
    this.#release();
    this.#after(this.#core.limits.closeMs, () => this.abort());
  }

  #closedByClient(): void {
    this.#closesLater = this.#isHolding;
    if (this.#closesLater) return;
    this.#core.deliver();
    for (const channel of this.channels.values()) channel.finishTurn();
    this.#release();
    writeConnectionCloseOk(this.connection.output, 0);
    this.#end();
  }

  #whileClosing(method: number): void {
    if (method === METHOD.connectionClose) writeConnectionCloseOk(this.connection.output, 0);
    if (method === METHOD.connectionClose || method === METHOD.connectionCloseOk) this.#end();
  }

  /** Bytes leave, then the socket closes. */
  #end(): void {
    this.#state = 'closing';
    this.#parser.stop();
    this.connection.output.flush();
    this.#transport.end();
    this.#after(this.#core.limits.closeMs, () => this.abort());
  }

  /** Everything the connection holds goes back or away. Idempotent. */
  #release(): void {
    const { connection } = this;
    if (!connection.isOpen) return;
    connection.isOpen = false;
    this.#cancelHeartbeat?.();
    this.#cancelTimer?.();
    this.#stopAlarm();
    for (const channel of this.channels.values()) if (!channel.isClosing) channel.close();
    this.channels.clear();
    this.#last = undefined;
    for (const queue of connection.owned) connection.place.deleteQueue(queue);
  }

  #finish(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#parser.stop();
    this.#release();
    this.#cancelTimer?.();
    this.connection.output.close();
    this.#core.counters.connections -= 1;
    this.#hooks.closed();
  }

  #after(ms: number, fn: () => void): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#core.clock.schedule(this.#core.clock.now() + ms, fn);
  }

  /** Sends at half the interval when nothing else was sent; gives up after two intervals of silence. */
  #watchHeart(): void {
    const { heartbeatSeconds } = this.connection;
    if (heartbeatSeconds === 0) return;
    const { clock } = this.#core;
    const beat = (): void => {
      const now = clock.now();
      if (now - this.#lastReceivedAt > heartbeatSeconds * 2000 && this.#pauses.size === 0) {
        this.abort();
        return;
      }
      const { output } = this.connection;
      if (output.sentBytes === this.#lastSentBytes) {
        output.heartbeat();
        output.flush();
      }
      this.#lastSentBytes = output.sentBytes;
      this.#cancelHeartbeat = clock.schedule(now + heartbeatSeconds * 500, beat);
    };
    this.#cancelHeartbeat = clock.schedule(clock.now() + heartbeatSeconds * 500, beat);
  }

  #firstPublish(): void {
    this.connection.publishes = true;
    this.#alarm();
  }

  /** Publishers are not read from while an alarm is on or the disk is behind; consumers go on. */
  #alarm(): void {
    const { connection } = this;
    if (!connection.publishes || this.#state !== 'open') return;
    const { blocked: reason, isBehind } = this.#core;
    const tells = connection.capabilities.connectionBlocked;
    if (reason !== undefined && !this.#isBlocked) {
      this.#isBlocked = true;
      if (tells) writeConnectionBlocked(connection.output, 0, { reason });
    } else if (reason === undefined && this.#isBlocked) {
      this.#isBlocked = false;
      if (tells) writeConnectionUnblocked(connection.output, 0);
    }
    if (reason !== undefined || isBehind) this.#pause('alarm');
    else this.#resume('alarm');
  }
}

function reply(
  refusal: Refusal,
  method: number,
): {
  readonly replyCode: number;
  readonly replyText: string;
  readonly classId: number;
  readonly methodId: number;
} {
  return {
    replyCode: refusal.code,
    replyText: refusal.replyText,
    classId: method >>> 16,
    methodId: method & 0xffff,
  };
}

/** Whether what is wrong belongs to the message that a client is publishing. */
function isContent(type: number, error: unknown): boolean {
  if (error instanceof MisplacedFrame) return error.isInContent;
  return (type === FrameType.header || type === FrameType.body) && error instanceof Refusal && error.soft;
}

function unknownMethod(method: number): Refusal {
  return METHOD_NAMES.has(method)
    ? new Refusal(503, 'unimplemented method')
    : new Refusal(540, `method ${method >>> 16}.${method & 0xffff} is unknown`);
}

function unknownFrame(type: number, buffer: Buffer, start: number, end: number): Refusal {
  return new Refusal(501, `type ${type}, ${octets(buffer.subarray(start, end))}: unknown_frame`);
}
