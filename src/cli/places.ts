// naru places: what every place can do, from the capabilities that the places declare.

import { command, type Command, type Invocation } from './command.ts';
import { EXIT } from './exit.ts';
import { formatBytes, print, printJson, table } from './output.ts';
import type { Capabilities, Feature, Level } from '../mailbox/capabilities.ts';

const ARGS = {
  json: { type: 'boolean', description: 'the capabilities as one JSON document' },
} as const;

export const places: Command = command({
  name: 'places',
  description: 'Shows what each place can do',
  args: ARGS,
  notes:
    'yes = the place does it · emulated = Naru does it on request (emulate) · - = asking for it is an error',
  examples: ['naru places', "naru places --json | jq '.places[].scheme'"],
  run,
});

const MARKS: Readonly<Record<Level, string>> = { native: 'yes', emulated: 'emulated', none: '-' };

async function run({ args }: Invocation<typeof ARGS>): Promise<number> {
  const [{ allCapabilities }, { FEATURES }] = await Promise.all([
    import('../open.ts'),
    import('../mailbox/capabilities.ts'),
  ]);
  const all = await allCapabilities();
  if (args.json) await printJson({ places: all });
  else await print(matrix(all, FEATURES));
  return EXIT.done;
}

function matrix(all: readonly Capabilities[], features: Readonly<Record<Feature, string>>): string {
  const columns = [
    { title: '' },
    ...all.map((place) => ({ title: `${place.scheme}://${isDefault(place, all) ? '' : ` ${place.mode}`}` })),
  ];
  const notes: string[] = [];
  const rows = Object.keys(features).map((name) => {
    const feature = name as Feature;
    const cells = all.map((place) => {
      const remark = place.notes[feature];
      if (remark === undefined) return MARKS[place.features[feature]];
      const text = `${feature}: ${remark}`;
      if (!notes.includes(text)) notes.push(text);
      return `${MARKS[place.features[feature]]} (${notes.indexOf(text) + 1})`;
    });
    return [name, ...cells];
  });
  const figures = [
    ['largest message', ...all.map(({ limits: { maxMessageBytes } }) => formatBytes(maxMessageBytes))],
    ['priorities', ...all.map(({ limits }) => `${limits.priorityMin} to ${limits.priorityMax}`)],
    ['producers', ...all.map(({ limits }) => String(limits.maxProducers))],
    ['consumers', ...all.map(({ limits }) => String(limits.maxConsumers))],
    ['receipt of send', ...all.map(({ confirm }) => confirm)],
    ['relation', ...all.map(({ relation }) => relation)],
    ['belongs to', ...all.map(({ owner }) => owner)],
    ['needs', ...all.map(({ needs }) => (needs.length === 0 ? '-' : needs.join(', ')))],
  ];
  const footnotes = notes.map((text, index) => `(${index + 1}) ${text}\n`).join('');
  const summaries = all
    .map((place) => {
      const format = isDefault(place, all) ? '' : ` (format=${place.mode})`;
      return `${place.scheme}://${format}: ${place.summary}\n`;
    })
    .join('');
  return `${table(columns, [...rows, ...figures], process.stdout)}\n${footnotes}\n${summaries}`;
}

/** The first mode of a scheme is what its URL means when it does not say. */
function isDefault(place: Capabilities, all: readonly Capabilities[]): boolean {
  return all.find(({ scheme }) => scheme === place.scheme) === place;
}
