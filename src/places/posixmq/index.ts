// posixmq://: a POSIX message queue as a mailbox. Finding, making and adopting it; what moves messages is in kernel-queue/.

import { openPosix } from '../../kernel/posix-types.ts';
import { PosixQueue } from '../../kernel/index.ts';
import { QueueDriver } from '../../kernel-queue/driver.ts';
import { findOrMake, refuseDifferences } from '../../kernel-queue/options.ts';
import { ENVELOPE_BYTES, envelopePacking, rawPacking, type TagField } from '../../kernel-queue/packing.ts';
import type { Driver } from '../../mailbox/driver.ts';
import { checkName } from '../../mailbox/parse-url.ts';
import type { Place } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import type { MessageFields } from '../../wire/envelope-types.ts';
import { posixmq, posixmqRaw } from './capabilities.ts';
import { PARAMETERS, readPosixmqOptions } from './options.ts';
import { PosixKernelQueue } from './queue.ts';

export const place: Place = {
  modes: [posixmqRaw, posixmq],
  parameters: PARAMETERS,
  check(url, options) {
    readPosixmqOptions(url, options);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const { name, isForeign, mode, maxMessages, maxMessageBytes } = readPosixmqOptions(url, options);
    options.signal.throwIfAborted();
    const asked = { name, maxMessages, maxMessageBytes };
    const { queue: opened, created } = findOrMake(
      url,
      isForeign ? { ...options, create: 'never' } : options,
      () => openPosix({ ...asked, create: 'new', mode: mode ?? 0o600 }),
      () => {
        try {
          return openPosix({ ...asked, create: 'never' });
        } catch (error) {
          // What is wrong is the name of the queue that should have been made.
          if (isForeign && options.create !== 'never') checkName(url.host, url.text);
          throw error;
        }
      },
    );
    const isEnvelope = options.format === 'envelope';
    const queue = new PosixKernelQueue(name, url.text, opened);
    try {
      const actual = queue.mode;
      if (mode !== undefined && mode !== actual) {
        refuseDifferences(url, [`mode: asked ${mode.toString(8)}, is ${actual.toString(8)}`]);
      }
    } catch (error) {
      queue.close();
      if (created) PosixQueue.unlink(name);
      throw error;
    }
    return new QueueDriver({
      facts: {
        capabilities: isEnvelope ? posixmq : posixmqRaw,
        offered: 'placed',
        maxMessageBytes: Math.max(0, opened.maxMessageBytes - (isEnvelope ? ENVELOPE_BYTES : 0)),
        identity: newHandleIdentity(),
        address: `posixmq://${encodeURIComponent(name.slice(1))}${isEnvelope ? '?format=envelope' : ''}`,
        deliver: 'one',
        created,
      },
      queue,
      mode: queue.mode,
      packing: isEnvelope
        ? envelopePacking(PRIORITIES, opened.maxMessageBytes, url.text)
        : rawPacking(PRIORITIES),
      hooks,
      waiting: options.wait,
    });
  },
};

/** A priority in the model is one in the kernel; Mailbox has checked its range. */
const PRIORITIES: TagField = {
  tagOf: (fields) => fields?.priority ?? 0,
  fieldsOf: (tag): MessageFields | undefined => (tag === 0 ? undefined : { priority: tag }),
};
