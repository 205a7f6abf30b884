// What the tests of this folder share: mailboxes that are closed with their test, and programs at the other end: Naru in a process
// of its own, C with libzmq, Python with pyzmq.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import type { Mailbox } from '../../mailbox/mailbox.ts';
import type { OpenOptions } from '../../mailbox/options.ts';
import { type Child, Stage } from '../../native/stage.fixture.ts';
import { open } from '../../open.ts';

const NARU = new URL('../../index.js', import.meta.url).href;
/** Debian's: the one that python3-zmq is for. */
const PYTHON = '/usr/bin/python3';
const PROLOGUE = String.raw`
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>
static void fail(const char *what) { fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno())); exit(1); }
static void say(const char *line) { printf("%s\n", line); fflush(stdout); }
/* One part as text. */
static int hear(void *socket, char *text, int size) {
  const int length = zmq_recv(socket, text, size - 1, 0);
  if (length < 0) fail("zmq_recv");
  text[length < size ? length : size - 1] = 0;
  return length;
}
static void tell(void *socket, const char *text) { if (zmq_send(socket, text, strlen(text), 0) < 0) fail("zmq_send"); }
`;

export class ZmqStage {
  readonly #stage = new Stage();
  readonly #mailboxes: Mailbox[] = [];

  path(name: string): string {
    return this.#stage.path(name);
  }

  shell(command: string): Child {
    return this.#stage.start('sh', ['-c', command]);
  }

  async open(url: string, options: OpenOptions = {}): Promise<Mailbox> {
    const mailbox: Mailbox = await open(url, { codec: 'text', ...options });
    this.#mailboxes.push(mailbox);
    return mailbox;
  }

  /** Naru in another process: `open` and `url` are there. */
  naru(url: string, body: string): Child {
    const program = `import { open } from '${NARU}';\nconst url = ${JSON.stringify(url)};\n${body}`;
    return this.#stage.start(process.execPath, ['--input-type=module', '-e', program]);
  }

  /** The body of a `main` that has a context `context` and the endpoint `argv[1]`. */
  c(name: string, body: string, endpoint: string): Child {
    const [source, program] = [this.path(`${name}.c`), this.path(name)];
    const text = `${PROLOGUE}\nint main(int argc, char **argv) {\n(void)argc;\nvoid *context = zmq_ctx_new();\n${body}\nzmq_ctx_term(context);\nreturn 0;\n}\n`;
    writeFileSync(source, text);
    execFileSync('cc', ['-std=gnu11', '-O1', '-o', program, source, '-lzmq'], { stdio: 'pipe' });
    return this.#stage.start(program, [endpoint]);
  }

  /** `context` and `endpoint` are there. */
  python(body: string, endpoint: string): Child {
    const head = 'import sys, zmq\ncontext = zmq.Context()\nendpoint = sys.argv[1]\n';
    return this.#stage.start(PYTHON, ['-u', '-c', head + body, endpoint]);
  }

  async end(): Promise<void> {
    await Promise.all(this.#mailboxes.map((mailbox) => mailbox.close({ flushMs: 0 })));
    this.#stage.close();
  }
}

/** `tcp://host:port` of a mailbox. */
export function endpointOf({ address }: Mailbox): string {
  return (address.split('?')[0] ?? '').replace('zmq+ipc://', 'ipc://').replace('zmq://', 'tcp://');
}

/** Messages as text, so many of them. */
export async function texts(mailbox: Mailbox, count: number): Promise<unknown[]> {
  const got: unknown[] = [];
  while (got.length < count) got.push((await mailbox.receive({ timeoutMs: 8_000 })).data);
  return got;
}

/** Looks until it holds. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`still waiting after 10 s: ${what}`);
    await pause(5);
  }
}

/** The code of the error that a call ends with. */
export async function codeOf(act: () => unknown): Promise<string> {
  return (await errorOf(act)).code;
}

/** The error that a call ends with. */
export async function errorOf(act: () => unknown): Promise<Error & { readonly code: string }> {
  try {
    await act();
  } catch (error) {
    return error as Error & { readonly code: string };
  }
  throw new Error('it was expected to fail');
}

/** Whole numbers as text. */
export const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));
