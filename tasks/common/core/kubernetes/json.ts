export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Returns the empty text for a value that is no text. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
