// What GET /health says: whether publishers wait, whether messages are damaged, and where what is durable is.

import type { Core } from '../../core.ts';

export interface State {
  /** `degraded`: some queues are quarantined, the others are served. `blocked`: publishers wait. */
  readonly status: 'ok' | 'degraded' | 'blocked';
  /** Why publishers wait. */
  readonly reason: string | undefined;
  /** Queues with messages that cannot be read. Which they are is told to who may know. */
  readonly quarantined: number;
  /** Where what is durable is kept, and how safe it is when it is confirmed. */
  readonly storage:
    | { readonly kind: 'memory' }
    | { readonly kind: 'disk'; readonly sync: string; readonly full: boolean; readonly pendingBytes: number };
}

export function stateOf(core: Core): State {
  const { blocked: reason, store } = core;
  const quarantined = core.quarantined.length;
  return {
    status: quarantined > 0 ? 'degraded' : reason === undefined ? 'ok' : 'blocked',
    reason,
    quarantined,
    storage:
      store === undefined
        ? { kind: 'memory' }
        : { kind: 'disk', sync: store.level, full: store.isFull, pendingBytes: store.pendingBytes },
  };
}
