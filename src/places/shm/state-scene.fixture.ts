// The scene of the tests of values, arrays and maps: a runtime folder of its own, children that play peers and are always reaped, and
// handles whose driver calls a test at every step.

import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach } from 'vitest';
import { resolveCodec } from '../../mailbox/codec.ts';
import { parseUrl } from '../../mailbox/parse-url.ts';
import { defaultEdges } from '../../mapped-ring/edges.ts';
import { parseElement, type ValueCode } from '../../state/elements.ts';
import { SharedMap } from '../../state/map.ts';
import { MapValues } from '../../state/map-values.ts';
import { SharedValue } from '../../state/value.ts';
import { openShmCells, openShmMap } from './state.ts';
import { STATE_FOLDER } from './state-site.ts';

const PEER = fileURLToPath(new URL('./state-peer.fixture.js', import.meta.url));

/** A child that plays a peer. */
export interface StatePeer {
  readonly child: ChildProcess;
  /** Lines it printed so far. */
  readonly lines: string[];
  /** Resolves when it has printed this line. */
  said(line: string): Promise<void>;
  /** Exit code or signal. */
  readonly exit: Promise<number | string>;
}

export class StateScene {
  readonly folder: string = mkdtempSync('/dev/shm/naru-test-');
  readonly #before = process.env['NARU_RUNTIME_DIR'];
  readonly #children = new Set<ChildProcess>();

  constructor() {
    process.env['NARU_RUNTIME_DIR'] = this.folder;
  }

  /** What lies in the folder of values, arrays and maps. */
  get objects(): string[] {
    const folder = join(this.folder, STATE_FOLDER);
    return existsSync(folder) ? readdirSync(folder) : [];
  }

  /** Where the files of an object are. */
  path(name: string): string {
    return join(this.folder, STATE_FOLDER, name);
  }

  /** Starts a peer. @param orders  what state-peer.fixture.ts understands */
  start(orders: object): StatePeer {
    const child = spawn(process.execPath, [PEER, JSON.stringify(orders)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#children.add(child);
    const lines: string[] = [];
    const waiting = new Map<string, () => void>();
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      waiting.get(line)?.();
    });
    const exit = new Promise<number | string>((resolve) => {
      child.on('close', (code, signal) => {
        this.#children.delete(child);
        resolve(signal ?? code ?? -1);
      });
    });
    const said = (line: string): Promise<void> =>
      new Promise((resolve, reject) => {
        if (lines.includes(line)) resolve();
        waiting.set(line, resolve);
        exit
          .then((code) => reject(new Error(`the peer ended with ${code} before it said "${line}"`)))
          .catch(() => undefined);
      });
    return { child, lines, said, exit };
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.all(
      [...this.#children].map((child) => new Promise((resolve) => child.on('close', resolve))),
    );
    rmSync(this.folder, { recursive: true, force: true });
    if (this.#before === undefined) delete process.env['NARU_RUNTIME_DIR'];
    else process.env['NARU_RUNTIME_DIR'] = this.#before;
  }
}

/** A scene for each test. */
export function stateSceneForEach(give: (scene: StateScene) => void): void {
  let scene: StateScene;
  beforeEach(() => {
    scene = new StateScene();
    give(scene);
  });
  afterEach(() => scene.end());
}

/** A map whose driver calls `failpoint` at every step. */
export async function mapWith(url: string, failpoint: (name: string) => void): Promise<SharedMap> {
  const { parts, stated } = parseUrl(url);
  const driver = await openShmMap(
    parts,
    {
      create: stated.create,
      owner: stated.owner,
      survives: undefined,
      capacityBytes: stated.capacityBytes,
      maxEntries: undefined,
      maxValueBytes: undefined,
      key: undefined,
      signal: AbortSignal.timeout(20_000),
    },
    { ...defaultEdges('shm://'), failpoint },
  );
  return new SharedMap({
    driver,
    values: new MapValues(driver.facts, resolveCodec('json'), undefined),
    ttlMs: undefined,
    emulate: [],
  });
}

/** A value whose driver calls `failpoint` at every step. */
export async function valueWith<C extends ValueCode>(
  url: string,
  type: C,
  failpoint: (name: string) => void,
): Promise<SharedValue<C>> {
  const { parts, stated } = parseUrl(url);
  return new SharedValue<C>(
    await openShmCells(
      parts,
      {
        type: 'value',
        element: parseElement(type, url),
        length: undefined,
        create: stated.create,
        owner: stated.owner,
        signal: AbortSignal.timeout(20_000),
      },
      { ...defaultEdges('shm://'), failpoint },
    ),
  );
}
