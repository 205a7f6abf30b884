// What is done for open handles when a process or worker ends without closing them: one listener for all of them.

const leaving = new Set<() => void>();
let isListening = false;

/** Calls `leave` when this thread ends in an orderly way. @returns a function that forgets it */
export function atExit(leave: () => void): () => void {
  leaving.add(leave);
  if (!isListening) {
    isListening = true;
    process.on('exit', runAll);
  }
  return () => {
    leaving.delete(leave);
    if (leaving.size > 0 || !isListening) return;
    isListening = false;
    process.off('exit', runAll);
  };
}

function runAll(): void {
  for (const leave of leaving) {
    try {
      leave();
    } catch {
      // What could not be cleaned up here is cleaned up by whoever touches the mailbox next.
    }
  }
}
