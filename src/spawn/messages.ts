// What parent and child say to each other: over the IPC channel of a process, over the port of a worker. Plain data only.

import type { NaruErrorJson } from '../errors/index.ts';
import type { SharedHandle } from '../mailbox/shared-handle.ts';

/** What a child has to do. Sent once, first. */
export interface StartOrder {
  readonly say: 'start';
  /** URL of the module. */
  readonly module: string;
  readonly handles: readonly (readonly [name: string, handle: SharedHandle])[];
  readonly data: unknown;
  /** How many starts there were before this one. */
  readonly attempt: number;
  /** The process that the child ends with. */
  readonly parentPid: number;
}

/** To the child: please end. */
export interface StopOrder {
  readonly say: 'stop';
}

/** An error as it travels: one of Naru's keeps its code, others keep name, message and stack. */
export type ErrorReport =
  | { readonly naru: NaruErrorJson }
  | { readonly name: string; readonly message: string; readonly stack: string };

/** From the child. `ready`: its handles are open and its function runs. `failed`: it threw. */
export type ChildReport = { readonly say: 'ready' } | { readonly say: 'failed'; readonly error: ErrorReport };

export type Order = StartOrder | StopOrder;
