// Reading through the package @platformatic/kafka: membership of a group, fetching and committing are single calls there, and the loop that
// reads is ours.

import { Backoff } from '../../../link/backoff.ts';
import { atMost } from '../../../mailbox/waiting.ts';
import type { ConsumerEvents, KafkaConsumer } from '../client.ts';
import { enterAgain, enterFirst, type Entrant } from '../entry.ts';
import { isCalled } from '../failures.ts';
import { FETCH, GROUP, REQUEST } from '../limits.ts';
import { assignInTurn } from './assign.ts';
import { type Consumer, discard } from './package.ts';
import { recordsOf } from './records.ts';

/** One consumer for the group, whose calls must not stand behind a fetch that waits, and one that fetches. */
export class PlatformaticConsumer implements KafkaConsumer {
  readonly #make: (groupId: string) => Consumer;
  readonly #topic: string;
  readonly #group: string | undefined;
  readonly #events: ConsumerEvents;
  readonly #ending = new AbortController();
  readonly #entrant: Entrant = {
    enter: () => this.#enter(),
    drop: () => this.#drop(),
    close: () => this.close(),
    trouble: (error) => this.#events.trouble(error),
    ending: this.#ending.signal,
  };
  #member: Consumer | undefined;
  #reader: Consumer | undefined;
  #isJoining = false;
  /** Counts assignments: a loop of an earlier one ends. */
  #generation = 0;

  constructor(
    make: (groupId: string) => Consumer,
    topic: string,
    group: string | undefined,
    events: ConsumerEvents,
  ) {
    this.#make = make;
    this.#topic = topic;
    this.#group = group;
    this.#events = events;
  }

  /** The first time its errors are the caller's. */
  start(signal: AbortSignal): Promise<void> {
    return enterFirst(this.#entrant, signal);
  }

  async commit(positions: ReadonlyMap<number, number>): Promise<void> {
    if (this.#group === undefined) return;
    const offsets = Array.from(positions, ([partition, offset]) => ({
      topic: this.#topic,
      partition,
      offset: BigInt(offset),
      leaderEpoch: -1,
    }));
    const member = this.#member;
    if (member === undefined || member.memberId === null) throw new Error('it is not in the group just now');
    await member.commit({ offsets });
  }

  async close(): Promise<void> {
    this.#generation += 1;
    this.#ending.abort();
    discard(this.#reader);
    const member = this.#member;
    this.#member = undefined;
    if (member === undefined) return;
    // Behind a join that is under way no request is answered: the others find out when the session is over.
    const leaveMs = this.#isJoining ? 0 : REQUEST.connectMs;
    const leave = member.leaveGroup(true).catch(() => undefined);
    if (member.memberId !== null) await atMost(leave, leaveMs);
    await member.close(true).catch(() => undefined);
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  async #enter(): Promise<void> {
    if (this.#group === undefined) {
      const reader = this.#renewReader();
      const { topics } = await reader.metadata({ topics: [this.#topic], forceUpdate: true });
      const count = topics.get(this.#topic)?.partitions.length ?? 0;
      await this.#assign(Array.from({ length: count }, (_, partition) => partition));
      return;
    }
    const member = this.#make(this.#group);
    this.#member = member;
    member.topics.track(this.#topic);
    let answered: Promise<void> = Promise.resolve();
    member.on('consumer:group:join', () => {
      const own = member.assignments?.find(({ topic }) => topic === this.#topic)?.partitions ?? [];
      if (this.#member === member && !this.#isOver) answered = this.#assign([...own]);
      answered.catch((error: unknown) => this.#lost(member, error));
    });
    // It could not join again: its package gives up then.
    member.on('error', (error) => this.#lost(member, error));
    this.#watch(member);
    await this.#join(member);
    await answered;
  }

  async #join(member: Consumer): Promise<void> {
    // Only then does the group take its time.
    await member.findGroupCoordinator();
    this.#isJoining = true;
    this.#events.joining();
    const joined = member.joinGroup({
      sessionTimeout: GROUP.sessionMs,
      rebalanceTimeout: GROUP.rebalanceMs,
      heartbeatInterval: GROUP.heartbeatMs,
      partitionAssigner: assignInTurn,
    });
    await joined.finally(() => {
      this.#isJoining = false;
    });
    // To a member that was closed meanwhile its package tells no error.
    if (this.#isOver) throw new Error('it was closed while it joined');
  }

  /**
   * The package asks only once which broker coordinates the group, and tells that one for ever that this member lives. When it does not want to
   * hear it, or no answer came for so long that the others are told that this member is dead, it enters anew.
   */
  #watch(member: Consumer): void {
    let heard = performance.now();
    member.on('consumer:heartbeat:end', () => {
      heard = performance.now();
    });
    member.on('consumer:heartbeat:error', ({ error }) => {
      const isOver = performance.now() - heard > GROUP.sessionMs;
      if (isOver || isCalled(error, 'NOT_COORDINATOR')) this.#lost(member, error);
    });
  }

  /** Its membership is over: tries to enter again until it works. */
  #lost(member: Consumer, error: unknown): void {
    if (this.#member !== member || this.#isOver) return;
    this.#events.trouble(error);
    this.#generation += 1;
    this.#drop();
    void enterAgain(this.#entrant);
  }

  #drop(): void {
    const member = this.#member;
    this.#member = undefined;
    discard(member);
  }

  async #assign(partitions: readonly number[]): Promise<void> {
    this.#generation += 1;
    const generation = this.#generation;
    const positions = new Map(await this.#events.assigned(partitions));
    if (generation !== this.#generation || partitions.length === 0) return;
    void this.#readAll(positions, generation);
  }

  /** The same partitions once more; where to read them is asked again, for some of it may be gone by now. */
  async #retry(partitions: readonly number[]): Promise<void> {
    const backoff = new Backoff();
    for (;;) {
      const generation = this.#generation;
      await backoff.wait(this.#ending.signal, false);
      if (this.#isOver || this.#generation !== generation) return;
      try {
        await this.#assign(partitions);
        return;
      } catch (error) {
        if (this.#isOver) return;
        this.#events.trouble(error);
      }
    }
  }

  #renewReader(): Consumer {
    discard(this.#reader);
    const reader = this.#make('naru');
    reader.topics.track(this.#topic);
    this.#reader = reader;
    return reader;
  }

  /** Until another assignment comes: one loop for each broker that leads partitions of ours. */
  async #readAll(positions: Map<number, number>, generation: number): Promise<void> {
    const isCurrent = (): boolean => generation === this.#generation && !this.#isOver;
    try {
      const reader = this.#reader ?? this.#renewReader();
      const { topics } = await reader.metadata({ topics: [this.#topic], forceUpdate: true });
      const topic = topics.get(this.#topic);
      if (topic === undefined) throw new Error(`Unknown topic ${this.#topic}`);
      // One that fails ends them all: its broker may lead no more.
      await Promise.all(
        Array.from(byLeader(topic, positions.keys()), ([node, partitions]) =>
          this.#readFrom(reader, { node, topicId: topic.id, partitions }, positions, isCurrent),
        ),
      );
    } catch (error) {
      if (!isCurrent()) return;
      this.#generation += 1;
      discard(this.#reader);
      this.#reader = undefined;
      this.#events.trouble(error);
      await this.#retry([...positions.keys()]);
    }
  }

  async #readFrom(
    reader: Consumer,
    { node, topicId, partitions }: Leader,
    positions: Map<number, number>,
    isCurrent: () => boolean,
  ): Promise<void> {
    const blocked = new Map<number, Promise<void>>();
    while (isCurrent()) {
      const open = partitions.filter((partition) => !blocked.has(partition));
      if (open.length === 0) {
        await Promise.race(blocked.values());
        continue;
      }
      const response = await reader.fetch({
        node,
        minBytes: 1,
        maxBytes: FETCH.bytesMax,
        // What is blocked now must not wait for messages of others when it is not any more.
        maxWaitTime: blocked.size > 0 ? FETCH.blockedWaitMs : FETCH.waitMs,
        topics: [
          { topicId, partitions: open.map((partition) => asked(partition, positions.get(partition) ?? 0)) },
        ],
      });
      if (!isCurrent()) return;
      for (const { partitionIndex, records } of response.responses.flatMap((one) => one.partitions)) {
        if (records === undefined || records === null || records.length === 0) continue;
        const { list, next } = recordsOf(records, positions.get(partitionIndex) ?? 0);
        positions.set(partitionIndex, next);
        if (list.length === 0) continue;
        const room = this.#events.records(partitionIndex, list);
        if (room === undefined) continue;
        blocked.set(
          partitionIndex,
          room.finally(() => blocked.delete(partitionIndex)),
        );
      }
    }
  }
}

interface Leader {
  readonly node: number;
  readonly topicId: string;
  readonly partitions: readonly number[];
}

function byLeader(
  topic: { readonly partitions: readonly { readonly leader: number }[] },
  partitions: Iterable<number>,
): Map<number, number[]> {
  const leaders = new Map<number, number[]>();
  for (const partition of partitions) {
    const leader = topic.partitions[partition]?.leader ?? -1;
    leaders.set(leader, [...(leaders.get(leader) ?? []), partition]);
  }
  return leaders;
}

function asked(partition: number, position: number): object {
  return {
    partition,
    fetchOffset: BigInt(position),
    partitionMaxBytes: FETCH.partitionBytesMax,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
  };
}
