// A page in a browser, for tests: opened, asked to run JavaScript, closed; and a server of the files it loads. Speaks the DevTools
// protocol over the package ws.

import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { loadWs, type WebSocket } from '../places/ws/client.ts';

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly error?: { readonly message: string };
  readonly result?: Record<string, unknown>;
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: {
    readonly exception?: { readonly description?: string };
    readonly text: string;
  };
}

export class Page {
  readonly #browser: string;
  readonly #target: string;
  readonly #socket: WebSocket;
  readonly #asked = new Map<number, (answer: Answer) => void>();
  /** What went wrong in the page that nobody caught. */
  readonly errors: string[] = [];
  #count = 0;

  private constructor(browser: string, target: string, socket: WebSocket) {
    this.#browser = browser;
    this.#target = target;
    this.#socket = socket;
    socket.on('message', (data) => this.#onMessage(JSON.parse(String(data)) as Answer));
  }

  /** @param browser  where its DevTools are */
  static async open(browser: string, url: string): Promise<Page> {
    const made = await fetch(`${browser}/json/new?about:blank`, { method: 'PUT' });
    const target = (await made.json()) as { id: string; webSocketDebuggerUrl: string };
    const { WebSocket } = await loadWs();
    const socket = new WebSocket(target.webSocketDebuggerUrl, { perMessageDeflate: false });
    await new Promise<void>((resolve, reject) => {
      socket.on('open', resolve);
      socket.on('error', reject);
    });
    const page = new Page(browser, target.id, socket);
    await page.command('Runtime.enable', {});
    await page.command('Page.enable', {});
    await page.go(url);
    return page;
  }

  async go(url: string): Promise<void> {
    await this.command('Page.navigate', { url });
    for (;;) {
      const state = await this.run(`location.href === ${JSON.stringify(url)} && document.readyState`).catch(
        () => '',
      );
      if (state === 'complete') return;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Runs an expression, waits for its promise. @returns its value, which JSON can carry */
  async run<T = unknown>(expression: string): Promise<T> {
    const params = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await this.command(
      'Runtime.evaluate',
      params,
    )) as unknown as Evaluated;
    if (exceptionDetails === undefined) return result.value as T;
    throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  }

  /** Bytes of its heap and of its buffers, after a collection. */
  async heapBytes(): Promise<number> {
    await this.command('HeapProfiler.collectGarbage', {});
    const { usedSize, backingStorageSize = 0 } = await this.command('Runtime.getHeapUsage', {});
    return Number(usedSize) + Number(backingStorageSize);
  }

  async command(method: string, params: object): Promise<Record<string, unknown>> {
    this.#count += 1;
    const id = this.#count;
    const answer = await new Promise<Answer>((resolve) => {
      this.#asked.set(id, resolve);
      this.#socket.send(Buffer.from(JSON.stringify({ id, method, params })), { binary: false });
    });
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result ?? {};
  }

  async close(): Promise<void> {
    await fetch(`${this.#browser}/json/close/${this.#target}`);
    this.#socket.terminate();
  }

  #onMessage(message: Answer): void {
    if (message.id !== undefined) {
      this.#asked.get(message.id)?.(message);
      this.#asked.delete(message.id);
    } else if (message.method === 'Runtime.exceptionThrown') {
      const details = message.params?.['exceptionDetails'] as Evaluated['exceptionDetails'];
      this.errors.push(details?.exception?.description ?? details?.text ?? 'an error');
    }
  }
}

/** A server of files: what a path leads to is a file, or the text of a page. */
export class Site {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(files: Readonly<Record<string, URL | string>>): Promise<Site> {
    const server = createServer((request, response) => {
      const file = files[request.url?.split('?')[0] ?? ''];
      const type = request.url?.endsWith('.js') === true ? 'text/javascript' : 'text/html; charset=utf-8';
      const send = (status: number, body: string | Buffer): void => {
        response.writeHead(status, { 'content-type': type }).end(body);
      };
      if (file === undefined) send(404, '');
      else if (typeof file === 'string') send(200, file);
      else
        readFile(file).then(
          (body) => send(200, body),
          () => send(500, ''),
        );
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new Site(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** @param host  every name leads here */
  url(path: string, host = '127.0.0.1'): string {
    return `http://${host}:${this.port}${path}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
  }
}
