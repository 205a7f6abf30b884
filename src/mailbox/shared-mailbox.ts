// A mailbox as it is handed over to a child: what both sides must agree on, and how the handle was to behave. A schema does not
// travel: it is code.

import type { DriverFacts } from './driver.ts';
import type { Stated } from './parse-url.ts';
import type { SharedHandle } from './shared-handle.ts';

/** Options of a handle, not of the mailbox: the one that the child opens behaves as its parent's. */
const HANDED_OVER = [
  'settle',
  'prefetch',
  'full',
  'nobody',
  'maxWaiting',
  'retry',
  'deadLetter',
  'leaseMs',
  'flushMs',
  'confirm',
  'group',
  'format',
  'frame',
  'emulate',
  'wait',
  'tls',
] as const satisfies readonly (keyof Stated)[];

export function sharedMailbox(facts: DriverFacts, stated: Stated): SharedHandle {
  const options: Record<string, unknown> = { ...facts.secrets };
  for (const name of HANDED_OVER) if (stated[name] !== undefined) options[name] = stated[name];
  return withCodec(
    { kind: 'mailbox', url: facts.address, options, shapes: facts.capabilities.shapes },
    stated.codec,
  );
}

/** A codec by name travels; one of the user's own is code. */
export function withCodec(handle: SharedHandle, codec: unknown): SharedHandle {
  if (codec === undefined) return handle;
  if (typeof codec === 'string') return { ...handle, options: { ...handle.options, codec } };
  return {
    ...handle,
    refusal: 'its codec is code and cannot travel; pass its address as `data` and open it in the child',
  };
}
