// A disk in memory that forgets what was not synced: for the tests of the log and of whoever uses it. At a power cut every sector
// that was written and not synced is kept, lost, torn in two or trashed; names that the folder was not synced for come and go.

import { NaruError } from '../errors/index.ts';
import type { Disk, DiskFile } from './disk.ts';
import { SECTOR_BYTES } from './format.ts';

export class SimError extends Error {
  readonly code: string;

  constructor(code: string, what: string) {
    super(`${code}: ${what}`);
    this.code = code;
  }
}

/** A source of randomness that repeats: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a file is: as programs see it, and as the disk has it. */
class Inode {
  now: Uint8Array = new Uint8Array();
  disk: Uint8Array = new Uint8Array();
  /** Sectors that were written and not synced. */
  readonly dirty: Set<number> = new Set();
  allocated = 0;

  resize(bytes: number): void {
    const next = new Uint8Array(bytes);
    next.set(this.now.subarray(0, bytes));
    for (
      let at = Math.min(bytes, this.now.length);
      at < Math.max(bytes, this.now.length);
      at += SECTOR_BYTES
    ) {
      this.dirty.add(Math.floor(at / SECTOR_BYTES));
    }
    this.now = next;
  }

  write(part: Uint8Array, offset: number): void {
    if (offset + part.length > this.now.length) this.resize(offset + part.length);
    this.now.set(part, offset);
    for (let at = Math.floor(offset / SECTOR_BYTES); at * SECTOR_BYTES < offset + part.length; at += 1)
      this.dirty.add(at);
  }

  sync(): void {
    if (this.dirty.size === 0 && this.disk.length === this.now.length) return;
    const next = new Uint8Array(this.now.length);
    next.set(this.disk.subarray(0, next.length));
    for (const sector of this.dirty) {
      const from = sector * SECTOR_BYTES;
      if (from < next.length) next.set(this.now.subarray(from, from + SECTOR_BYTES), from);
    }
    this.disk = next;
    this.dirty.clear();
  }

  /** What the disk has after a loss of power. */
  cut(random: () => number): Inode {
    const after = new Inode();
    const size = random() < 0.5 ? this.now.length : this.disk.length;
    const bytes = new Uint8Array(size);
    bytes.set(this.disk.subarray(0, size));
    for (const sector of this.dirty) {
      const from = sector * SECTOR_BYTES;
      if (from < size)
        cutSector(
          bytes.subarray(from, from + SECTOR_BYTES),
          this.now.subarray(from, from + SECTOR_BYTES),
          random,
        );
    }
    after.now = bytes;
    after.disk = bytes.slice();
    after.allocated = this.allocated;
    return after;
  }
}

function cutSector(disk: Uint8Array, now: Uint8Array, random: () => number): void {
  const fate = random();
  if (fate < 0.4) return;
  const whole = now.subarray(0, disk.length);
  if (fate < 0.75) disk.set(whole);
  else if (fate < 0.9) disk.set(whole.subarray(0, Math.floor(random() * whole.length)));
  else for (let at = 0; at < disk.length; at += 16) disk.fill(Math.floor(random() * 256), at, at + 16);
}

type FolderChange =
  | { readonly kind: 'create'; readonly name: string; readonly inode: Inode }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly inode: Inode }
  | { readonly kind: 'unlink'; readonly name: string };

/** What a test may do at every operation. */
export interface SimFaults {
  /** Called before the operation is done. Throwing is a failure of the operation. */
  before?: ((operation: string, name: string) => void) | undefined;
  /** Called when it has been done. */
  after?: ((operation: string, name: string) => void) | undefined;
}

export class SimDisk implements Disk {
  readonly folder: string = '/simulated';
  readonly faults: SimFaults = {};
  /** Bytes that files may take together. */
  capacityBytes: number = Infinity;
  /** Nothing is ever synced: what a harness that proves syncs must notice. */
  ignoresSync = false;
  /** Names of the folder only. */
  ignoresFolderSync = false;
  /** Operations so far. */
  operations = 0;
  /** Every operation from now on waits for ever: the power is off. */
  isOff = false;
  #names: Map<string, Inode> = new Map();
  #diskNames: Map<string, Inode> = new Map();
  #changes: FolderChange[] = [];
  #isLocked = false;

  /** The disk as the next start finds it after a loss of power. Also ends everything that runs on this one. */
  cut(random: () => number): SimDisk {
    this.isOff = true;
    const next = new SimDisk();
    next.capacityBytes = this.capacityBytes;
    const names = new Map(this.#diskNames);
    // A journal keeps the order of what happened to names; how far it got is chance.
    const kept = Math.floor(random() * (this.#changes.length + 1));
    for (const change of this.#changes.slice(0, kept)) apply(names, change);
    const twins = new Map<Inode, Inode>();
    for (const [name, inode] of names) {
      const twin = twins.get(inode) ?? inode.cut(random);
      twins.set(inode, twin);
      next.#names.set(name, twin);
    }
    next.#diskNames = new Map(next.#names);
    return next;
  }

  /** The disk as the next start finds it after a kill: everything that was written is there. */
  kill(): SimDisk {
    this.isOff = true;
    const next = new SimDisk();
    next.capacityBytes = this.capacityBytes;
    next.#names = this.#names;
    next.#diskNames = this.#diskNames;
    next.#changes = this.#changes;
    return next;
  }

  /** A copy, to change bytes in. */
  copy(): SimDisk {
    const next = new SimDisk();
    for (const [name, inode] of this.#names) {
      const twin = new Inode();
      twin.now = inode.now.slice();
      twin.disk = inode.now.slice();
      next.#names.set(name, twin);
    }
    next.#diskNames = new Map(next.#names);
    return next;
  }

  /** The bytes of a file: changing them is damage to the disk. */
  bytesOf(name: string): Uint8Array {
    const inode = this.#names.get(name);
    if (inode === undefined) throw new SimError('ENOENT', name);
    return inode.now;
  }

  /** Replaces a file behind everybody's back; with `undefined` takes it away. */
  put(name: string, bytes: Uint8Array | undefined): void {
    if (bytes === undefined) {
      this.#names.delete(name);
      return;
    }
    const inode = new Inode();
    inode.now = bytes.slice();
    inode.disk = bytes.slice();
    this.#names.set(name, inode);
  }

  get names(): readonly string[] {
    return [...this.#names.keys()].sort();
  }

  get usedBytes(): number {
    let bytes = 0;
    for (const inode of new Set(this.#names.values())) bytes += Math.max(inode.allocated, inode.now.length);
    return bytes;
  }

  list(): Promise<readonly string[]> {
    return this.#do('list', '', () => this.names);
  }

  create(name: string): Promise<DiskFile> {
    return this.#do('create', name, () => {
      if (this.#names.has(name)) throw new SimError('EEXIST', name);
      const inode = new Inode();
      this.#change({ kind: 'create', name, inode });
      return this.#file(name, inode);
    });
  }

  open(name: string): Promise<DiskFile> {
    return this.#do('open', name, () => {
      const inode = this.#names.get(name);
      if (inode === undefined) throw new SimError('ENOENT', name);
      return this.#file(name, inode);
    });
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do('rename', to, () => {
      const inode = this.#names.get(from);
      if (inode === undefined) throw new SimError('ENOENT', from);
      this.#change({ kind: 'rename', from, to, inode });
    });
  }

  unlink(name: string): Promise<void> {
    return this.#do('unlink', name, () => {
      if (!this.#names.has(name)) throw new SimError('ENOENT', name);
      this.#change({ kind: 'unlink', name });
    });
  }

  syncFolder(): Promise<void> {
    return this.#do('syncFolder', '', () => {
      if (this.ignoresSync || this.ignoresFolderSync) return;
      for (const change of this.#changes) apply(this.#diskNames, change);
      this.#changes = [];
    });
  }

  lock(): Promise<() => Promise<void>> {
    return this.#do('lock', '', () => {
      if (this.#isLocked) throw new NaruError('NARU_EXISTS', 'another log has this folder');
      this.#isLocked = true;
      return () => {
        this.#isLocked = false;
        return Promise.resolve();
      };
    });
  }

  #change(change: FolderChange): void {
    apply(this.#names, change);
    this.#changes.push(change);
  }

  #file(name: string, inode: Inode): DiskFile {
    const grow = (bytes: number): void => {
      const more =
        Math.max(bytes, inode.allocated, inode.now.length) - Math.max(inode.allocated, inode.now.length);
      if (this.usedBytes + more > this.capacityBytes) throw new SimError('ENOSPC', name);
    };
    return {
      write: (parts, offset) =>
        this.#do('write', name, () => {
          let at = offset;
          for (const part of parts) at += part.length;
          grow(at);
          at = offset;
          for (const part of parts) {
            inode.write(part, at);
            at += part.length;
          }
        }),
      read: (into, offset) =>
        this.#do('read', name, () => {
          const part = inode.now.subarray(offset, offset + into.length);
          into.set(part);
          return part.length;
        }),
      sync: () =>
        this.#do('sync', name, () => {
          if (!this.ignoresSync) inode.sync();
        }),
      truncate: (bytes) => this.#do('truncate', name, () => inode.resize(bytes)),
      allocate: (bytes) =>
        this.#do('allocate', name, () => {
          grow(bytes);
          inode.allocated = Math.max(inode.allocated, bytes);
          if (bytes > inode.now.length) inode.resize(bytes);
        }),
      size: () => this.#do('size', name, () => inode.now.length),
      close: () => Promise.resolve(),
    };
  }

  /** The pages of a file that a failed sync leaves: clean for the system, not on the disk. What fsync(2) does on Linux. */
  forgetDirty(name: string): void {
    this.#names.get(name)?.dirty.clear();
  }

  async #do<T>(operation: string, name: string, work: () => T): Promise<T> {
    await Promise.resolve();
    if (this.isOff) return new Promise<never>(() => undefined);
    this.operations += 1;
    this.faults.before?.(operation, name);
    const result = work();
    this.faults.after?.(operation, name);
    if (this.isOff) return new Promise<never>(() => undefined);
    return result;
  }
}

function apply(names: Map<string, Inode>, change: FolderChange): void {
  if (change.kind === 'create') names.set(change.name, change.inode);
  else if (change.kind === 'unlink') names.delete(change.name);
  else {
    names.delete(change.from);
    names.set(change.to, change.inode);
  }
}
