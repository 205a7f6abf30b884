// fifo://: a named pipe as a mailbox. Finding, making and adopting it; what moves messages is in pipe/.

import { lstatSync, type Stats } from 'node:fs';
import { errnoOf } from '../../kernel/object-errors.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { openPipe } from '../../pipe/driver.ts';
import { limitReason } from '../../pipe/options.ts';
import { fifo, fifoRaw } from './capabilities.ts';
import { FifoEnds } from './ends.ts';
import { fifoAddress, PARAMETERS, readFifoOptions } from './options.ts';

export const place: Place = {
  modes: [fifoRaw, fifo],
  parameters: PARAMETERS,
  check(url, options) {
    readFifoOptions(url, options);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const { path, mode, settings } = readFifoOptions(url, options);
    options.signal.throwIfAborted();
    const ends = new FifoEnds(path, url.text);
    const created = ends.findOrMake(options.create ?? 'if-missing', mode ?? 0o600);
    if (!created) checkFound(url, options, path, mode);
    return openPipe({
      facts: {
        capabilities: options.format === 'envelope' ? fifo : fifoRaw,
        offered: 'placed',
        maxMessageBytes: options.role === 'consumer' ? settings.maxReceivedBytes : settings.maxSentBytes,
        sizeLimit: limitReason(settings),
        identity: newHandleIdentity(),
        address: fifoAddress(path, options),
        deliver: 'one',
        created,
      },
      ends,
      settings,
      hooks,
    });
  },
};

/**
 * @throws NARU_EXISTS  it has another mode than was stated; NARU_DENIED  it is somebody else's, and that was not said to be known;
 *   NARU_NOT_FOUND  it went in this moment
 */
function checkFound(url: PlaceUrl, { create }: PlaceOptions, path: string, mode: number | undefined): void {
  const { uid, mode: bits } = statsOf(url, path);
  const own = process.geteuid?.();
  // Where everybody may make files, another user may have put a FIFO under this name to read what is meant for somebody else.
  if (create !== 'never' && uid !== own && uid !== 0) {
    const what = `it belongs to user ${uid}, not to ${own}; if that is meant, say create=never`;
    throw refusal('NARU_DENIED', url, what);
  }
  const actual = bits & 0o777;
  if (mode === undefined || mode === actual) return;
  const what = `the FIFO exists with other options (mode: asked ${mode.toString(8)}, is ${actual.toString(8)}); leave them out to adopt what is there`;
  throw refusal('NARU_EXISTS', url, what);
}

function statsOf(url: PlaceUrl, path: string): Stats {
  try {
    return lstatSync(path);
  } catch (error) {
    const code = errnoOf(error) === 'ENOENT' ? 'NARU_NOT_FOUND' : 'NARU_DENIED';
    throw refusal(code, url, 'it went in this moment', error);
  }
}
