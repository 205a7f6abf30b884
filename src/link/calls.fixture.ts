// What tests of listeners and those who connect ask again and again: how a call ended, and a port that nobody has. Tests only.

import { type AddressInfo, createServer } from 'node:net';

/** The code of the error that a call ended with; the error where it has none, and what came back where it ended well. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    (value) => ({ succeeded: value }),
    (error: unknown) => (error as { code?: string }).code ?? error,
  );
}

/** A port that was free a moment ago: for a listener that is to come later. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => {
    server.close(resolve);
  });
  return port;
}
