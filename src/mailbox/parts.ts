// What a mailbox is made of, put together from what open() knows: encoder, outbox, intake and the calls that join them.
// Holds no behaviour of its own.

import { BlockingCalls } from './blocking-calls.ts';
import type { Capabilities } from './capabilities.ts';
import { Claims } from './claim.ts';
import { resolveCodec } from './codec.ts';
import type { ConsumeSource } from './consume.ts';
import { Consumers } from './consumers.ts';
import { DeadLetter } from './dead-letter.ts';
import { DEFAULTS } from './defaults.ts';
import { Diagnostics } from './diagnostics.ts';
import { EventHub } from './events.ts';
import { Incoming } from './incoming.ts';
import { Intake } from './intake.ts';
import { LeakWatch } from './leaks.ts';
import type { Life } from './life.ts';
import { Encoder } from './outgoing.ts';
import { Outbox } from './outbox.ts';
import type { Stated } from './parse-url.ts';
import { Receiving } from './receiving.ts';
import { Requests } from './requests.ts';
import type { Schema } from './schema.ts';
import { Sending } from './sending.ts';
import type { MailboxSetup } from './setup.ts';
import { Views } from './view.ts';

/** The parts of one handle. */
export interface Parts<T> {
  readonly events: EventHub;
  readonly diagnostics: Diagnostics;
  readonly encoder: Encoder;
  readonly outbox: Outbox;
  readonly intake: Intake;
  readonly incoming: Incoming<T>;
  readonly requests: Requests<T>;
  readonly consumers: Consumers<T>;
  readonly deadLetter: DeadLetter | undefined;
  readonly sending: Sending;
  readonly receiving: Receiving<T>;
  readonly blocking: BlockingCalls<T>;
  readonly claims: Claims;
  readonly views: Views;
  /** Receiving settles by itself; false where the user settles. */
  readonly isAuto: boolean;
}

/** Puts a handle together. */
export function assemble<T>(setup: MailboxSetup, life: Life): Parts<T> {
  const { driver, stated, text: mailbox, openDeadLetter } = setup;
  const { facts } = driver;
  const { capabilities } = facts;
  const events = new EventHub(mailbox);
  const diagnostics = new Diagnostics(capabilities.scheme, mailbox);
  const codec = resolveCodec(stated.codec);
  const schemas = schemasOf(stated);
  const { slotBytes, emulate = [] } = stated;
  const encoder = new Encoder(facts, { mailbox, codec, schema: schemas.onSend, slotBytes, emulate });
  const outbox = new Outbox(driver, events, {
    mailbox,
    full: stated.full ?? DEFAULTS.full,
    nobody: stated.nobody ?? (facts.deliver === 'all' ? 'drop' : 'keep'),
    maxWaiting: stated.maxWaiting ?? DEFAULTS.maxWaiting,
  });
  const intake = new Intake(driver, mailbox);
  const { deadLetter: grave } = stated;
  const deadLetter = grave === undefined ? undefined : new DeadLetter(mailbox, () => openDeadLetter(grave));
  const requests: Requests<T> = new Requests<T>(driver, {
    mailbox,
    decode: (delivery) => incoming.decode(delivery),
    encode: (data, fields) => encoder.encode(data, Date.now(), fields, undefined, undefined),
  });
  const incoming: Incoming<T> = new Incoming<T>(facts, intake, events, diagnostics, {
    mailbox,
    codec,
    schema: schemas.onReceive,
    canAck: capabilities.features.ack === 'native',
    canDelay: encoder.can('delay'),
    deadLetter,
    reply: (message, data) => requests.reply(message, data),
  });
  const isAuto = (stated.settle ?? DEFAULTS.settle) === 'auto';
  const receiving = new Receiving<T>({ mailbox, intake, incoming, auto: isAuto, life });
  const confirm = stated.confirm ?? capabilities.confirm;
  const sending = new Sending({ mailbox, facts, encoder, outbox, diagnostics, confirm });
  const blocking = new BlockingCalls<T>({ mailbox, outbox, intake, sending, receiving, life });
  const ends = { mailbox, intake, incoming, events, diagnostics, deadLetter };
  const consumers = new Consumers<T>({ ...ends, ...consumingOf(stated, encoder, capabilities) });
  const leaks = new LeakWatch(events);
  const claims = new Claims({ mailbox, facts, encoder, outbox, sending, leaks });
  const views = new Views({ mailbox, intake, incoming, leaks, life });
  return {
    events,
    diagnostics,
    encoder,
    outbox,
    intake,
    incoming,
    requests,
    consumers,
    deadLetter,
    sending,
    receiving,
    blocking,
    claims,
    views,
    isAuto,
  };
}

/** How messages are consumed. */
function consumingOf(
  { retry = {}, leaseMs, prefetch = DEFAULTS.prefetch }: Stated,
  encoder: Encoder,
  { features }: Capabilities,
): Pick<ConsumeSource<unknown>, 'retry' | 'canRequeue' | 'canDelay' | 'leaseMs' | 'prefetch'> {
  const canRequeue = features.requeue === 'native';
  return { retry, canRequeue, canDelay: encoder.can('delay'), leaseMs, prefetch };
}

function schemasOf({ schema, validate = DEFAULTS.validate }: Stated): {
  readonly onSend: Schema | undefined;
  readonly onReceive: Schema | undefined;
} {
  return {
    onSend: validate === 'both' || validate === 'send' ? schema : undefined,
    onReceive: validate === 'both' || validate === 'receive' ? schema : undefined,
  };
}
