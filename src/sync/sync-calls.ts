// Refuses the calls of a lock, semaphore or event that its place does not declare.

import { NaruError } from '../errors/index.ts';
import type { SyncFacts } from './driver.ts';
import { SYNC_FEATURES, type SyncFeature, type SyncFeatures } from './sync-capabilities.ts';

/** Which of the calls that some places lack a handle has: two booleans, since they stand on the way of every call. */
export class SyncCalls {
  readonly #facts: SyncFacts;
  readonly #isImmediate: boolean;
  readonly #isBlocking: boolean;

  constructor(facts: SyncFacts, features: SyncFeatures) {
    this.#facts = facts;
    this.#isImmediate = features.immediate !== 'none';
    this.#isBlocking = features.blocking !== 'none';
  }

  /** @param call  what was called @throws NARU_UNSUPPORTED */
  mustAnswerAtOnce(call: string, instead: string): void {
    if (!this.#isImmediate) throw this.#refusal('immediate', call, instead);
  }

  /** @param call  what was called @throws NARU_UNSUPPORTED */
  mustBlock(call: string, instead: string): void {
    if (!this.#isBlocking) throw this.#refusal('blocking', call, instead);
  }

  #refusal(feature: SyncFeature, call: string, instead: string): NaruError {
    const { text, place } = this.#facts;
    return new NaruError(
      'NARU_UNSUPPORTED',
      `${text}: ${place} has no ${call}: it lacks ${feature} (${SYNC_FEATURES[feature]}); use ${instead}`,
      { place, mailbox: text },
    );
  }
}
