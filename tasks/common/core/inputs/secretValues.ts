import { readGoYaml } from '../kubernetes/goYaml';
import { isRecord } from '../kubernetes/json';
import { shortestSecret } from '../text/secrets';
import type { InputFiles, InputLine, InputReader } from './inputs';
import { leafPaths, type ValuePath } from './strvals';

type Values = Readonly<Record<string, unknown>>;

/** A values file that sops has encrypted. */
export interface SecretValuesFile {
  /** Absolute. */
  path: string;
  /** For example `secretValueFiles, line 2`. */
  input: string;
  format: 'yaml' | 'json';
  /** One of its keys is in Azure Key Vault. */
  hasVaultKey: boolean;
}

export interface SecretValuesRequest {
  files: readonly SecretValuesFile[];
  /** An absolute path. Absent: `sops` on PATH or in the tool cache. */
  sopsPath?: string;
  /** Names are not encrypted, so the paths of the values are known before they are. */
  paths: readonly ValuePath[];
}

export const secretValuesDefaults = { secretValueFiles: '', sopsPath: '' } as const;

/** Undefined if there are no such files. */
export function readSecretValues(read: InputReader, files: InputFiles): SecretValuesRequest | undefined {
  const lines = read.lines('secretValueFiles');
  const sopsPath = readSopsPath(read, files);
  const found = lines.flatMap((line) => readFile(read, files, line));
  if (lines.length === 0) return undefined;
  return {
    files: found.map(({ file }) => file),
    paths: found.flatMap(({ paths }) => paths),
    ...(sopsPath === undefined ? {} : { sopsPath }),
  };
}

function readSopsPath(read: InputReader, files: InputFiles): string | undefined {
  const given = read.optionalText('sopsPath');
  if (given === undefined) return undefined;
  if (files.kind(given) !== 'file') {
    const problem =
      'there is no such file; expected the path of the program sops, or nothing for the one on PATH or in the tool cache';
    read.mistake({ input: 'sopsPath', holds: given, problem });
  }
  return files.absolute(given);
}

function readFile(read: InputReader, files: InputFiles, { text, number }: InputLine) {
  const input = `secretValueFiles, line ${number}`;
  const problem = fileProblem(files, text);
  if (problem !== undefined) {
    read.mistake({ input, holds: text, problem });
    return [];
  }
  const encrypted = files.readText(text);
  const parts = encryptedParts(encrypted);
  if (parts === undefined) {
    read.mistake({ input, holds: text, problem: notEncrypted });
    return [];
  }
  const format = encrypted.trimStart().startsWith('{') ? 'json' : 'yaml';
  const { sops, values } = parts;
  const hasVaultKey = keyListsOf(sops).some((keys) => Array.isArray(keys['azure_kv']) && keys['azure_kv'].length > 0);
  const file = { path: files.absolute(text), input, format, hasVaultKey } as const;
  return [{ file, paths: leafPaths(values) }];
}

const notEncrypted =
  'this file is not encrypted by sops as one document of YAML or JSON (it has no part «sops» with a «mac»); encrypt it with `sops encrypt`, or give it in valueFiles';

function fileProblem(files: InputFiles, path: string): string | undefined {
  switch (files.kind(path)) {
    case 'missing':
      return 'there is no such file; relative paths start at System.DefaultWorkingDirectory';
    case 'folder':
      return 'this is a folder, expected a file of values that sops has encrypted';
    case 'unreadable':
      return 'this file cannot be read by the user that the agent runs as';
    case 'file':
      return undefined;
  }
}

/** The keys stand in sops' own part, or in groups of it. */
function keyListsOf(sops: Values): Values[] {
  const groups: unknown = sops['key_groups'];
  return [sops, ...(Array.isArray(groups) ? (groups as unknown[]).filter(isRecord) : [])];
}

/** The values of an encrypted file and sops' own part. Undefined if it is no such file. */
function encryptedParts(text: string): { sops: Values; values: Values } | undefined {
  const [document, ...more] = readGoYaml(text.replace(/^\ufeff/, ''));
  const value = document !== undefined && 'value' in document ? document.value : undefined;
  if (more.length > 0 || !isRecord(value)) return undefined;
  const { sops, ...values } = value;
  return isRecord(sops) && typeof sops['mac'] === 'string' ? { sops, values } : undefined;
}

/**
 * Every text that was encrypted is a secret from now on. Numbers, switches, and what sops left readable are not.
 * `encrypted` is the text of the file, `decrypted` the values that sops made of it.
 */
export function decryptedSecrets(encrypted: string, decrypted: Values): string[] {
  return textsBeside(encryptedParts(encrypted)?.values ?? {}, decrypted);
}

function textsBeside(encrypted: unknown, decrypted: unknown): string[] {
  if (typeof decrypted === 'string') {
    const wasReadable = encrypted === decrypted;
    return wasReadable || decrypted.trim().length < shortestSecret ? [] : [decrypted];
  }
  if (typeof decrypted !== 'object' || decrypted === null) return [];
  return Object.entries(decrypted).flatMap(([name, value]) => textsBeside(partOf(encrypted, name), value));
}

function partOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? (value as Values)[name]
    : undefined;
}

/**
 * Merges values files as Helm does. Returns undefined if one document cannot stand for all of them: a mapping that
 * replaces a value must not be merged into a mapping of an earlier file.
 */
export function mergedValues(files: readonly Values[]): Values | undefined {
  return files.reduce<Values | undefined>((all, file) => all && mergedPair(all, file), {});
}

function mergedPair(all: Values, file: Values): Values | undefined {
  const merged: Record<string, unknown> = { ...all };
  for (const [name, value] of Object.entries(file)) {
    const before = all[name];
    if (!isRecord(value) || !Object.hasOwn(all, name)) {
      merged[name] = value;
      continue;
    }
    const both = isRecord(before) ? mergedPair(before, value) : undefined;
    if (both === undefined) return undefined;
    merged[name] = both;
  }
  return merged;
}

/** sops' exit codes, of cmd/sops/codes. */
const macMismatch = 51;
const noKey = 128;

const mostLines = 4;

/** A clause for a message. `said` is redacted. */
export function sopsProblem(exitCode: number | undefined, said: string): string {
  const words = said
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .slice(0, mostLines)
    .join(' ');
  switch (exitCode) {
    case macMismatch:
      return `it was changed after it was encrypted: its MAC does not fit. Restore it, or edit it with \`sops edit\`. sops says: ${words}`;
    case noKey:
      if (isForbiddenVaultKey(said)) return `${forbiddenVaultKey}. sops says: ${words}`;
      return `this agent has none of the keys for it. Give sops its key (the variable SOPS_AGE_KEY_FILE with the path of a secure file, a key in the keyring of GnuPG, or the access to the key service that the file names). sops says: ${words}`;
    default:
      return `sops ended with exit code ${exitCode ?? 'none'}: ${words}`;
  }
}

/** sops breaks the lines of the answer, and puts a bar before each. */
function isForbiddenVaultKey(said: string): boolean {
  const answer = said.replace(/[\s|]+/g, ' ');
  return answer.includes('Azure Key Vault') && /RESPONSE 403\b/.test(answer);
}

const forbiddenVaultKey =
  'the key vault answered 403: the identity may not decrypt with this key. Give the identity of azureSubscription the role Key Vault Crypto User on the key, or the permission «decrypt» in the access policies of the vault';
