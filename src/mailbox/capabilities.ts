// What a place can do: one object per (scheme, mode), read by the types, by open(), by the conformance suite, by
// `naru places` and by the tables in the docs. Nothing here knows a place by name.

/** Every feature a place can declare, with the sentence that the tables show. */
export const FEATURES = {
  ack: 'a consumer settles messages; unsettled ones are not lost with it',
  requeue: 'nack puts a message back, marked as redelivered',
  deadLetter: 'messages that keep failing move to another mailbox',
  lease: 'a message not settled in time is delivered again',
  priority: 'more urgent messages come first',
  ttl: 'messages expire',
  delay: 'messages become visible later',
  headers: 'user headers travel with the body',
  type: 'a message says of what type it is',
  reply: 'request and reply',
  deliverAll: 'every consumer gets every message (topic)',
  groups: 'consumer groups share the copies of a topic',
  orderingKey: 'messages with one key are handled one after the other',
  dedup: 'a message with an id seen before is dropped and counted',
  receipts: 'send can wait until the message was received',
  durable: 'messages survive a restart, a power cut too',
  depth: 'the number of waiting messages is known',
  peek: 'look at messages without taking them',
  trySync: 'trySend and tryReceive answer at once, synchronously',
  waitSync: 'sendSync and receiveSync block the calling thread',
  wait: 'a waiting call sleeps until it is woken; nothing polls',
  multiProducer: 'several producers',
  multiConsumer: 'several consumers',
  crossProcess: 'other processes of this machine reach it',
  crossHost: 'other machines reach it',
  replay: 'a new consumer of a topic can start with the retained messages',
  retain: 'the last n messages of a topic are kept for late consumers',
  dropOldest: 'a full mailbox can drop its oldest message',
  overwrite: 'producers of a topic write over what slow consumers have not read, who are told how much',
  dropNewest: 'a full mailbox can drop the new message',
  rendezvous: 'capacity 0: send meets receive',
  fixedSlots: 'fixed-length messages (slotBytes)',
  end: 'end() finishes every consumer',
  claim: 'a producer writes a message in place: claim() and commit()',
  views: 'a consumer reads a message in place until it settles it',
} as const;

/** The name of a feature. */
export type Feature = keyof typeof FEATURES;

/** native: the place does it; emulated: Naru does it on request (`emulate`); none: asking for it is an error. */
export type Level = 'native' | 'emulated' | 'none';

/** How far a message got: see DESIGN §2 "receipts". Each level includes those before it. */
export type Confirm = 'accepted' | 'placed' | 'durable' | 'received';

/** Whose a mailbox is, and so how long it lives: as long as its users, as one process, or until somebody removes it. */
export type Owner = 'users' | 'process' | 'system';

/** Where the two sides of a mailbox of this place may live; the conformance suite runs in each. */
export type Shape = 'process' | 'worker' | 'child';

/** Everything a place says of itself. */
export interface Capabilities {
  /** URL scheme: `shm`. */
  readonly scheme: string;
  /** The mode of the scheme this object is about: `envelope` (between Naru peers) or `raw` (with strangers). */
  readonly mode: 'envelope' | 'raw';
  /** One sentence for the tables. */
  readonly summary: string;
  readonly features: Readonly<Record<Feature, Level>>;
  /** A remark to a feature, shown as a footnote. */
  readonly notes: Readonly<Partial<Record<Feature, string>>>;
  readonly limits: {
    /** Largest body in bytes at default settings. */
    readonly maxMessageBytes: number;
    /** Inclusive range of `priority`; both 0 where there is none. */
    readonly priorityMin: number;
    readonly priorityMax: number;
    readonly maxProducers: number;
    readonly maxConsumers: number;
  };
  /** What `send()` waits for unless told otherwise. */
  readonly confirm: Confirm;
  /** `advisory` where programs that know nothing of Naru may take part. */
  readonly relation: 'enforced' | 'advisory';
  /** How long a mailbox lives when the option `owner` says nothing. `process`: that which made it, or listens for it. */
  readonly owner: Owner;
  readonly shapes: readonly Shape[];
  /** What must be there: `addon`, or the name of an npm package. */
  readonly needs: readonly string[];
}

/** Names of the features a capabilities object has, at type level: what a literal URL gives. */
export type FeaturesOf<C> = C extends { readonly features: infer F }
  ? { [K in keyof F]: F[K] extends 'none' ? never : K }[keyof F] & Feature
  : never;
