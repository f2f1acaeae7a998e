/** Node keeps the time of a timer in 31 bits: one of 24.9 days fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/** Acts once after a time of any length, unless it is stopped before: that is what the answer does. */
export function startTimer(act: () => void, milliseconds: number): () => void {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number): void => {
    const partMs = Math.min(leftMs, longestTimerMs);
    timer = setTimeout(() => {
      if (partMs < leftMs) wait(leftMs - partMs);
      else act();
    }, partMs);
  };
  wait(milliseconds);
  return () => {
    clearTimeout(timer);
  };
}

/** As `AbortSignal.timeout`, for a time of any length; it keeps no process alive. */
export function timeoutSignal(milliseconds: number): AbortSignal {
  return milliseconds <= longestTimerMs ? AbortSignal.timeout(milliseconds) : new AbortController().signal;
}
