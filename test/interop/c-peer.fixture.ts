// The C program of these tests (peer.c): compiled once for a file of tests, outside the sources; and the numbered messages that
// it sends and checks.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PeerProcess, Scene } from '#naru/places/shm/scene.fixture';

// From build/test/interop/ to the package's root.
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const COMPILERS = ['cc', 'gcc', 'clang'];

/** A compiler, or undefined: then there is nothing to test. */
export const compiler: string | undefined = COMPILERS.find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

export class CPeer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'naru-interop-'));
  readonly #program = join(this.#folder, 'peer');

  constructor() {
    const options = ['-O2', '-std=c11', '-Wall', '-Wextra', '-Werror', '-I', join(ROOT, 'interop')];
    const source = join(ROOT, 'test/interop/peer.c');
    const { status, stderr } = spawnSync(compiler ?? 'cc', [...options, '-o', this.#program, source], {
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
  }

  /** Starts it in a role. */
  start(scene: Scene, ...words: readonly (string | number)[]): PeerProcess {
    return scene.run([this.#program, ...words.map(String)]);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Message `sequence` of producer `id`: 8 bytes that say so, and up to `more` - 1 others. As in peer.c. */
export function numberedBody(id: number, sequence: number, more: number): Uint8Array {
  const body = new Uint8Array(8 + ((sequence * 7919) % more));
  const view = new DataView(body.buffer);
  view.setUint32(0, id, true);
  view.setUint32(4, sequence, true);
  for (let i = 8; i < body.length; i += 1) body[i] = sequence + i;
  return body;
}

/** The reverse. @throws when it is not what was sent */
export function readNumberedBody(body: Uint8Array, more: number): { id: number; sequence: number } {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const [id, sequence] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (body.length !== 8 + ((sequence * 7919) % more))
    throw new Error(`message ${sequence} has ${body.length} bytes`);
  for (let i = 8; i < body.length; i += 1)
    if (body[i] !== ((sequence + i) & 0xff)) throw new Error(`message ${sequence} is damaged at ${i}`);
  return { id, sequence };
}

/** What peer.c says about messages 0 to `count` - 1. */
export function sumLine(id: number, count: number): string {
  return `sum ${id} ${(count * (count - 1)) / 2}`;
}
