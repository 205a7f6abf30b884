// The parts of the docs that are made from code: the table of errors, the capability matrix, the defaults. A page holds them
// between two marks; scripts/generate.mjs replaces what is between, and a test fails when a page is stale.

import { ROUTES } from '../broker/edge/http/routes/index.ts';
import { LIMITS } from '../broker/limits.ts';
import { ERROR_CODES } from '../errors/index.ts';
import { FEATURES, type Capabilities, type Feature, type Level } from '../mailbox/capabilities.ts';
import { DEFAULTS } from '../mailbox/defaults.ts';
import { PARAMETERS } from '../mailbox/parameters.ts';
import { allCapabilities } from '../open.ts';
import { allMapCapabilities } from '../open-state.ts';
import { ROUTES as HTTP_ROUTES } from '../places/http/routes.ts';
import { MAP_FEATURES, type MapCapabilities, type MapFeature } from '../state/map-capabilities.ts';

/** A page with generated parts. */
export interface GeneratedDoc {
  /** Path from the package's root. */
  readonly file: string;
  /** The page's text with every generated part brought up to date. */
  readonly replace: (text: string) => string;
}

/** Every page with generated parts. */
export async function generatedDocs(): Promise<GeneratedDoc[]> {
  const places = await allCapabilities();
  const maps = await allMapCapabilities();
  const parts: Readonly<Record<string, string>> = {
    errors: errorTable(),
    'broker-limits': limitTable(),
    'broker-routes': routeTable(),
    'http-routes': httpRouteTable(),
    features: featureTable(places),
    places: placeTable(places),
    maps: mapTable(maps),
    defaults: defaultsTable(),
    parameters: parameterTable(),
  };
  const replace = (text: string): string =>
    Object.entries(parts).reduce((page, [name, body]) => replacePart(page, name, body), text);
  return [
    'README.md',
    'docs/guide/model.md',
    'docs/reference/errors.md',
    'docs/reference/broker-limits.md',
    'docs/reference/broker-http.md',
    'docs/reference/capabilities.md',
    'docs/reference/options.md',
    'docs/places/http.md',
  ].map((file) => ({ file, replace }));
}

function replacePart(page: string, name: string, body: string): string {
  const [start, end] = [`<!-- generated: ${name} -->`, `<!-- /generated: ${name} -->`];
  const from = page.indexOf(start);
  const to = page.indexOf(end);
  if (from < 0 || to < from) return page;
  return `${page.slice(0, from + start.length)}\n${body}\n${page.slice(to)}`;
}

function errorTable(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { meaning, action, retryable }]) =>
      `| \`${code}\` | ${meaning} | ${action} | ${retryable ? 'yes' : 'no'} |`,
  );
  return [
    '| code | meaning | what to do | can the same call succeed later? |',
    '|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** The limits of the broker. */
function limitTable(): string {
  const rows = Object.entries(LIMITS).map(
    ([name, limit]) =>
      `| \`${name}\` | ${limit.default} | ${limit.min ?? 1} | ${limit.max} | ${limit.reply} | ${limit.reason} |`,
  );
  return [
    '| limit | default | at least | at most | the peer is told | why it is there |',
    '|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** The routes of the broker's management API, with what they ask of a user. */
function routeTable(): string {
  const rows = ROUTES.map(({ method, path, role, vhost, needs }) => {
    const permissions = (needs ?? []).map(([action, kind]) => `${action} the ${kind}`).join(', ');
    return `| ${method} | \`/api/${path}\` | ${role} | ${vhost ?? ''} | ${permissions} |`;
  });
  return ['| method | path | tag | virtual host | permissions |', '|---|---|---|---|---|', ...rows].join(
    '\n',
  );
}

/** The routes of http://. */
function httpRouteTable(): string {
  const rows = HTTP_ROUTES.map(({ method, path, summary, parameters, replies }) => {
    const asked = parameters.map(({ name }) => `\`${name}\``).join(', ');
    return `| ${method} | \`…${path}\` | ${summary} | ${asked} | ${Object.keys(replies).join(', ')} |`;
  });
  return [
    '| method | path | does | parameters and headers | answers |',
    '|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

/** Feature by place: what the README of every messaging library should have and none generates. */
function featureTable(places: readonly Capabilities[]): string {
  const names = places.map((place) => `\`${nameOf(place, places)}\``);
  const notes: string[] = [];
  const rows = Object.keys(FEATURES).map((feature) => {
    const cells = places.map(({ features, notes: all }) =>
      cell(features[feature as Feature], all[feature as Feature], notes),
    );
    return `| ${feature} | ${FEATURES[feature as Feature]} | ${cells.join(' | ')} |`;
  });
  return [
    `| feature | means | ${names.join(' | ')} |`,
    `|---|---|${names.map(() => '---').join('|')}|`,
    ...rows,
    '',
    ...notes.map((note, index) => `${superscript(index + 1)} ${note}`),
  ].join('\n');
}

/** What maps can do, by place. */
function mapTable(places: readonly MapCapabilities[]): string {
  const notes: string[] = [];
  const rows = Object.keys(MAP_FEATURES).map((feature) => {
    const cells = places.map(({ features, notes: all }) =>
      cell(features[feature as MapFeature], all[feature as MapFeature], notes),
    );
    return `| ${feature} | ${MAP_FEATURES[feature as MapFeature]} | ${cells.join(' | ')} |`;
  });
  const line = (name: string, means: string, give: (place: MapCapabilities) => string): string =>
    `| ${name} | ${means} | ${places.map((place) => give(place)).join(' | ')} |`;
  return [
    `| | means | ${places.map(({ scheme }) => `\`${scheme}://\``).join(' | ')} |`,
    `|---|---|${places.map(() => '---').join('|')}|`,
    ...rows,
    line('longest key', 'bytes of UTF-8', ({ limits }) => String(limits.maxKeyBytes)),
    line('largest value', 'unless `maxValueBytes` says otherwise', ({ limits }) =>
      sizeOf(limits.maxValueBytes),
    ),
    line('needs', 'what must be installed', ({ needs }) =>
      needs.length === 0 ? 'nothing' : needs.join(', '),
    ),
    '',
    ...notes.map((note, index) => `${superscript(index + 1)} ${note}`),
  ].join('\n');
}

function cell(level: Level, note: string | undefined, notes: string[]): string {
  const word = { native: 'yes', emulated: 'on request', none: 'no' }[level];
  if (note === undefined) return word;
  if (!notes.includes(note)) notes.push(note);
  return `${word} ${superscript(notes.indexOf(note) + 1)}`;
}

function placeTable(places: readonly Capabilities[]): string {
  const yes = (place: Capabilities, feature: Feature): string =>
    place.features[feature] === 'none' ? 'no' : 'yes';
  const rows = places.map((place) => {
    const { maxMessageBytes, maxProducers, maxConsumers } = place.limits;
    const ends = `${many(maxProducers)} : ${many(maxConsumers)}`;
    const cells = [
      place.summary,
      ends,
      yes(place, 'ack'),
      yes(place, 'priority'),
      yes(place, 'deliverAll'),
      yes(place, 'durable'),
      sizeOf(maxMessageBytes),
      place.confirm,
      place.needs.length === 0 ? 'nothing' : place.needs.join(', '),
    ];
    return `| \`${nameOf(place, places)}\` | ${cells.join(' | ')} |`;
  });
  return [
    '| place | reaches | producers : consumers | ack, redelivery | priority | topics | survives a power cut | largest message | send waits until | needs |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}

function defaultsTable(): string {
  const rows = Object.entries(DEFAULTS).map(([name, value]) => `| \`${name}\` | \`${String(value)}\` |`);
  return ['| option | default |', '|---|---|', ...rows].join('\n');
}

function parameterTable(): string {
  const rows = Object.entries(PARAMETERS).map(([name, { option }]) =>
    name === option ? `| \`${name}\` | |` : `| \`${name}\` | short for \`${option}\` |`,
  );
  return ['| parameter | |', '|---|---|', ...rows].join('\n');
}

/** The first mode of a scheme is its default. */
function nameOf(place: Capabilities, places: readonly Capabilities[]): string {
  const isDefault = places.find(({ scheme }) => scheme === place.scheme) === place;
  return `${place.scheme}://${isDefault ? '' : `?format=${place.mode}`}`;
}

function many(count: number): string {
  return count >= 65_536 ? 'N' : String(count);
}

function sizeOf(bytes: number): string {
  return bytes >= 1024 ** 2
    ? `${Math.round((bytes / 1024 ** 2) * 100) / 100} MiB`
    : `${Math.round((bytes / 1024) * 100) / 100} KiB`;
}

function superscript(number: number): string {
  return String(number).replace(/\d/g, (digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'.charAt(Number(digit)));
}
