// What was fixed when a mailbox was made, and where it is kept: AMQP gives no way to ask a queue what it is. An exchange beside it that
// nobody uses names it all as its alternate exchange; whoever declares that exchange otherwise is told what it has.

import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { type OwnOptions, type QueueType, USUAL_MESSAGE_BYTES } from './options.ts';
import type { QueueOptions } from './protocol.ts';

const FORMAT = 'naru1';

export interface BoxSettings {
  readonly name: string;
  /** Other each time a mailbox of this name is made; '' for one that Naru did not make. */
  readonly id: string;
  readonly deliver: 'one' | 'all';
  readonly relation: string;
  readonly capacityMessages: number | undefined;
  readonly maxMessageBytes: number;
  readonly priorities: number;
  readonly survives: 'process' | 'restart';
  readonly type: QueueType;
}

type Compared = Exclude<keyof BoxSettings, 'name' | 'id'>;
const COMPARED: readonly Compared[] = [
  'deliver',
  'relation',
  'capacityMessages',
  'maxMessageBytes',
  'priorities',
  'survives',
  'type',
];

/** What is stated of what a mailbox is made with. */
export type StatedSettings = Readonly<Partial<Record<Compared, string | number | undefined>>>;

export function statedSettings(own: OwnOptions, options: PlaceOptions): StatedSettings {
  const { deliver, relation, capacityMessages, maxMessageBytes, priorities, survives } = options;
  return { deliver, relation, capacityMessages, maxMessageBytes, priorities, survives, type: own.type };
}

export function newSettings(own: OwnOptions, options: PlaceOptions, id: string): BoxSettings {
  return {
    name: own.name,
    id,
    deliver: options.deliver ?? 'one',
    relation: options.relation ?? 'N:N',
    capacityMessages: options.capacityMessages,
    maxMessageBytes: options.maxMessageBytes ?? USUAL_MESSAGE_BYTES,
    priorities: options.priorities ?? 1,
    survives: options.survives ?? 'restart',
    type: own.type ?? 'classic',
  };
}

export function settingsText(settings: BoxSettings): string {
  return [FORMAT, settings.id, ...COMPARED.map((key) => settings[key] ?? '-')].join(' ');
}

/** @returns undefined when it is no such text, or of another format */
export function parseSettings(name: string, text: string): BoxSettings | undefined {
  const [format, id = '', deliver, relation = '', capacity, size, priorities, survives, type] =
    text.split(' ');
  if (format !== FORMAT || type === undefined) return undefined;
  return {
    name,
    id,
    deliver: deliver === 'all' ? 'all' : 'one',
    relation,
    capacityMessages: capacity === '-' ? undefined : Number(capacity),
    maxMessageBytes: Number(size),
    priorities: Number(priorities),
    survives: survives === 'process' ? 'process' : 'restart',
    type: type === 'quorum' ? 'quorum' : 'classic',
  };
}

/** @throws NARU_EXISTS  naming every difference */
export function refuseDifferences(url: PlaceUrl, stated: StatedSettings, existing: BoxSettings): void {
  const differences = COMPARED.filter(
    (key) => stated[key] !== undefined && stated[key] !== existing[key],
  ).map((key) => `${key} asked ${stated[key]}, is ${existing[key] ?? 'none'}`);
  if (differences.length > 0) throw differs(url, differences);
}

export function differs(url: PlaceUrl, differences: readonly string[]): Error {
  return refusal(
    'NARU_EXISTS',
    url,
    `exists with other options: ${differences.join('; ')}. Leave them out to adopt what exists`,
  );
}

/** How the queue of a mailbox is declared. */
export function queueOptions(settings: BoxSettings): QueueOptions {
  const { survives, type, capacityMessages, priorities } = settings;
  return {
    durable: survives === 'restart',
    arguments: {
      'x-queue-type': type,
      ...(capacityMessages === undefined
        ? {}
        : { 'x-max-length': capacityMessages, 'x-overflow': 'reject-publish' }),
      ...(priorities > 1 ? { 'x-max-priority': priorities - 1 } : {}),
    },
  };
}
