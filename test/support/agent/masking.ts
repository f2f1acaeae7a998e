/** Masks the job's secrets in shown text. Only whole values are masked, parts of a secret are shown. */
export interface SecretMasker {
  /** Registers a value unchanged, and the forms that the agent's encoders make from it. */
  readonly add: (value: string) => void;
  /** Registers a secret variable of the job, also trimmed, unquoted, escaped and in base64. */
  addSecretVariable(value: string): void;
  mask(text: string): string;
  /** Returns true if any registered form occurs in the text. */
  finds(text: string): boolean;
}

const encoders: readonly ((value: string) => string)[] = [
  (value) => value,
  (value) => JSON.stringify(value).slice(1, -1),
  uriEscaped,
  (value) => value.replaceAll('\\\\', '\\').replaceAll("\\'", "'").replaceAll('\\"', '"'),
];

// Authorization parameters that the agent does not treat as secrets.
const plainAuthorizationParameters = new Set(
  [
    'role',
    'scope',
    'tenantid',
    'issuedAt',
    'expiresAt',
    'audience',
    'authenticationType',
    'authorizationType',
    'accessTokenType',
    'accessTokenFetchingMethod',
    'useWindowsSecurity',
    'unsecured',
    'oauthAccessTokenIsSupplied',
    'completeCallbackPayload',
    'acceptUntrustedCerts',
  ].map((name) => name.toLowerCase()),
);

export function isSecretAuthorizationParameter(name: string): boolean {
  return !plainAuthorizationParameters.has(name.toLowerCase());
}

export function createSecretMasker(): SecretMasker {
  const values = new Set<string>();
  const add = (value: string): void => {
    for (const encode of encoders) {
      const encoded = encode(value);
      if (encoded !== '') values.add(encoded);
    }
  };
  const addSecretVariable = (value: string): void => {
    if (value.trim() === '') return;
    for (const form of variableForms(value)) add(form);
  };
  const mask = (text: string): string => replaceRanges(text, occurrences(text, values));
  return { add, addSecretVariable, mask, finds: (text) => occurrences(text, values).length > 0 };
}

function variableForms(value: string): string[] {
  const base64 = Buffer.from(value, 'utf8').toString('base64');
  const lineEscaped = (text: string): string => text.replaceAll('\r', '%0D').replaceAll('\n', '%0A');
  const escaped = (text: string): string => lineEscaped(text.replaceAll('%', '%AZP25'));
  return [value, base64].flatMap((text) => [text, escaped(text), lineEscaped(text)]).flatMap(trimmedForms);
}

function trimmedForms(value: string): string[] {
  const unquoted = ['"', "'"].filter((quote) => value.length > 1 && value.startsWith(quote) && value.endsWith(quote));
  return [value, value.trim(), ...unquoted.map((quote) => trimCharacter(value, quote))];
}

function trimCharacter(value: string, character: string): string {
  let start = 0;
  let end = value.length;
  while (start < end && value[start] === character) start += 1;
  while (end > start && value[end - 1] === character) end -= 1;
  return value.slice(start, end);
}

function uriEscaped(value: string): string {
  const code = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  try {
    return encodeURIComponent(value).replace(/[!'()*]/g, code);
  } catch {
    // A lone surrogate cannot be encoded, so such a value has no URI form.
    return value;
  }
}

type Range = readonly [start: number, end: number];

function occurrences(text: string, values: Iterable<string>): Range[] {
  const ranges: Range[] = [];
  for (const value of values) {
    for (let at = text.indexOf(value); at >= 0; at = text.indexOf(value, at + 1)) ranges.push([at, at + value.length]);
  }
  return ranges.sort((left, right) => left[0] - right[0]);
}

// Overlapping and adjacent occurrences become one mask.
function replaceRanges(text: string, ranges: readonly Range[]): string {
  let masked = '';
  let shownTo = 0;
  let maskedTo = -1;
  for (const [start, end] of ranges) {
    if (start > maskedTo) masked += `${text.slice(shownTo, start)}***`;
    maskedTo = Math.max(maskedTo, end);
    shownTo = maskedTo;
  }
  return masked + text.slice(shownTo);
}
