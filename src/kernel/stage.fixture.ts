// What the tests of the queues share: C programs compiled on the spot, kernel objects that go with their test, and the kernel's own
// view of who sleeps where.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Child, Stage, threadsOf } from '../native/stage.fixture.ts';

/** Includes that all the C programs of the tests begin with. */
const PROLOGUE = String.raw`
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
struct message { long type; char text[8192]; };
static void fail(const char *what) { fprintf(stderr, "%s: %s\n", what, strerror(errno)); exit(1); }
static void say(const char *line) { printf("%s\n", line); fflush(stdout); }
`;

/** A stage with a C compiler; everything goes with `close()`, however the test ends. */
export class KernelStage extends Stage {
  readonly #folder = mkdtempSync(join(tmpdir(), 'naru-kernel-'));
  readonly #cleanups: (() => unknown)[] = [];

  /** Compiles the body of a `main(int argc, char **argv)`. @returns the program's path */
  compile(name: string, body: string): string {
    const source = join(this.#folder, `${name}.c`);
    const program = join(this.#folder, name);
    writeFileSync(
      source,
      `${PROLOGUE}\nint main(int argc, char **argv) {\n(void)argc, (void)argv;\n${body}\nreturn 0;\n}\n`,
    );
    execFileSync('cc', ['-std=gnu11', '-Wall', '-O1', '-o', program, source, '-lrt'], { stdio: 'pipe' });
    return program;
  }

  /** Compiles and starts a C program. */
  c(name: string, body: string, ...args: readonly (string | number)[]): Child {
    return this.start(this.compile(name, body), args.map(String));
  }

  /** Runs when the test ends, the last one first; what it throws is of no interest: the object may be gone. */
  cleanup(act: () => unknown): void {
    this.#cleanups.push(act);
  }

  override close(): void {
    for (const act of this.#cleanups.splice(0).toReversed()) {
      try {
        act();
      } catch {
        // Removed by the test itself.
      }
    }
    rmSync(this.#folder, { recursive: true, force: true });
    super.close();
  }
}

/** True when a C compiler is there. */
export function hasCompiler(): boolean {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** How many threads of a process the kernel lets sleep in this function: /proc/<pid>/task/<tid>/wchan or syscall. */
export function sleepersIn(call: keyof typeof CALLS, pid: number = process.pid): number {
  return threadsOf(pid).filter((thread) => {
    try {
      const [number] = readFileSync(`/proc/${pid}/task/${thread}/syscall`, 'latin1').split(' ');
      return number === CALLS[call][process.arch === 'arm64' ? 1 : 0];
    } catch {
      return false;
    }
  }).length;
}

/** How many threads of a process sleep in sem_timedwait(3): a futex shared with others, with the wall clock. */
export function sleepersInSemTimedWait(pid: number = process.pid): number {
  return threadsOf(pid).filter((thread) => {
    try {
      const [number, , operation] = readFileSync(`/proc/${pid}/task/${thread}/syscall`, 'latin1').split(' ');
      return number === (process.arch === 'arm64' ? '98' : '202') && operation === '0x109';
    } catch {
      return false;
    }
  }).length;
}

/** A name that no other test uses. */
export function uniqueName(): string {
  return `naru-test-${process.pid}-${randomBytes(6).toString('hex')}`;
}

/** A key of System V objects that nobody else uses. */
export function uniqueKey(): number {
  return 0x4e00_0000 + randomBytes(3).readUIntBE(0, 3);
}

/** System call numbers on x64 and arm64. */
const CALLS = {
  msgsnd: ['69', '189'],
  msgrcv: ['70', '188'],
  semtimedop: ['220', '192'],
  mqTimedSend: ['242', '182'],
  mqTimedReceive: ['243', '183'],
  openat: ['257', '56'],
} as const;

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
