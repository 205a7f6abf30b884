// What a place's folder exports, and what it is given: the seam between the registry, open() and the drivers.

import type { Capabilities, Confirm, Owner } from './capabilities.ts';
import type { Driver, DriverHooks } from './driver.ts';
import type {
  Create,
  Deliver,
  Frame,
  FullPolicy,
  NobodyPolicy,
  Relation,
  Role,
  Survives,
  TlsOptions,
  WaitOptions,
} from './options.ts';

/** A mailbox URL taken apart. Never holds the password in `text`. */
export interface PlaceUrl {
  readonly scheme: string;
  /** `name` of shm://name, `host` of tcp://host:port; '' for unix:///path. */
  readonly host: string;
  readonly port: number | undefined;
  /** Path with its leading slash, or ''. Percent-decoded. */
  readonly path: string;
  readonly username: string;
  readonly password: string;
  /** Parameters that are not options of every place: `listen`, `heartbeatMs`, … as text ('' when bare). */
  readonly extra: Readonly<Record<string, string>>;
  /** The URL as it may be shown. */
  readonly text: string;
}

/**
 * The mailbox's options after URL and object were merged and checked. Undefined = not stated: the place applies its default,
 * or adopts what the creator chose; a stated one that differs from what exists is NARU_EXISTS.
 */
export interface PlaceOptions {
  readonly role: Role;
  readonly relation: Relation | undefined;
  readonly deliver: Deliver | undefined;
  readonly group: string | undefined;
  readonly create: Create | undefined;
  readonly owner: Owner | undefined;
  readonly survives: Survives | undefined;
  readonly capacityBytes: number | undefined;
  readonly capacityMessages: number | undefined;
  readonly slotBytes: number | undefined;
  readonly maxMessageBytes: number | undefined;
  readonly priorities: number | undefined;
  readonly full: FullPolicy;
  readonly nobody: NobodyPolicy | undefined;
  readonly prefetch: number;
  readonly leaseMs: number | undefined;
  readonly retain: number | undefined;
  readonly from: 'now' | 'start' | undefined;
  readonly dedup: number | undefined;
  readonly confirm: Confirm | undefined;
  readonly flushMs: number;
  readonly format: 'envelope' | 'raw' | undefined;
  readonly frame: Frame | undefined;
  readonly as: string | undefined;
  readonly wait: WaitOptions;
  readonly tls: TlsOptions | undefined;
  /** Of a Manager, or of a listener that asks for one. */
  readonly key: string | undefined;
  /** Aborts opening; fires with NARU_TIMEOUT as its reason when the time for opening is over. */
  readonly signal: AbortSignal;
}

/** What open() hands to a place beside the URL and the options. */
export interface PlaceContext {
  readonly hooks: DriverHooks;
  /** Capabilities of another place, for `?as=`. @throws NARU_INVALID_ARGUMENT for an unknown scheme */
  capabilitiesOf(scheme: string): Promise<Capabilities>;
}

/** The export `place` of every `src/places/<place>/index.ts`. */
export interface Place {
  /** One object per mode; the first is the default. */
  readonly modes: readonly Capabilities[];
  /** Names of the URL parameters that only this place knows; any other unknown parameter is refused. */
  readonly parameters: readonly string[];
  /** The option `key` means something here; elsewhere it is refused. */
  readonly takesKey?: boolean;
  /** Option values that are refused or differ here, checked before open(): throws NARU_UNSUPPORTED or NARU_INVALID_ARGUMENT. */
  check?(url: PlaceUrl, options: PlaceOptions): void;
  /** What one URL can do, where that is less than what its mode can. @throws NARU_INVALID_ARGUMENT */
  narrow?(mode: Capabilities, url: PlaceUrl): Capabilities;
  /** What a mailbox here can do when it stands in for another place (`as`). Absent: `as` is refused. */
  twin?(other: Capabilities): Capabilities;
  open(url: PlaceUrl, options: PlaceOptions, context: PlaceContext): Promise<Driver>;
}
