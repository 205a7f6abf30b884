// Sending through the package kafkajs.

import { HEADER, type KafkaProducer, type OutRecord } from '../client.ts';
import { REQUEST } from '../limits.ts';
import type { Producer } from './package.ts';
import type { Passing } from './passing.ts';

export class KafkaJsProducer implements KafkaProducer {
  readonly #producer: Passing<Producer>;
  readonly #topic: string;

  constructor(producer: Passing<Producer>, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  async send(records: readonly OutRecord[]): Promise<void> {
    const messages = records.map(({ partition, key, value, envelope, headers, timestamp }) => ({
      partition,
      key,
      value,
      headers: headers === undefined ? { [HEADER]: envelope } : { ...headers, [HEADER]: envelope },
      timestamp: String(timestamp),
    }));
    const batch = { topic: this.#topic, acks: -1, timeout: REQUEST.answerMs, messages };
    await this.#producer.use((producer) => producer.send(batch));
  }

  close(): Promise<void> {
    return this.#producer.close();
  }
}
