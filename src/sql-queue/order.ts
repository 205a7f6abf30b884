// The number of a message says when its turn is: urgency above, sequence below. So one key serves taking in order, settling and looking up, and
// a table needs no second index that every message would have to enter and leave.

/** Of a place on a database; a message of this priority comes first. */
const PRIORITY_MAX = 255;
/** Sequence numbers below one priority; the number of every message stays an exact integer in JavaScript. */
const SEQUENCES: number = 2 ** 45;

export function orderOf(priority: number, sequence: number): number {
  return (PRIORITY_MAX - priority) * SEQUENCES + sequence;
}

/** The number before all others of the same priority. */
export function firstOfPriority(order: number): number {
  return order - (order % SEQUENCES);
}

/** The same as orderOf() in SQL. */
export function orderIn(priority: string, sequence: string): string {
  return `(${PRIORITY_MAX} - ${priority}) * ${SEQUENCES} + ${sequence}`;
}
