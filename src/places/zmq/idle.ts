// Lets a process end that has nothing to do. What zeromq.js waits with keeps the event loop alive and cannot be told not to, so
// that a handle nobody uses would keep its process for ever. Here one looks now and then whether anything else keeps it; when
// nothing does, and no call waits, the sockets stop listening to their own news until they are used again.

/** A handle that may have to rest. */
export interface Sleeper {
  /** A call of the user waits. */
  readonly isHeld: boolean;
  /** Stops everything that keeps the event loop. Woken by whatever uses the handle next. */
  rest(): void;
}

/** How often to look, in milliseconds. */
const LOOK_MS = 250;

const sleepers = new Set<Sleeper>();
let timer: NodeJS.Timeout | undefined;

/** @returns what ends it */
export function watchIdle(sleeper: Sleeper): () => void {
  sleepers.add(sleeper);
  timer ??= setInterval(look, LOOK_MS).unref();
  return () => {
    sleepers.delete(sleeper);
    if (sleepers.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Whether the process has anything to wait for: a call on one of these handles, or anything of its own. */
export function isNeeded(): boolean {
  for (const { isHeld } of sleepers) if (isHeld) return true;
  return process.getActiveResourcesInfo().length > writtenStreams();
}

/** Standard output and error: they are counted among what keeps a process from their first use on, and do not. */
function writtenStreams(): number {
  // Undocumented; without it, a process whose output is a pipe ends when its handles are closed.
  const { _getActiveHandles: handles } = process as { readonly _getActiveHandles?: () => unknown[] };
  const all = (handles?.() ?? []) as { readonly _isStdio?: boolean; readonly fd?: number }[];
  return all.filter(({ _isStdio, fd }) => _isStdio === true && fd !== 0).length;
}

function look(): void {
  if (isNeeded()) return;
  for (const sleeper of sleepers) sleeper.rest();
}
