// pipe://: pipes that this process has open as a mailbox, among them those to a child process. What moves messages is in pipe/.

import type { Driver } from '../../mailbox/driver.ts';
import type { Place } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { openPipe } from '../../pipe/driver.ts';
import { limitReason } from '../../pipe/options.ts';
import { pipe, pipeRaw } from './capabilities.ts';
import { DescriptorEnds } from './ends.ts';
import { PARAMETERS, pipeAddress, readPipeOptions } from './options.ts';

export const place: Place = {
  modes: [pipeRaw, pipe],
  parameters: PARAMETERS,
  check(url, options) {
    readPipeOptions(url, options);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const { descriptors, settings } = readPipeOptions(url, options);
    options.signal.throwIfAborted();
    const ends = new DescriptorEnds(descriptors, url.text, options.create);
    return openPipe({
      facts: {
        capabilities: options.format === 'envelope' ? pipe : pipeRaw,
        offered: 'placed',
        maxMessageBytes: options.role === 'consumer' ? settings.maxReceivedBytes : settings.maxSentBytes,
        sizeLimit: limitReason(settings),
        identity: newHandleIdentity(),
        address: pipeAddress(descriptors, options),
        deliver: 'one',
        created: ends.isFirst,
      },
      ends,
      settings,
      hooks,
    });
  },
};
