// Waiting in tests: on a condition, never on a guess of time; and always with a watchdog, so that a lost wake-up is a
// failure with a name and not a run that hangs.

/** @throws an Error that says what was waited for, when `ms` milliseconds were not enough */
export function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Looks again and again until the condition holds. @throws an Error that says what did not happen */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  ms = 5_000,
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms until ${what}`);
    await pause(5);
  }
}

/** Lets time pass: only for rules about time itself, and to show that something does not happen. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Whether a promise has an outcome by now; gives the event loop a few turns first. */
export async function isSettled(promise: Promise<unknown>, afterMs = 30): Promise<boolean> {
  let settled = false;
  const note = (): void => {
    settled = true;
  };
  promise.then(note, note);
  await pause(afterMs);
  return settled;
}
