// Ordering keys: of the items with one key one at a time is ready or in flight; the others are parked here, so they block
// nobody else. Which items a queue holds is the queue's business.

import { Heap } from './heap.ts';
import { comesBefore, type KeyState, type Slot, SlotState, setOrderIndex } from './slot.ts';

export class Keys<T> {
  readonly #states = new Map<string, KeyState<T>>();

  /** The state of a key, made at first use. */
  of(name: string): KeyState<T> {
    let state = this.#states.get(name);
    if (state === undefined) {
      state = { name, current: undefined, parked: undefined };
      this.#states.set(name, state);
    }
    return state;
  }

  /** Parks a slot; it must have `more`. */
  park(state: KeyState<T>, slot: Slot<T>): void {
    slot.state = SlotState.parked;
    state.parked ??= new Heap<Slot<T>>(comesBefore, setOrderIndex);
    state.parked.push(slot);
  }

  /** The key is free: its best parked slot becomes current and is returned, to be made ready. */
  next(state: KeyState<T>): Slot<T> | undefined {
    state.current = state.parked?.pop();
    if (state.current === undefined) this.#states.delete(state.name);
    return state.current;
  }

  /** Calls `see` with every parked slot. */
  visit(see: (slot: Slot<T>) => void): void {
    for (const state of this.#states.values()) state.parked?.items.forEach(see);
  }
}
