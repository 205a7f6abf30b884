// Sending through the package @platformatic/kafka: it knows the leaders, repeats what was lost and numbers batches; only the bytes of a
// batch are written here (batch.ts).

import type { KafkaProducer, OutRecord } from '../client.ts';
import { encodeBatch } from './batch.ts';
import type { Package, Produce, ProducedMessage, Producer, Writer } from './package.ts';

export class PlatformaticProducer implements KafkaProducer {
  readonly #producer: Producer;
  readonly #topic: string;

  constructor(producer: Producer, topic: string, loaded: Package) {
    this.#producer = producer;
    this.#topic = topic;
    const getApi = producer[loaded.kGetApi]?.bind(producer);
    const produce = produceOf(loaded);
    producer[loaded.kGetApi] = (name, callback) => {
      if (name === 'Produce') callback(null, produce);
      else getApi?.(name, callback);
    };
  }

  async send(records: readonly OutRecord[]): Promise<void> {
    const topic = this.#topic;
    const messages: ProducedMessage[] = records.map((value) => ({
      topic,
      partition: value.partition,
      value,
    }));
    await this.#producer.send({ messages });
  }

  close(): Promise<void> {
    return this.#producer.close();
  }
}

/** The request as version 9 has it, which every broker since Kafka 2.8 understands. */
function produceOf({ produceV9, Writer, crc32c }: Package): Produce {
  const { api, parseResponse } = produceV9;
  return (connection, acks, timeoutMs, messages, { producerId, producerEpoch, sequences }, callback) => {
    const payload = (): Writer => {
      const { topic } = messages[0] as ProducedMessage;
      const batches = Array.from(byPartition(messages), ([partition, records]) => {
        const sequence = sequences.getWithDefault(`${topic}:${partition}`, 0);
        return { partition, batch: encodeBatch(records, { producerId, producerEpoch, sequence }, crc32c) };
      });
      return Writer.create()
        .appendString(undefined)
        .appendInt16(acks)
        .appendInt32(timeoutMs)
        .appendArray([topic], (inTopics, name) => {
          inTopics.appendString(name).appendArray(batches, (inBatches, { partition, batch }) => {
            inBatches
              .appendInt32(partition)
              .appendUnsignedVarInt(batch.length + 1)
              .append(batch);
          });
        })
        .appendTaggedFields();
    };
    connection.send(api.key, api.version, payload, parseResponse, true, true, callback);
  };
}

function byPartition(messages: readonly ProducedMessage[]): Map<number, OutRecord[]> {
  const partitions = new Map<number, OutRecord[]>();
  for (const { partition, value } of messages) {
    const others = partitions.get(partition);
    if (others === undefined) partitions.set(partition, [value]);
    else others.push(value);
  }
  return partitions;
}
