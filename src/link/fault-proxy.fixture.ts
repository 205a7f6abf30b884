// A TCP proxy that misbehaves on request, for tests: it cuts the stream into single bytes, holds it up, stalls it,
// or resets it, also in the middle of what was being written.

import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

export class FaultProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** Pass on so many bytes at a time; 0 = as they come. */
  pieceBytes = 0;
  /** Passes everything on so much later, in milliseconds. */
  delayMs = 0;
  /** Passes so many bytes of each connection on to the far side, and resets it there. */
  cutAfterBytes: number = Number.POSITIVE_INFINITY;
  /** Keeps connections open and passes nothing on. */
  isStalled = false;
  /** Stalls when the far side has said something so many times more. */
  stallAfter: number = Number.POSITIVE_INFINITY;
  /** Takes no connections. */
  isDown = false;
  connections = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async to(port: number): Promise<FaultProxy> {
    const server = createServer();
    const proxy = new FaultProxy(server);
    server.on('connection', (near) => proxy.#onConnection(near, port));
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** The same URL, through this proxy. */
  through(url: string): string {
    const address = new URL(url);
    address.port = String(this.port);
    return address.href;
  }

  /** Resets every connection. */
  reset(): void {
    for (const [near, far] of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    this.#pairs.clear();
  }

  async close(): Promise<void> {
    // Not reset(): that of a socket which is being shut down fails in Node, and its handle would keep the process alive.
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#pairs.clear();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }

  #onConnection(near: Socket, port: number): void {
    if (this.isDown) {
      near.resetAndDestroy();
      return;
    }
    this.connections += 1;
    const far = connect(port, '127.0.0.1');
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    near.setNoDelay(true);
    far.setNoDelay(true);
    this.#pass(near, far, true);
    this.#pass(far, near, false);
    far.on('data', () => {
      this.stallAfter -= 1;
      this.isStalled ||= this.stallAfter <= 0;
    });
  }

  #pass(from: Socket, to: Socket, isToFar: boolean): void {
    let passed = 0;
    from.on('data', (bytes: Buffer) => {
      if (this.isStalled) return;
      const left = isToFar ? this.cutAfterBytes - passed : Number.POSITIVE_INFINITY;
      passed += bytes.length;
      this.#later(() => this.#write(to, left < bytes.length ? bytes.subarray(0, Math.max(0, left)) : bytes));
      if (left < bytes.length) this.#later(() => to.end(() => from.resetAndDestroy()));
    });
    from.on('end', () => this.#later(() => to.end()));
    from.on('error', () => to.destroy());
    from.on('close', () => this.#later(() => to.destroy()));
  }

  #write(to: Socket, bytes: Buffer): void {
    if (this.pieceBytes === 0) to.write(bytes);
    else {
      for (let at = 0; at < bytes.length; at += this.pieceBytes)
        to.write(bytes.subarray(at, at + this.pieceBytes));
    }
  }

  /** In the order in which it was asked for. */
  #later(act: () => void): void {
    if (this.delayMs === 0) act();
    else setTimeout(act, this.delayMs);
  }
}
