// Which processes have shared objects open or mapped, from /proc/<pid>/fd and /proc/<pid>/maps: proc_pid_fd(5), proc_pid_maps(5). Nothing
// is opened but files of /proc. Only what the user may look at, in this IPC namespace; nothing is said about the rest.

import { readdirSync, readFileSync, readlinkSync, statfsSync, statSync } from 'node:fs';

/** What a process does with an object. */
export type AttachmentKind = 'reads' | 'writes' | 'reads and writes' | 'maps';

export interface Attachment {
  readonly pid: number;
  readonly how: AttachmentKind;
}

/** A FIFO that somebody has open, by a path that leads to it here, too. */
export interface OpenFifo {
  readonly path: string;
  readonly attached: readonly Attachment[];
}

/** Everything that was found in one look. */
export interface Attachments {
  /** False when there are processes that could not be looked at. */
  readonly isComplete: boolean;
  /** Who has a file of /dev/shm open or mapped. */
  ofFile(path: string): readonly Attachment[];
  /** Who has a System V segment attached, by its id. */
  ofSegment(id: number): readonly Attachment[];
  /** POSIX queues that somebody has open, by their names (with the slash). */
  readonly queues: ReadonlyMap<string, readonly Attachment[]>;
  readonly fifos: readonly OpenFifo[];
}

/** statfs(2) of the file system that POSIX queues are in. */
const MQUEUE_MAGIC = 0x19800202;
const S_IFMT = 0o170000;
const S_IFIFO = 0o010000;

/** Looks at every process once. */
export function findAttachments(): Attachments {
  const search = new Search();
  for (const pid of readdirSync('/proc')) if (/^\d+$/.test(pid)) search.look(Number(pid));
  return search;
}

class Search implements Attachments {
  readonly queues = new Map<string, Attachment[]>();
  isComplete = true;
  readonly #files = new Map<string, Attachment[]>();
  readonly #segments = new Map<number, Attachment[]>();
  readonly #fifos = new Map<string, OpenFifo & { readonly attached: Attachment[] }>();
  readonly #ownIpc = linkOf('/proc/self/ns/ipc');

  get fifos(): readonly OpenFifo[] {
    return [...this.#fifos.values()];
  }

  ofFile(path: string): readonly Attachment[] {
    const stat = statSync(path, { throwIfNoEntry: false });
    return stat === undefined ? [] : (this.#files.get(fileKey(stat.dev, stat.ino)) ?? []);
  }

  ofSegment(id: number): readonly Attachment[] {
    return this.#segments.get(id) ?? [];
  }

  look(pid: number): void {
    const folder = `/proc/${pid}`;
    let descriptors: string[];
    let maps: string;
    try {
      descriptors = readdirSync(`${folder}/fd`);
      maps = readFileSync(`${folder}/maps`, 'latin1');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // It has ended meanwhile, or it may not be looked at.
      if (code === 'EACCES' || code === 'EPERM') this.isComplete = false;
      return;
    }
    // Queues and segments of the same name or id are others in another IPC namespace: ipc_namespaces(7).
    const sharesIpc = linkOf(`${folder}/ns/ipc`) === this.#ownIpc;
    for (const descriptor of descriptors)
      this.#lookAtDescriptor(pid, `${folder}/fd/${descriptor}`, sharesIpc);
    for (const line of maps.split('\n')) this.#lookAtMapping(pid, line, sharesIpc);
  }

  #lookAtDescriptor(pid: number, path: string, sharesIpc: boolean): void {
    const target = linkOf(path);
    // Sockets, anonymous pipes and the like have no path; devices are shared by everybody.
    if (target === undefined || !target.startsWith('/') || /^\/(dev\/(?!shm\/)|proc\/|sys\/)/.test(target))
      return;
    try {
      const stat = statSync(path);
      if ((stat.mode & S_IFMT) === S_IFIFO) return this.#addFifo(pid, path, target, stat);
      if (target.startsWith('/dev/shm/')) {
        add(this.#files, fileKey(stat.dev, stat.ino), { pid, how: accessOf(path) });
      } else if (sharesIpc && target.lastIndexOf('/') === 0 && statfsSync(path).type === MQUEUE_MAGIC) {
        add(this.queues, target.replace(/ \(deleted\)$/, ''), { pid, how: accessOf(path) });
      }
    } catch {
      // Closed in this moment.
    }
  }

  #addFifo(
    pid: number,
    path: string,
    target: string,
    stat: { readonly dev: number; readonly ino: number },
  ): void {
    const here = statSync(target, { throwIfNoEntry: false });
    if (here === undefined || here.dev !== stat.dev || here.ino !== stat.ino) return;
    const key = fileKey(stat.dev, stat.ino);
    const fifo = this.#fifos.get(key) ?? { path: target, attached: [] };
    merge(fifo.attached, { pid, how: accessOf(path) });
    this.#fifos.set(key, fifo);
  }

  /** "7f…-7f… rw-s 00000000 00:1a 131  /dev/shm/jobs": of a System V segment the inode is the id. */
  #lookAtMapping(pid: number, line: string, sharesIpc: boolean): void {
    const found = /^\S+ \S+ \S+ ([0-9a-f]+):([0-9a-f]+) (\d+) +(\/dev\/shm\/|\/SYSV[0-9a-f]{8})/.exec(line);
    if (found === null) return;
    const [, major = '', minor = '', inode = '', what = ''] = found;
    if (what.startsWith('/SYSV')) {
      if (sharesIpc) addOnce(this.#segments, Number(inode), pid);
    } else {
      addOnce(this.#files, `${Number.parseInt(major, 16)}:${Number.parseInt(minor, 16)}:${inode}`, pid);
    }
  }
}

function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** As maps writes it, but decimal: makedev(3). */
function fileKey(device: number, inode: number): string {
  const major = ((device >>> 8) & 0xfff) + Math.floor(device / 2 ** 32) * 2 ** 12;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  return `${major}:${minor}:${inode}`;
}

/** proc_pid_fdinfo(5): the access mode is in the lowest two bits of the flags. */
function accessOf(path: string): AttachmentKind {
  const flags =
    /^flags:\s+0*(\d+)/m.exec(readFileSync(path.replace('/fd/', '/fdinfo/'), 'latin1'))?.[1] ?? '0';
  return (['reads', 'writes', 'reads and writes'] as const)[Number.parseInt(flags, 8) & 3] ?? 'reads';
}

/** One entry for each process, however many descriptors it has. */
function add<K>(map: Map<K, Attachment[]>, key: K, attachment: Attachment): void {
  const known = map.get(key);
  if (known === undefined) map.set(key, [attachment]);
  else merge(known, attachment);
}

function merge(known: Attachment[], attachment: Attachment): void {
  const at = known.findIndex(({ pid }) => pid === attachment.pid);
  const before = known[at]?.how;
  if (before === undefined) known.push(attachment);
  else if (before !== attachment.how && before !== 'maps') {
    known[at] = { pid: attachment.pid, how: 'reads and writes' };
  }
}

/** Who maps an object has had it open as a rule; once is enough to say. */
function addOnce<K>(map: Map<K, Attachment[]>, key: K, pid: number): void {
  const known = map.get(key) ?? [];
  map.set(key, [...known.filter((one) => one.pid !== pid), { pid, how: 'maps' }]);
}
