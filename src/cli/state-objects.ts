// Values, arrays and maps as naru ls and naru inspect show them: in shared memory, in mapped files, and maps on engines.

import { engineMapOf } from './engine-map.ts';
import type { Ending } from './exit.ts';
import type { ListedState } from '../mapped-state/listing.ts';
import type { PlaceUrl } from '../mailbox/place.ts';
import { formatBytes, formatCount, print, printJson, table } from './output.ts';
import { peersText, type Shown } from './shown.ts';
import type { Target } from './url.ts';

type Row = [what: string, value: string];

/** Those of shared memory, and those in mapped files that somebody has open. */
export async function listStateObjects(): Promise<Shown[]> {
  const [{ mailboxFolders }, { listStates }, { listMappedStates }] = await Promise.all([
    import('../places/shm/index.ts'),
    import('../places/shm/state-leftovers.ts'),
    import('../places/mmap/index.ts'),
  ]);
  const shared = mailboxFolders().flatMap(({ path, gid }) =>
    listStates(path).map((one) =>
      shownOf(gid === undefined ? `shm://${one.name}` : `shm://${one.name}?accessGroup=${gid}`, gid, one),
    ),
  );
  return [...shared, ...listMappedStates().map((one) => shownOf(one.address, undefined, one))];
}

/** Prints a value, array or map of this URL. @returns false when it is none, or there is a mailbox of this name */
export async function inspectState(
  target: Target,
  url: PlaceUrl,
  isJson: boolean | undefined,
  ending: Ending,
): Promise<boolean> {
  const state = url.scheme === 'shm' ? await findShared(url) : await findInFile(url);
  if (state !== undefined) {
    if (isJson) await printJson({ state: { url: url.text, ...state } });
    else await print(textOf(rowsOf(url.text, state)));
    return true;
  }
  const map = await engineMapOf(target, url, ending);
  if (map === undefined) return false;
  try {
    const { address, capabilities, limits } = map;
    const entries = capabilities.features.iterate === 'native' ? await map.size() : null;
    if (isJson) await printJson({ map: { url: address, entries, limits, features: capabilities.features } });
    else
      await print(
        textOf([
          ['map', address],
          ['entries', entries === null ? 'unknown' : formatCount(entries)],
          ['longest key', formatBytes(limits.maxKeyBytes)],
          ['largest value', formatBytes(limits.maxValueBytes)],
          ['can', can(capabilities.features)],
        ]),
      );
  } finally {
    await map.close();
  }
  return true;
}

async function findShared(url: PlaceUrl): Promise<ListedState | undefined> {
  const { groupFolder, listMailboxes, runtimeFolder } = await import('../places/shm/index.ts');
  const { listStates } = await import('../places/shm/state-leftovers.ts');
  const group = url.extra['accessGroup'];
  const folder = group === undefined ? runtimeFolder() : groupFolder(group);
  if (listMailboxes(folder).some(({ name }) => name === url.host)) return undefined;
  return listStates(folder).find(({ name }) => name === url.host);
}

async function findInFile(url: PlaceUrl): Promise<ListedState | undefined> {
  if (url.scheme !== 'mmap') return undefined;
  const { findMappedState } = await import('../places/mmap/index.ts');
  return findMappedState(url);
}

function shownOf(name: string, gid: number | undefined, one: ListedState): Shown {
  const { type, state, length, bytes, participants } = one;
  return {
    kind: type ?? 'value',
    name,
    uid: gid === undefined ? (process.getuid?.() ?? null) : null,
    mode: gid === undefined ? 0o600 : 0o660,
    depth: length,
    bytes,
    peers: participants.map(({ identity, isAlive }) => ({ what: `handle ${identity}`, isAlive })),
    state: state === 'live' || state === 'damaged' ? state : 'dead',
  };
}

function rowsOf(text: string, state: ListedState): Row[] {
  return [
    [state.type ?? 'unknown', text],
    ['state', state.problem === undefined ? state.state : `${state.state}: ${state.problem}`],
    ['type', state.element ?? (state.type === 'map' ? 'map' : 'unknown')],
    [state.type === 'map' ? 'entries' : 'elements', formatCount(state.length)],
    ['bytes', formatBytes(state.bytes)],
    ['owner', state.owner ?? 'unknown'],
    ['who', peersText(state.participants.map(({ identity, isAlive }) => ({ what: identity, isAlive })))],
  ];
}

function can(features: Readonly<Record<string, string>>): string {
  return Object.keys(features)
    .filter((name) => features[name] === 'native')
    .join(', ');
}

function textOf(rows: Row[]): string {
  return table([{ title: 'what' }, { title: 'value' }], rows, process.stdout);
}
