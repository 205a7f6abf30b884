// Questions to the management address of Artemis, over the connection that is there anyway: what exists and how it is, and making and
// removing it. AMQP 1.0 itself has no word for any of it; Classic has no such address, and not every user may ask.

import { setTimeout as pause } from 'node:timers/promises';
import { parsedJson } from '../../client/text-headers.ts';
import { atMost } from '../../mailbox/waiting.ts';
import type { NaruError } from '../../errors/index.ts';
import type { ActivemqConnection } from './client.ts';
import { managementError } from './failures.ts';
import type { Box } from './options.ts';
import type { RheaContext, RheaReceiver, RheaSender } from './protocol.ts';

const ADDRESS = 'activemq.management';
/** Answers that may be on their way. */
const CREDIT = 100;

/** How long one try to remove an address may take, how many there are, and how long after a refusal the next one comes, in milliseconds. */
const REMOVE_MS = 1_000;
const REMOVE_ATTEMPTS = 8;
const AGAIN_MS = 100;

/** What an address is made for. */
const ROUTING = { one: 'ANYCAST', all: 'MULTICAST' } as const;

type Ask = { readonly attribute: string } | { readonly operation: string; readonly args: readonly unknown[] };

export interface QueueFacts {
  /** It survives a restart. */
  readonly isDurable: boolean;
  /** One consumer more takes nothing away from others. */
  readonly isForAnybody: boolean;
}

interface Answer {
  readonly succeeded: boolean;
  readonly value: unknown;
}

export class Management {
  readonly #connection: ActivemqConnection;
  readonly #requests: RheaSender;
  readonly #answers: RheaReceiver;
  readonly #asked = new Map<string, (answer: Answer) => void>();
  #count = 0;

  private constructor(connection: ActivemqConnection, requests: RheaSender, answers: RheaReceiver) {
    this.#connection = connection;
    this.#requests = requests;
    this.#answers = answers;
    answers.on('message', (context: RheaContext) => {
      if (context.delivery !== undefined) connection.settle(context.delivery, 'accepted');
      answers.add_credit(1);
      this.#heard(context);
    });
    answers.add_credit(CREDIT);
  }

  /** @returns undefined where there is none, or this user may not use it */
  static async of(connection: ActivemqConnection): Promise<Management | undefined> {
    if (!connection.server.isArtemis) return undefined;
    try {
      const answers = await connection.receiver({ source: { dynamic: true } });
      const requests = await connection.sender({ target: { address: ADDRESS } });
      const management = new Management(connection, requests, answers);
      const { succeeded } = await management.#ask('broker', { attribute: 'version' });
      return succeeded ? management : undefined;
    } catch (error) {
      if (connection.isOver) throw error;
      return undefined;
    }
  }

  /** Whether what was accepted of durable messages is on the disk. */
  async syncs(): Promise<boolean> {
    const [keeps, syncs] = await Promise.all([
      this.#attribute('broker', 'persistenceEnabled'),
      this.#attribute('broker', 'journalSyncNonTransactional'),
    ]);
    return keeps === true && syncs === true;
  }

  /** What an address is for; undefined when it is not there. */
  async routing(name: string): Promise<readonly ('one' | 'all')[] | undefined> {
    const { succeeded, value } = await this.#ask(`address.${name}`, { attribute: 'routingTypes' });
    if (!succeeded || !Array.isArray(value)) return undefined;
    return (['one', 'all'] as const).filter((deliver) => value.includes(ROUTING[deliver]));
  }

  /** How the queue of this name is; undefined when it is not there. */
  async queue(name: string): Promise<QueueFacts | undefined> {
    const resource = `queue.${name}`;
    const [durable, exclusive, maxConsumers] = await Promise.all([
      this.#attribute(resource, 'durable'),
      this.#attribute(resource, 'exclusive'),
      this.#attribute(resource, 'maxConsumers'),
    ]);
    if (durable === undefined) return undefined;
    return { isDurable: durable === true, isForAnybody: exclusive !== true && maxConsumers === -1 };
  }

  /** @returns false when it was there already */
  async create({ name, deliver, survives }: Box): Promise<boolean> {
    const answer =
      deliver === 'all'
        ? await this.#operation('broker', 'createAddress', [name, ROUTING.all])
        : await this.#operation('broker', 'createQueue', [
            JSON.stringify({
              name,
              address: name,
              'routing-type': ROUTING.one,
              durable: survives === 'restart',
              'auto-create-address': true,
            }),
          ]);
    if (answer.succeeded) return true;
    if (/already exists|AMQ229019|AMQ229204/.test(String(answer.value))) return false;
    throw this.#refused(answer);
  }

  /**
   * Removes it with everything in it, and ends the links of all who use it. Artemis 2.40 throws, or answers never, when the session of one
   * of them is ending at that very moment: then it is asked again.
   */
  async remove(name: string): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const answer = await atMost(this.#operation('broker', 'deleteAddress', [name, true]), REMOVE_MS);
      // Somebody else was faster.
      if (answer?.succeeded || /AMQ229203|does not exist/.test(String(answer?.value))) return;
      if (attempt === REMOVE_ATTEMPTS) throw this.#refused(answer);
      if (answer !== undefined) await pause(AGAIN_MS);
    }
  }

  /** How many wait in a queue, and how many consumers have in hand. */
  async depth(name: string): Promise<{ readonly depth: number; readonly unsettled: number }> {
    const [all, delivering] = await Promise.all([
      this.#attribute(`queue.${name}`, 'messageCount'),
      this.#attribute(`queue.${name}`, 'deliveringCount'),
    ]);
    if (typeof all !== 'number' || typeof delivering !== 'number') return { depth: -1, unsettled: -1 };
    return { depth: Math.max(0, all - delivering), unsettled: delivering };
  }

  /** @returns how many were removed */
  async purge(name: string): Promise<number> {
    const answer = await this.#operation(`queue.${name}`, 'removeAllMessages', []);
    if (!answer.succeeded) throw this.#refused(answer);
    return Number(answer.value);
  }

  async #attribute(resource: string, attribute: string): Promise<unknown> {
    const { succeeded, value } = await this.#ask(resource, { attribute });
    return succeeded ? value : undefined;
  }

  #operation(resource: string, operation: string, args: readonly unknown[]): Promise<Answer> {
    return this.#ask(resource, { operation, args });
  }

  async #ask(resource: string, ask: Ask): Promise<Answer> {
    this.#count += 1;
    const id = String(this.#count);
    const how =
      'attribute' in ask ? { _AMQ_Attribute: ask.attribute } : { _AMQ_OperationName: ask.operation };
    const payload = this.#connection.library.message.encode({
      message_id: id,
      correlation_id: id,
      reply_to: this.#answers.source?.address,
      application_properties: { _AMQ_ResourceName: resource, ...how },
      body: JSON.stringify('args' in ask ? ask.args : []),
    });
    await this.#connection.credited(this.#requests);
    try {
      return await this.#connection.answer<Answer>((resolve) => {
        this.#asked.set(id, resolve);
        this.#requests.send(payload, undefined, 0);
      });
    } finally {
      this.#asked.delete(id);
    }
  }

  #heard({ message }: RheaContext): void {
    if (message === undefined) return;
    const answer = this.#connection.library.message.decode(message);
    const { correlation_id: id, application_properties: table, body } = answer;
    // The answer is a list of one.
    const list = parsedJson(body);
    const value: unknown = Array.isArray(list) ? list[0] : undefined;
    this.#asked.get(String(id))?.({ succeeded: table?.['_AMQ_OperationSucceeded'] === true, value });
  }

  #refused(answer: Answer | undefined): NaruError {
    const { text } = this.#connection;
    return managementError(answer === undefined ? undefined : String(answer.value), text);
  }
}
