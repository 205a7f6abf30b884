// spawn(): a child process or a worker with live handles. Joins src/spawn/ with the module that runs in the child.

import type { Shareable } from './mailbox/shared-handle.ts';
import type { Child } from './spawn/child.ts';
import type { SpawnOptions } from './spawn/options.ts';

/**
 * Starts a module in a child process or a worker, with live handles to what is shared.
 *
 * The module's default export is called with the handles (by name) and `{ data, signal, restarts }`; when it returns, its handles
 * are closed and the child ends. A child that throws, exits with another code than 0 or is killed has crashed: that is an event,
 * and with `restart` it is started again. It ends with its parent, also when that is killed.
 *
 * @param module   a file URL (`new URL('./child.js', import.meta.url)`) or an absolute path
 * @returns the child, once its handles are open and its module is loaded
 * @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED (a handle that lives in one thread)
 * @throws NARU_TIMEOUT    it was not ready within `timeoutMs` (10 s)
 * @throws NARU_PEER_GONE  it ended before it was ready; else what its module, or opening its handles, threw
 */
export async function spawn<S extends Readonly<Record<string, Shareable>>>(
  module: string | URL,
  options: SpawnOptions<S> = {},
): Promise<Child> {
  const [{ Child: Kept }, { readSettings }] = await Promise.all([
    import('./spawn/child.ts'),
    import('./spawn/options.ts'),
  ]);
  options.signal?.throwIfAborted();
  const child = new Kept(readSettings(module, options), new URL('./spawned.js', import.meta.url));
  const { signal } = options;
  const stop = (): void => void child.stop();
  signal?.addEventListener('abort', stop, { once: true });
  void child.exited.then(() => signal?.removeEventListener('abort', stop));
  await child.start();
  return child;
}
