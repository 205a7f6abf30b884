// Which pages may connect. A browser lets a page open a WebSocket to anywhere and says whose page it is (Origin, RFC 6454); programs
// say nothing and are not asked. No I/O.

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])$/;

/**
 * Whether a page may connect: one of this machine, one of the host it connects to, or one that the listener names.
 *
 * @param origin    what the browser says; undefined from programs
 * @param asked     host and port that the client wants to reach (the Host header)
 * @param listened  the host of the listener's URL
 * @param allowed   origins that the listener names; '*' = every one
 */
export function mayConnect(
  origin: string | undefined,
  asked: string | undefined,
  listened: string,
  allowed: readonly string[],
): boolean {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  const page = hostOf(/^https?:\/\/(.+)$/.exec(origin)?.[1]);
  if (page === undefined) return false;
  if (LOOPBACK.test(page)) return true;
  // A name proves nothing by being asked for: whoever owns it can let it lead to this machine (DNS rebinding). An address does.
  return page === hostOf(asked) && (ADDRESS.test(page) || page === listened.toLowerCase());
}

function hostOf(hostAndPort: string | undefined): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[^:/?#@]+)(:\d{1,5})?$/.exec(hostAndPort?.toLowerCase() ?? '')?.[1];
}
