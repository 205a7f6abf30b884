// Waiting in tests: on a condition, never on a guess of time; and always with a watchdog, so that a lost wake-up is a
// failure with a name and not a run that hangs.

/** Of a watchdog's time. One long timer would count what a busy machine gave to others; a short one is late then, and counts once. */
const SLICE_MS = 50;
/** Between two looks at a condition. */
const LOOK_MS = 5;

/** @throws an Error that says what was waited for, when `ms` milliseconds of a machine that is not busy were not enough */
export function within<T>(promise: Promise<T>, ms: number, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    let slices = Math.ceil(ms / SLICE_MS);
    const count = (): void => {
      slices -= 1;
      if (slices <= 0) reject(new Error(`waited ${ms} ms for ${what}`));
    };
    const timer = setInterval(count, Math.min(ms, SLICE_MS));
    promise.then(resolve, reject).finally(() => clearInterval(timer));
  });
}

/** Looks again and again until the condition holds. @throws an Error that says what did not happen */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  what: string,
  ms = 5_000,
): Promise<void> {
  for (let looks = ms / LOOK_MS; !(await condition()); looks -= 1) {
    if (looks <= 0) throw new Error(`waited ${ms} ms until ${what}`);
    await pause(LOOK_MS);
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
