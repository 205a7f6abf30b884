// What a pipe:// URL and its options mean.

import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { PIPE_PARAMETERS, type PipeSettings, readPipeSettings, refuseOwner } from '../../pipe/options.ts';

/** Parameters of a pipe URL that are not options of every place. */
export const PARAMETERS: readonly string[] = PIPE_PARAMETERS;

const DESCRIPTOR_MAX = 1_048_575;

export interface PipeOptions {
  /** One descriptor, which reads or writes, or one that reads and one that writes. */
  readonly descriptors: readonly number[];
  readonly settings: PipeSettings;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED, NARU_TOO_LARGE */
export function readPipeOptions(url: PlaceUrl, options: PlaceOptions): PipeOptions {
  const { host, path, port, username } = url;
  const match = /^\/(\d{1,7})(?:\/(\d{1,7}))?$/.exec(path);
  const descriptors = match?.slice(1).flatMap((text) => (text === undefined ? [] : [Number(text)])) ?? [];
  const isFine = descriptors.length > 0 && descriptors.every((fd) => fd <= DESCRIPTOR_MAX);
  if (host !== 'fd' || port !== undefined || username !== '' || !isFine) {
    const what = 'name an open descriptor, pipe://fd/3, or one that reads and one that writes: pipe://fd/3/4';
    throw refusal('NARU_INVALID_ARGUMENT', url, what);
  }
  refuseOwner(url, options, 'users');
  const settings = readPipeSettings(url, options, options.format === 'envelope' ? 'N:1' : '1:1');
  // The ends of other processes decide how long the pipe lives; this one has nothing to keep it with.
  return { descriptors, settings: { ...settings, keeps: 'no' } };
}

/** The URL that leads to the same descriptors in this process. */
export function pipeAddress(
  descriptors: readonly number[],
  { format, frame, slotBytes }: PlaceOptions,
): string {
  const parameters = format === 'envelope' ? ['format=envelope'] : [];
  if (frame !== undefined) parameters.push(`frame=${frame}`);
  if (slotBytes !== undefined) parameters.push(`slotBytes=${slotBytes}`);
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `pipe://fd/${descriptors.join('/')}${query}`;
}
