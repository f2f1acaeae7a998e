const unitSeconds: Readonly<Record<string, number>> = {
  ns: 1e-9,
  us: 1e-6,
  µs: 1e-6, // U+00B5
  μs: 1e-6, // U+03BC
  ms: 1e-3,
  s: 1,
  m: 60,
  h: 3600,
};

/** Go stores a duration as a 64-bit number of nanoseconds. */
const longestSeconds = 9_223_372_036;

export const durationExpected = 'a time above zero as Go writes it, for example 90s, 5m or 1h30m';

/** Returns the seconds of a Go duration (`1h30m`, `1.5h`) above zero, or undefined. */
export function parseDuration(text: string): number | undefined {
  if (!/^\+?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/u.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/\+?(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|[smh])/guy)) {
    seconds += Number(amount) * (unitSeconds[unit ?? ''] ?? Number.NaN);
  }
  // Go rounds less than a nanosecond to zero.
  return seconds >= 1e-9 && seconds <= longestSeconds ? seconds : undefined;
}

/** Returns `1h30m`, `1m30s` or `250ms`. */
export function formatDuration(seconds: number): string {
  const milliseconds = Math.max(1, Math.round(seconds * 1000));
  const hours = Math.floor(milliseconds / 3_600_000);
  const minutes = Math.floor((milliseconds % 3_600_000) / 60_000);
  const rest = milliseconds % 60_000;
  const whole = Math.floor(rest / 1000);
  const parts = [
    hours > 0 ? `${hours}h` : '',
    minutes > 0 ? `${minutes}m` : '',
    whole > 0 ? `${whole}s` : '',
    rest % 1000 > 0 ? `${rest % 1000}ms` : '',
  ];
  return parts.join('');
}
