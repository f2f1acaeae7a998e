const suffixes: Readonly<Record<string, number>> = {
  '': 1,
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

const grammar = /^([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:([eE][+-]?\d+)|([KMGTPE]i|[numkMGTPE]))?$/;

/** Returns equal numbers for equal quantities, and undefined for other values. */
export function quantity(value: unknown): number | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const [, amount, exponent = '', suffix = ''] = grammar.exec(String(value).trim()) ?? [];
  if (amount === undefined) return undefined;
  // Thousandths are not exact in binary, but 0.1 and 100m must be the same number.
  return Number((Number(`${amount}${exponent}`) * (suffixes[suffix] ?? Number.NaN)).toPrecision(12));
}
