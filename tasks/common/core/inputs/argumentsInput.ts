import { flagValue, type HelmFlags } from '../helm/helmFlags';
import type { Mistake } from './inputs';
import type { SecretFinder } from '../text/secrets';

type Split = { words: string[] } | { problem: string };

/**
 * Splits a command line into words without a shell. Inside double quotes a backslash escapes `"`, `\`, `$` and a
 * backtick. Outside of quotes it escapes only blanks, quotes and itself, so that Windows paths survive. Line breaks are
 * blanks, also after a backslash.
 */
export function splitArguments(text: string): Split {
  const words: string[] = [];
  let word: string | undefined;
  const joined = text.replaceAll(/\\?(?:\r\n|\r|\n)/g, '\n');
  for (const { groups = {} } of joined.matchAll(wordPart)) {
    const { blank, double, single, open, plain = '' } = groups;
    if (open !== undefined) return { problem: `a ${open} is opened and not closed` };
    if (blank === undefined) {
      word ??= '';
      word += single ?? double?.replaceAll(/\\(["\\$`])/g, '$1') ?? plain.replaceAll(/\\([ \t"'\\])/g, '$1');
    } else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (word !== undefined) words.push(word);
  return { words };
}

const wordPart =
  /(?<blank>\s+)|"(?<double>(?:\\["\\$`]|[^"\\]|\\(?!["\\$`]))*)"|'(?<single>[^']*)'|(?<open>["'])|(?<plain>(?:\\[ \t"'\\]|[^\s"'\\]|\\(?![ \t"'\\]))+)/g;

const connectionInputs = 'use connectionType and kubernetesServiceConnection';
const followed = 'the task follows readiness itself, jobs included, up to timeout';
const valueFilesInstead = 'use valueFiles (a file of JSON is YAML too) or set';
const printsSecrets =
  'it makes Helm print the answers of the API server, also Secrets; set the variable system.debug to true';
const ownRecord = 'the task writes this part of the release itself';

/** Flags that the task passes itself, or that would break its flow, with the input to use instead. */
const ownedFlags: Readonly<Record<string, string>> = {
  wait: followed,
  'wait-for-jobs': followed,
  atomic: 'use onFailure',
  'rollback-on-failure': 'use onFailure',
  'cleanup-on-fail': 'use cleanupOnFail',
  timeout: 'use timeout and rollbackTimeout',
  namespace: 'use namespace',
  'create-namespace': 'use createNamespace',
  kubeconfig: connectionInputs,
  install: 'the task installs what does not exist yet and upgrades what does',
  replace: 'the task installs what does not exist yet and upgrades what does',
  'generate-name': 'use releaseName',
  'name-template': 'use releaseName',
  'dry-run': 'the task always changes the cluster; `helm template` in a script step only renders',
  'hide-secret': 'the task prints no manifests',
  output: "the task reads Helm's output itself; its results are output variables and the report",
  debug: 'set the variable system.debug to true',
  values: 'use valueFiles',
  set: 'use set',
  'set-string': 'use setString',
  'set-file': 'use setFile',
  'set-json': valueFilesInstead,
  'set-literal': 'use setLiteral',
  'history-max': 'use historyMax',
  description: ownRecord,
  labels: ownRecord,
  'no-hooks': 'the task always runs the hooks of the chart',
  version: 'use chartVersion',
  repo: 'use chartRepository',
  'dependency-update': 'use dependencyUpdate',
  help: 'the task runs a deployment',
};

const ownedShorthands: Readonly<Record<string, string>> = {
  n: 'namespace',
  f: 'values',
  i: 'install',
  o: 'output',
  l: 'labels',
  g: 'generate-name',
  h: 'help',
  v: 'v',
};

/** The next letter of the group is another flag. */
const booleanShorthands = new Set(['i', 'g', 'h']);

/** Flags open to users without a value. All other flags take a value. */
const booleanFlags = new Set([
  'devel',
  'disable-openapi-validation',
  'enable-dns',
  'force',
  'force-conflicts',
  'force-replace',
  'hide-notes',
  'insecure-skip-tls-verify',
  'pass-credentials',
  'plain-http',
  'render-subchart-notes',
  'reset-then-reuse-values',
  'reset-values',
  'reuse-values',
  'skip-crds',
  'skip-schema-validation',
  'take-ownership',
  'verify',
]);

export function readArguments(text: string, secrets: SecretFinder): { words: string[]; mistakes: Mistake[] } {
  const split = splitArguments(text);
  if ('problem' in split) return { words: [], mistakes: [{ input: 'arguments', problem: split.problem }] };
  const flags = groupFlags(split.words);
  const mistakes = flags.flatMap((flag) => flagMistakes(flag, secrets));
  // A secret with blanks is spread over several words, and none of them may be shown.
  const isCut = !split.words.some((word) => secrets.isIn(word));
  if (isCut && (secrets.isIn(text) || secrets.isIn(split.words.join(' ')))) {
    return { words: split.words, mistakes: [secretMistake('a flag')] };
  }
  return { words: split.words, mistakes };
}

/** Refuses flags that Helm's help does not list: if one takes no value, the next word would be the chart. */
export function checkArguments(words: readonly string[], flags: HelmFlags, secrets: SecretFinder): Mistake[] {
  const mistakes: Mistake[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const flag = asFlag(words[at] ?? '');
    if (!('name' in flag)) {
      mistakes.push(...flagMistakes(flag, secrets));
      continue;
    }
    const value = flagValue(flag.name, flags);
    if (value === undefined) {
      const problem = 'this Helm does not list it in `helm upgrade --help`';
      mistakes.push({ input: 'arguments', holds: `--${flag.name}`, problem });
      continue;
    }
    if (value === 'required' && flag.value === undefined) {
      at += 1;
      flag.value = words[at];
      if (flag.value === undefined) {
        mistakes.push({
          input: 'arguments',
          holds: `--${flag.name}`,
          problem: 'it has no value, and this Helm expects one',
        });
      }
    }
    mistakes.push(...flagMistakes(flag, secrets));
  }
  return mistakes;
}

type Flag = { name: string; value: string | undefined } | { shorthands: string } | { positional: string };

function groupFlags(words: readonly string[]): Flag[] {
  const flags: Flag[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const flag = asFlag(words[at] ?? '');
    flags.push(flag);
    if ('shorthands' in flag && shorthandTakesNext(flag.shorthands)) at += 1;
    if (!('name' in flag) || flag.value !== undefined || booleanFlags.has(flag.name)) continue;
    const next = words[at + 1];
    // A flag that the task owns is refused anyway, so its value must not be reported as a stray word.
    const takesNext = next !== undefined && (!next.startsWith('-') || insteadOf(flag.name) === undefined);
    if (!takesNext || (!valueFlags.has(flag.name) && next.startsWith('-'))) continue;
    flag.value = next;
    at += 1;
  }
  return flags;
}

function asFlag(word: string): Flag {
  if (word === '--' || word === '-' || !word.startsWith('-')) return { positional: word };
  if (!word.startsWith('--')) return { shorthands: word.slice(1) };
  const equals = word.indexOf('=');
  if (equals < 0) return { name: word.slice(2), value: undefined };
  return { name: word.slice(2, equals), value: word.slice(equals + 1) };
}

/** Flags open to users with a value, of the Helm versions known today. */
const valueFlags = new Set([
  'burst-limit',
  'ca-file',
  'cert-file',
  'color',
  'colour',
  'content-cache',
  'key-file',
  'keyring',
  'password',
  'post-renderer',
  'post-renderer-args',
  'qps',
  'registry-config',
  'repository-cache',
  'repository-config',
  'server-side',
  'username',
]);

/** Flags that other commands of Helm need to find the same chart. */
const chartFlags = new Set([
  'ca-file',
  'cert-file',
  'content-cache',
  'devel',
  'insecure-skip-tls-verify',
  'key-file',
  'keyring',
  'pass-credentials',
  'password',
  'plain-http',
  'registry-config',
  'repository-cache',
  'repository-config',
  'username',
  'verify',
]);

export function chartArguments(words: readonly string[]): string[] {
  return groupFlags(words).flatMap((flag) => {
    if (!('name' in flag) || !chartFlags.has(flag.name)) return [];
    return [flag.value === undefined ? `--${flag.name}` : `--${flag.name}=${flag.value}`];
  });
}

/** The value of a flag of the user; the last one counts. */
export function valueOfFlag(words: readonly string[], name: string): string | undefined {
  return groupFlags(words)
    .flatMap((flag) => ('name' in flag && flag.name === name ? (flag.value ?? []) : []))
    .at(-1);
}

/** Hidden flags that Helm inherits from Kubernetes' libraries, written with `-` or `_`. */
const klogFlag =
  /^(?:v|vmodule|log[-_].*|.*logtostderr.*|stderrthreshold|legacy[-_]stderr.*|(?:add[-_]dir|skip)[-_].*header.*|one[-_]output)$/;

function insteadOf(name: string): string | undefined {
  if (Object.hasOwn(ownedFlags, name)) return ownedFlags[name];
  if (klogFlag.test(name)) return printsSecrets;
  if (name.startsWith('kube-')) return connectionInputs;
  if (name.startsWith('wait-')) return followed;
  if (name.startsWith('set-')) return valueFilesInstead;
  return undefined;
}

function flagMistakes(flag: Flag, secrets: SecretFinder): Mistake[] {
  if ('positional' in flag) return [positionalMistake(flag.positional)];
  if ('shorthands' in flag) return shorthandMistakes(flag.shorthands);
  const instead = insteadOf(flag.name);
  if (instead !== undefined) return [ownedMistake(`--${flag.name}`, instead)];
  if (secrets.isIn(flag.name) || (flag.value !== undefined && secrets.isIn(flag.value))) {
    return [secretMistake(`--${flag.name}`)];
  }
  return [];
}

function positionalMistake(word: string): Mistake {
  const problem = 'it is not a flag, and only flags belong here: the release is releaseName, the chart is chart';
  return { input: 'arguments', holds: word === '' ? "''" : word, problem };
}

function ownedMistake(flag: string, instead: string): Mistake {
  return { input: 'arguments', holds: flag, problem: `the task owns this flag: ${instead}` };
}

function secretMistake(flag: string): Mistake {
  const problem =
    'its value holds a secret of the job, and what is on a command line can be read by every process of the machine; ' +
    'let an earlier step put it into a file or run `helm registry login` or `helm repo add` with it on stdin';
  return { input: 'arguments', holds: flag, problem };
}

function shorthandTakesNext(letters: string): boolean {
  const valued = [...letters.matchAll(/./gu)].findIndex(([letter]) => !booleanShorthands.has(letter));
  return valued === letters.length - 1 && letters.charAt(valued) in ownedShorthands;
}

function shorthandMistakes(letters: string): Mistake[] {
  const mistakes: Mistake[] = [];
  for (const letter of letters) {
    const name = ownedShorthands[letter];
    if (name === undefined) {
      return [...mistakes, { input: 'arguments', holds: `-${letters}`, problem: 'Helm has no such flag' }];
    }
    mistakes.push(ownedMistake(`-${letter}`, insteadOf(name) ?? ''));
    if (!booleanShorthands.has(letter)) return mistakes;
  }
  return mistakes;
}
