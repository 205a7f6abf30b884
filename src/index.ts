// Naru: one mailbox, many places. Importing this loads no place, no socket and no addon; open() loads what a URL needs.

export { ERROR_CODES, isNaruError, NaruError, type NaruErrorCode } from './errors/index.ts';
export { inboxOf, openInbox } from './inbox.ts';
export {
  FEATURES,
  type Capabilities,
  type Confirm,
  type Feature,
  type Level,
} from './mailbox/capabilities.ts';
export type { Claim } from './mailbox/claim.ts';
export type { Codec, CodecName } from './mailbox/codec.ts';
export type { Consumption, ConsumeOptions, Handler } from './mailbox/consume.ts';
export type { MailboxEvents } from './mailbox/events.ts';
export type { If, Lacks, SendOptions } from './mailbox/lacks.ts';
export type { Mailbox } from './mailbox/mailbox.ts';
export type { CloseOptions, CloseResult } from './mailbox/setup.ts';
export type { Message, Settled } from './mailbox/message.ts';
export type { MailboxOptions, OpenOptions } from './mailbox/options.ts';
export type { Reached, Receipt, SendManyResult } from './mailbox/receipt.ts';
export type { Schema } from './mailbox/schema.ts';
export type { MailboxStats } from './mailbox/stats.ts';
export type { MessageView } from './mailbox/view.ts';
export type { WaitLimits } from './mailbox/waiting.ts';
export { allCapabilities, open, type FeaturesOfUrl } from './open.ts';
export { spawn } from './spawn.ts';
export type { Child, ChildCrash, ChildEvents, ChildExit } from './spawn/child.ts';
export type { RestartOptions, SpawnOptions } from './spawn/options.ts';
export type { ChildContext } from './spawn/run.ts';
