// Sending through the package @platformatic/kafka.

import { HEADER, type KafkaProducer, type OutRecord } from '../client.ts';
import type { Producer } from './package.ts';

export class PlatformaticProducer implements KafkaProducer {
  readonly #producer: Producer;
  readonly #topic: string;

  constructor(producer: Producer, topic: string) {
    this.#producer = producer;
    this.#topic = topic;
  }

  async send(records: readonly OutRecord[]): Promise<void> {
    const topic = this.#topic;
    let time = -1;
    let timestamp = 0n;
    const messages = records.map((record) => {
      if (record.timestamp !== time) {
        time = record.timestamp;
        timestamp = BigInt(time);
      }
      const { partition, key, value } = record;
      return { topic, partition, key: key ?? undefined, value, headers: headersOf(record), timestamp };
    });
    await this.#producer.send({ messages });
  }

  close(): Promise<void> {
    return this.#producer.close();
  }
}

const OWN_HEADER = Buffer.from(HEADER);

function headersOf({ envelope, headers }: OutRecord): Map<Buffer, Buffer> {
  const all = new Map<Buffer, Buffer>();
  all.set(OWN_HEADER, envelope);
  if (headers !== undefined)
    for (const [name, value] of Object.entries(headers)) all.set(Buffer.from(name), value);
  return all;
}
