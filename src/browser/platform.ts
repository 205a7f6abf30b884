// What is used of the browser, as interfaces of our own: the package is compiled without the types of the DOM. Node from version 22 on
// has the same, so this module runs there, too.

/** A WebSocket as every browser has it. */
export interface BrowserSocket {
  binaryType: string;
  readonly bufferedAmount: number;
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void;
  addEventListener(type: 'message', listener: (event: { readonly data: unknown }) => void): void;
  send(data: Uint8Array): void;
  close(): void;
}

interface Platform {
  readonly WebSocket?: new (url: string) => BrowserSocket;
  reportError?(error: unknown): void;
  addEventListener?(type: 'online', listener: () => void): void;
  removeEventListener?(type: 'online', listener: () => void): void;
}

const platform = globalThis as unknown as Platform;

/** @throws TypeError  there are no WebSockets here; SyntaxError  the URL is none, or this page may not use it */
export function newSocket(url: string): BrowserSocket {
  if (platform.WebSocket === undefined) throw new TypeError('there are no WebSockets here');
  return new platform.WebSocket(url);
}

/** Calls back when the network is there again. @returns a function that stops listening */
export function whenOnline(listener: () => void): () => void {
  platform.addEventListener?.('online', listener);
  return () => platform.removeEventListener?.('online', listener);
}

/** Shows an error that nobody hears, as an uncaught one is shown. */
export function report(error: unknown): void {
  if (platform.reportError !== undefined) platform.reportError(error);
  else {
    queueMicrotask(() => {
      throw error;
    });
  }
}

/** An identity that nobody else has. */
export function newIdentity(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `browser-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}
