// naru/sync: from a URL to a lock, a semaphore or an event, and signals between processes. Joins the registry of places with the models in sync/;
// nothing else may know both.

import { NaruError } from './errors/index.ts';
import { openDeadline } from './mailbox/waiting.ts';
import { SYNC_PLACES } from './places/sync-registry.ts';
import type { SyncDriver, SyncHooks, SyncPlace } from './sync/driver.ts';
import { SharedEvent } from './sync/event.ts';
import { Lock } from './sync/lock.ts';
import { Semaphore } from './sync/semaphore.ts';
import type { SyncCapabilities } from './sync/sync-capabilities.ts';
import {
  checkSyncParameters,
  type OpenLockOptions,
  type OpenSemaphoreOptions,
  type OpenSyncOptions,
  readSyncRequest,
  type SyncKind,
  type SyncOptions,
} from './sync/sync-options.ts';

export {
  lostSignals,
  onSignal,
  type ReceivedSignal,
  type SendSignalOptions,
  type SignalName,
  type SignalSubscription,
  sendSignal,
} from './kernel/signals.ts';
export type { WaitLimits } from './mailbox/waiting.ts';
export type { SharedEvent } from './sync/event.ts';
export type { SyncLimits } from './sync/handle.ts';
export type { Lock, LockGuard } from './sync/lock.ts';
export type { Permit, Semaphore } from './sync/semaphore.ts';
export {
  SYNC_FEATURES,
  type SyncCapabilities,
  type SyncFeature,
  type SyncFeatures,
} from './sync/sync-capabilities.ts';
export type { OpenLockOptions, OpenSemaphoreOptions, OpenSyncOptions } from './sync/sync-options.ts';

/**
 * Opens a lock that processes and threads share.
 *
 * @param url  where it lives: `shm://name`, with options as parameters
 * @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED  URL or option is wrong, or the place has no locks
 * @throws NARU_EXISTS      the name is something else (a semaphore, a mailbox), or was made with other options
 * @throws NARU_NOT_FOUND, NARU_DENIED, NARU_LIMIT, NARU_CORRUPT, NARU_NATIVE_MISSING; NARU_TIMEOUT  longer than `timeoutMs` (10 s)
 */
export function openLock(url: string, options: OpenLockOptions = {}): Promise<Lock> {
  return openAny(
    'lock',
    url,
    options,
    (place, resolved, hooks) => place.openLock(resolved, hooks),
    (driver, { reentrant }, { features }) => new Lock(driver, reentrant, features),
  );
}

/**
 * Opens a semaphore that processes and threads share.
 *
 * @param url  where it lives: `shm://name?count=3`
 * @throws what `openLock()` raises
 */
export function openSemaphore(url: string, options: OpenSemaphoreOptions = {}): Promise<Semaphore> {
  return openAny(
    'semaphore',
    url,
    options,
    (place, resolved, hooks) => place.openSemaphore(resolved, hooks),
    (driver, _request, { features }) => new Semaphore(driver, features),
  );
}

/**
 * Opens an event that processes and threads share. A new one is not set.
 *
 * @param url  where it lives: `shm://name`
 * @throws what `openLock()` raises
 */
export function openEvent(url: string, options: OpenSyncOptions = {}): Promise<SharedEvent> {
  return openAny(
    'event',
    url,
    options,
    (place, resolved, hooks) => place.openEvent(resolved, hooks),
    (driver, _request, { features }) => new SharedEvent(driver, features),
  );
}

async function openAny<D extends SyncDriver, M extends SyncHooks>(
  kind: SyncKind,
  url: string,
  given: OpenLockOptions & OpenSemaphoreOptions,
  open: (place: SyncPlace, options: SyncOptions, hooks: SyncHooks) => Promise<D>,
  modelOf: (driver: D, request: { readonly reentrant: boolean }, capabilities: SyncCapabilities) => M,
): Promise<M> {
  const request = readSyncRequest(kind, url, given);
  const place = await loadPlace(request.url.scheme, request.url.text);
  checkSyncParameters(request, kind, place.parameters, place.takesKey);
  const deadline = openDeadline(given, request.url.text);
  // The driver may call before the model is there; what it says then is seen at the first call.
  let model: M | undefined;
  let failure: Error | undefined;
  const hooks: SyncHooks = {
    ready: () => model?.ready(),
    failed: (error) => {
      failure = error;
      model?.failed(error);
    },
  };
  try {
    const driver = await open(place, { ...request, signal: deadline.signal }, hooks);
    model = modelOf(driver, request, place.capabilities);
    if (failure !== undefined) model.failed(failure);
    return model;
  } catch (error) {
    throw deadline.signal.aborted ? deadline.signal.reason : error;
  } finally {
    deadline.stop();
  }
}

async function loadPlace(scheme: string, text: string): Promise<SyncPlace> {
  const load = Object.hasOwn(SYNC_PLACES, scheme) ? SYNC_PLACES[scheme] : undefined;
  if (load !== undefined) return (await load()).syncPlace;
  const have = Object.keys(SYNC_PLACES).map((name) => `${name}://`);
  throw new NaruError(
    'NARU_UNSUPPORTED',
    `${text}: ${scheme}:// has no locks, semaphores and events; places that have: ${have.join(', ')}`,
    { mailbox: text },
  );
}
