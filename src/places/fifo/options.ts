// What a fifo:// URL and its options mean.

import { sysctl } from '../../kernel/queue-errors.ts';
import type { PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { readMode, refusal } from '../../mailbox/refusal.ts';
import { PIPE_PARAMETERS, type PipeSettings, readPipeSettings, refuseOwner } from '../../pipe/options.ts';

/** Parameters of a fifo URL that are not options of every place. */
export const PARAMETERS: readonly string[] = ['mode', ...PIPE_PARAMETERS];

export interface FifoOptions {
  /** Absolute. */
  readonly path: string;
  /** Permission bits; undefined: not stated. */
  readonly mode: number | undefined;
  readonly settings: PipeSettings;
}

/** @throws NARU_INVALID_ARGUMENT, NARU_UNSUPPORTED, NARU_TOO_LARGE; NARU_LIMIT  more room than fs.pipe-max-size */
export function readFifoOptions(url: PlaceUrl, options: PlaceOptions): FifoOptions {
  const { path, host, port, username } = url;
  const isPath = path.startsWith('/') && !path.endsWith('/') && !path.includes('\0');
  if (host !== '' || port !== undefined || username !== '' || !isPath) {
    throw refusal(
      'NARU_INVALID_ARGUMENT',
      url,
      'name the FIFO by an absolute path: fifo:///run/user/1000/orders',
    );
  }
  refuseOwner(url, options, 'system');
  checkRoom(url, options);
  return { path, mode: readMode(url), settings: readPipeSettings(url, options, 'N:1') };
}

/** Before anything is made; what root may do the kernel decides. */
function checkRoom(url: PlaceUrl, { capacityBytes = 0 }: PlaceOptions): void {
  const most = sysctl('fs.pipe-max-size');
  if (most === undefined || capacityBytes <= most || process.geteuid?.() === 0) return;
  const what = `room for ${capacityBytes} bytes was asked for, fs.pipe-max-size allows ${most} (sysctl -w fs.pipe-max-size=${capacityBytes} raises it)`;
  throw refusal('NARU_LIMIT', url, what);
}

/** The URL that leads to a FIFO. */
export function fifoAddress(path: string, { format, frame, slotBytes }: PlaceOptions): string {
  const parameters = format === 'envelope' ? ['format=envelope'] : [];
  if (frame !== undefined) parameters.push(`frame=${frame}`);
  if (slotBytes !== undefined) parameters.push(`slotBytes=${slotBytes}`);
  const query = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `fifo://${path.split('/').map(encodeURIComponent).join('/')}${query}`;
}
