/** Node stores the time of a timer in 31 bits, so a timer above 24.9 days fires at once. */
const longestTimerMs = 2 ** 31 - 1;

/** For a time of any length. Returns a function that stops the timer. */
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

/** Like `AbortSignal.timeout`, for a time of any length. It does not keep the process alive. */
export function timeoutSignal(milliseconds: number): AbortSignal {
  return milliseconds <= longestTimerMs ? AbortSignal.timeout(milliseconds) : new AbortController().signal;
}
