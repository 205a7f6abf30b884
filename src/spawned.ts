// The first module of every child that spawn() starts: joins its runtime with the functions that open handles.

import type { SharedHandle } from './mailbox/shared-handle.ts';
import { runChild } from './spawn/run.ts';

async function openHandle({ kind, url, options }: SharedHandle): Promise<{ close(): unknown }> {
  if (kind === 'mailbox') return (await import('./open.ts')).open(url, options);
  if (kind === 'lock' || kind === 'semaphore' || kind === 'event') {
    const { openEvent, openLock, openSemaphore } = await import('./open-sync.ts');
    return { lock: openLock, semaphore: openSemaphore, event: openEvent }[kind](url, options);
  }
  const { openArray, openList, openMap, openValue } = await import('./open-state.ts');
  if (kind === 'map') return openMap(url, options);
  if (kind === 'list') return openList(url, options);
  const { type, ...others } = options;
  return kind === 'value'
    ? openValue(url, type as 'i32', others)
    : openArray(url, type as 'i32', undefined, others);
}

runChild(openHandle);
