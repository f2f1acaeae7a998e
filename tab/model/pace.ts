const shortestSeconds = 5;
const longestSeconds = 30;

/** The seconds until the next poll: 5 after news, then longer each time, up to 30. */
export function nextPause(pause: number | undefined, hasNews: boolean): number {
  return pause === undefined || hasNews ? shortestSeconds : Math.min(longestSeconds, Math.round(pause * 1.5));
}

/** Seconds to wait by a `Retry-After` header, which holds seconds or a date. */
export function retryAfterSeconds(header: string | null, now: number): number {
  const given = header?.trim() ?? '';
  const seconds = /^\d{1,6}$/.test(given) ? Number(given) : (Date.parse(given) - now) / 1000;
  return Number.isFinite(seconds) ? Math.max(1, Math.ceil(seconds)) : shortestSeconds;
}
