// Opening a mailbox for a command: who owns what is created, and what a process must wait for before it may leave because
// the mailbox lives in it. Loaded only by commands that open one.

import { isNaruError, NaruError } from '../errors/index.ts';
import type { Feature } from '../mailbox/capabilities.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { OpenOptions } from '../mailbox/options.ts';
import { parseUrl } from '../mailbox/parse-url.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { open } from '../open.ts';
import { namesObject } from '../places/registry.ts';
import { ConfigError, tell, type Ending } from './exit.ts';
import { messages, note } from './output.ts';
import type { Target } from './url.ts';

/** A mailbox of bytes whose features are checked when they are used, not when this is compiled. */
export type ByteMailbox = Mailbox<Uint8Array, Uint8Array>;

/** Options of a command's mailbox. */
export type ConnectOptions = Pick<
  OpenOptions,
  'role' | 'create' | 'settle' | 'timeoutMs' | 'confirm' | 'prefetch' | 'deliver'
> & {
  readonly needs?: readonly Feature[];
  /**
   * Attach to what others host, and host it only where nobody does: then this process never takes the place of a host that
   * it lost, and the messages do not end up in it. Default: whoever finds no host is the host, whenever that is.
   */
  readonly joins?: boolean;
};

/** An opened mailbox and what the command must know of it. */
export interface Connection {
  readonly mailbox: ByteMailbox;
  /** The messages go when this process goes: it made a mailbox that lives in its opener, or as long as its users. */
  readonly livesHere: boolean;
}

/** Places whose mailbox lives in the process that listens. */
const LISTENING = new Set(['unix', 'tcp', 'ws', 'wss', 'http', 'https']);
/** Places where `owner` decides, and where a command that ends at once must not take its messages along. */
const OWNED = new Set(['memory', 'shm']);

/**
 * Opens the mailbox of a command.
 *
 * @throws ConfigError  the URL came from a file or the environment and is wrong; and whatever open() raises
 */
export async function connect(target: Target, options: ConnectOptions, ending: Ending): Promise<Connection> {
  const { parts, stated } = readUrl(target);
  const { scheme, port } = parts;
  const { joins = false, ...wanted } = options;
  const needs = ['crossProcess', ...(options.needs ?? [])] as Feature[];
  const all: OpenOptions = { ...wanted, codec: 'bytes', needs, signal: ending.signal };
  const create = options.create ?? stated.create;
  const ownedByNobody = OWNED.has(scheme) && stated.owner === undefined;
  const mailbox = ownedByNobody
    ? await openAsSystem(target.url, all, create)
    : joins && scheme === 'unix' && !namesObject(parts) && create === undefined
      ? await joinOrOpen(target.url, all)
      : await openOne(target.url, all);
  mailbox.on('error', ({ error }) => tell(error));
  const listens = LISTENING.has(scheme) && !namesObject(parts) && mailbox.created;
  // Who let the system choose a port must be told which.
  if (scheme !== 'unix' && listens && (port === 0 || port === undefined))
    note(`naru: listening on ${mailbox.address}`);
  const dies = stated.owner === 'users' || stated.owner === 'process';
  return { mailbox, livesHere: listens || (OWNED.has(scheme) && dies) };
}

/**
 * What a command sends must outlive it, so a mailbox that it creates belongs to the system. One that exists belongs to
 * whom its creator said, and saying otherwise would be NARU_EXISTS: so it is attached to first, and created second.
 */
async function openAsSystem(
  url: string,
  options: OpenOptions,
  create: OpenOptions['create'],
): Promise<ByteMailbox> {
  const asSystem: OpenOptions = { ...options, owner: 'system' };
  if (create === 'never') return openOne(url, options);
  if (create === 'new') return openOne(url, asSystem);
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await openOne(url, { ...options, create: 'never' });
    } catch (error) {
      if (!isNaruError(error, 'NARU_NOT_FOUND')) throw error;
    }
    try {
      return await openOne(url, asSystem);
    } catch (error) {
      // Somebody else created it in between: attach to theirs. More than a few times in a row is no coincidence.
      if (!isNaruError(error, 'NARU_EXISTS') || attempt === 3) throw error;
    }
  }
}

async function joinOrOpen(url: string, options: OpenOptions): Promise<ByteMailbox> {
  try {
    return await openOne(url, { ...options, create: 'never' });
  } catch (error) {
    if (!isNaruError(error, 'NARU_NOT_FOUND')) throw error;
    return openOne(url, options);
  }
}

/** The URL is known at run time only, so what it can do is checked at run time: the type promises everything. */
async function openOne(url: string, options: OpenOptions): Promise<ByteMailbox> {
  return (await open(url, options)) as unknown as ByteMailbox;
}

function readUrl(target: Target): { readonly parts: PlaceUrl; readonly stated: OpenOptions } {
  try {
    return parseUrl(target.url);
  } catch (error) {
    if (target.from === 'argument' || !isNaruError(error)) throw error;
    const where = target.from === 'file' ? 'the URL in the --url-file' : 'the URL in NARU_URL';
    throw new ConfigError(`${error.code}: ${where} is wrong: ${error.message}`, { cause: error });
  }
}

/** What a URL names, for what is done to a mailbox without opening it. */
export function partsOf(target: Target): PlaceUrl {
  return readUrl(target).parts;
}

/** Messages in the mailbox: waiting, and in somebody's hands. -1 = the place cannot know. */
export async function messagesLeft(mailbox: ByteMailbox): Promise<number> {
  const { place } = await mailbox.stats();
  if (place.depth < 0) return -1;
  return place.depth + Math.max(0, place.unsettled);
}

/** How often a leaving host looks whether its messages were taken, in milliseconds. */
const LOOK_MS = 20;
/** How long a host that was stopped still lets others take what it holds, in milliseconds. */
const STOPPED_MS = 2_000;

/** When a process that holds a mailbox may leave. */
export interface Patience {
  /** With messages left and no consumer there: how long to wait for one, in milliseconds. */
  readonly aloneMs: number;
  /** With nothing left, consumers there and no producer: how long they have to leave first, in milliseconds. */
  readonly quietMs: number;
}

/**
 * Keeps a mailbox that lives here until everything in it was taken and settled. While both producers and consumers of other
 * processes are there it stays in any case: they are in the middle of something.
 */
export async function serveOthers(
  mailbox: ByteMailbox,
  { aloneMs, quietMs }: Patience,
  ending: Ending,
  onLook: (left: number) => void,
): Promise<void> {
  let [aloneSince, busySince, stoppedAt] = [performance.now(), performance.now(), 0];
  for (;;) {
    const left = await messagesLeft(mailbox);
    if (left < 0) return;
    onLook(left);
    const { producers, consumers } = mailbox.peers;
    const now = performance.now();
    if (consumers > 0) aloneSince = now;
    if (left > 0 || producers > 0) busySince = now;
    if (ending.stopped !== undefined) {
      stoppedAt ||= now;
      if (left === 0 || consumers === 0 || now - stoppedAt > STOPPED_MS) return;
    }
    if (left === 0 && (consumers === 0 || now - busySince >= quietMs)) return;
    if (now - aloneSince > aloneMs) return;
    await delay(LOOK_MS);
  }
}

function delay(ms: number): Promise<void> {
  return pause(ms, new AbortController().signal);
}

/** Resolves after `ms`, or at once when the signal fires. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done, { once: true });
  });
}

/**
 * Closes a command's mailbox.
 * @returns how many messages nobody can receive any more: its own, or all of a mailbox that lives here
 */
export async function closeAndCount({ mailbox, livesHere }: Connection): Promise<number> {
  // A mailbox that has failed answers no more questions.
  const left = livesHere ? await messagesLeft(mailbox).catch(() => 0) : 0;
  const { undelivered } = await mailbox.close();
  return Math.max(0, left, undelivered);
}

/** The error of a command that leaves messages behind that nobody can receive any more. */
export function lostError(count: number, { mailbox, livesHere }: Connection): NaruError {
  const why = livesHere ? ': nobody received, and the mailbox lived in this process' : '';
  const text = `${messages(count)} ${count === 1 ? 'was' : 'were'} not delivered${why}`;
  return new NaruError('NARU_NO_CONSUMER', `${mailbox.address}: ${text}`, { mailbox: mailbox.address });
}
