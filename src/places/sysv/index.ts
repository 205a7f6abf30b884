// sysv://: a System V message queue as a mailbox. Finding, making and adopting it; what moves messages is in kernel-queue/.

import { isNaruError } from '../../errors/index.ts';
import { SystemVQueue } from '../../kernel/index.ts';
import { sysctl } from '../../kernel/queue-errors.ts';
import { requestOf } from '../../kernel/system-v-types.ts';
import { QueueDriver } from '../../kernel-queue/driver.ts';
import { findOrMake, refuseDifferences } from '../../kernel-queue/options.ts';
import { refusal } from '../../mailbox/refusal.ts';
import { ENVELOPE_BYTES, envelopePacking, rawPacking } from '../../kernel-queue/packing.ts';
import { SysvKernelQueue } from '../../kernel-queue/system-v.ts';
import type { Driver } from '../../mailbox/driver.ts';
import type { Place, PlaceOptions, PlaceUrl } from '../../mailbox/place.ts';
import { newHandleIdentity } from '../../native/identity.ts';
import { sysv, sysvRaw } from './capabilities.ts';
import { PARAMETERS, readSysvOptions, type SysvOptions } from './options.ts';
import { typeTags } from './types.ts';

export const place: Place = {
  modes: [sysvRaw, sysv],
  parameters: PARAMETERS,
  check(url, options) {
    readSysvOptions(url, options);
  },
  async open(url, options, { hooks }): Promise<Driver> {
    const own = readSysvOptions(url, options);
    options.signal.throwIfAborted();
    const which = own.which();
    const { queue, created } = findOrMake(
      url,
      'id' in which ? idOptions(url, options) : options,
      () => SystemVQueue.open({ ...which, create: 'new', mode: own.mode ?? 0o600 }),
      () => SystemVQueue.open({ ...which, create: 'never' }),
    );
    const isEnvelope = options.format === 'envelope';
    const { limitBytes, mode } = settle(url, options, own, queue, created);
    const most = isEnvelope ? limitBytes - ENVELOPE_BYTES : limitBytes;
    const maxMessageBytes = options.maxMessageBytes ?? Math.max(0, most);
    if (maxMessageBytes > most) {
      discard(queue, created);
      const what = `messages of ${maxMessageBytes} bytes were asked for, ${most} are possible (kernel.msgmax is ${sysctl('kernel.msgmax') ?? 'unknown'})`;
      throw refusal('NARU_LIMIT', url, what);
    }
    // From here on the id is enough.
    void queue.close();
    const tags = typeTags(url.text, isEnvelope);
    return new QueueDriver({
      facts: {
        capabilities: isEnvelope ? sysv : sysvRaw,
        offered: 'placed',
        maxMessageBytes,
        identity: newHandleIdentity(),
        address: `sysv://${targetText(which)}${isEnvelope ? '?format=envelope' : ''}`,
        deliver: 'one',
        created,
      },
      queue: new SysvKernelQueue(queue.id, url.text, requestOf(url.text, own.selection)),
      packing: isEnvelope ? envelopePacking(tags, limitBytes, url.text) : rawPacking(tags),
      hooks,
      mode,
      waiting: options.wait,
    });
  },
};

/** The kernel chooses the ids: a queue cannot be made by one. */
function idOptions(url: PlaceUrl, options: PlaceOptions): PlaceOptions {
  if (options.create !== 'new') return { ...options, create: 'never' };
  const what = 'the kernel chooses the ids of queues; make one by a key, a file or a name';
  throw refusal('NARU_INVALID_ARGUMENT', url, what);
}

function targetText(which: ReturnType<SysvOptions['which']>): string {
  return 'id' in which ? `id/${which.id}` : `0x${(which.key >>> 0).toString(16).padStart(8, '0')}`;
}

/**
 * Gives a new queue what was stated; compares it with one that exists.
 * @returns the largest message it takes, and its permission bits
 */
function settle(
  url: PlaceUrl,
  { capacityBytes }: PlaceOptions,
  own: SysvOptions,
  queue: SystemVQueue,
  created: boolean,
): { readonly limitBytes: number; readonly mode: number } {
  try {
    if (created && capacityBytes !== undefined) queue.setLimit(capacityBytes);
    const { limitBytes, mode, uid } = queue.stat();
    if (own.isNamed && uid !== process.getuid?.()) {
      throw refusal('NARU_DENIED', url, `the queue of this name belongs to uid ${uid}`);
    }
    const differences: string[] = [];
    if (capacityBytes !== undefined && capacityBytes !== limitBytes) {
      differences.push(`capacityBytes: asked ${capacityBytes}, is ${limitBytes ?? 'unknown'}`);
    }
    if (own.mode !== undefined && own.mode !== mode) {
      differences.push(`mode: asked ${own.mode.toString(8)}, is ${mode.toString(8)}`);
    }
    refuseDifferences(url, differences);
    return { limitBytes: Math.min(limitBytes ?? Number.POSITIVE_INFINITY, largest()), mode };
  } catch (error) {
    // Who may only write cannot look.
    if (!created && !own.isNamed && capacityBytes === undefined && isNaruError(error, 'NARU_DENIED')) {
      return { limitBytes: largest(), mode: WRITABLE_ONLY };
    }
    discard(queue, created);
    throw error;
  }
}

/** What can be known of a queue that may not be read: it is open to others. */
const WRITABLE_ONLY = 0o622;

function largest(): number {
  return sysctl('kernel.msgmax') ?? 8_192;
}

function discard(queue: SystemVQueue, created: boolean): void {
  if (created) queue.remove();
  void queue.close();
}
