import { repositoryName } from './chartLogins';
import type { DeployRequest } from './deployRequest';
import { TaskError } from '../failure';
import { privateTextFlags } from './setValues';
import { shortestSecret, type SecretFinder } from '../text/secrets';
import { valuesFlagArgument } from './valuesFile';

export interface Argument {
  text: string;
  /** The input that holds the word. Absent for a word that the task adds. */
  given?: { input: string; text: string };
}

/** Files that the adapter wrote for Helm, for everything that must not be on a command line. */
export interface PreparedInputs {
  /** Replaces a path that holds a secret; see `DeployRequest`. */
  chart?: string;
  /** In the order of the request's files; undefined for a file that Helm reads itself. */
  valueFiles: readonly (string | undefined)[];
  secretValues?: SecretValuesForHelm;
  values: PrivateValueFiles;
}

/** Decrypted values: one document for Helm's standard input, or the paths of several files. */
export type SecretValuesForHelm = { stdin: string } | { files: readonly string[] };

/** Paths of files. `texts` are in the order of `privateTexts`. */
interface PrivateValueFiles {
  values?: string;
  texts: readonly string[];
}

type ChartRequest = Pick<DeployRequest, 'chart' | 'chartVersion' | 'verify'>;

/** The flags for the chart and its repository. The part of a path up to `folder` does not come from an input. */
export function chartReference(request: ChartRequest, prepared: PreparedInputs, folder: string): Argument[] {
  const { chart, chartVersion, verify } = request;
  const repository = chart.kind === 'repository' ? chart.repository : undefined;
  return [
    prepared.chart === undefined ? chartWord(chart, folder) : made(prepared.chart),
    ...(repository === undefined ? [] : [made('--repo'), given('chartRepository', repository)]),
    ...(chartVersion === undefined ? [] : [made('--version'), given('chartVersion', chartVersion)]),
    ...(verify === undefined ? [] : [made('--verify')]),
    ...(verify?.keyring === undefined ? [] : [made('--keyring'), given('keyring', verify.keyring, folder)]),
  ];
}

function chartWord({ kind, reference }: DeployRequest['chart'], folder: string): Argument {
  const word = given('chart', reference, folder);
  return kind === 'privateRepository' ? { ...word, text: `${repositoryName}/${reference}` } : word;
}

/** All value flags, in the order that keeps Helm's precedence, and the extra flags of the user. */
export function inputArguments(
  request: Pick<DeployRequest, 'valueFiles' | 'values' | 'extraArguments'>,
  prepared: PreparedInputs,
  folder: string,
): Argument[] {
  const files = request.valueFiles.map((file, index) => {
    const ready = prepared.valueFiles[index];
    if (ready !== undefined) return made(valuesFlagArgument(ready));
    const reference = typeof file === 'string' ? file : file.reference;
    return { ...given('valueFiles', reference, folder), text: valuesFlagArgument(reference) };
  });
  const { secretValues } = prepared;
  if (secretValues !== undefined) {
    const words = 'stdin' in secretValues ? ['-'] : secretValues.files.map(valuesFlagArgument);
    files.push(...words.map(made));
  }
  const { values } = prepared.values;
  if (values !== undefined) files.push(made(valuesFlagArgument(values)));
  return [
    ...files.flatMap((file) => [made('--values'), file]),
    ...request.values.argv.map((word, index) => (index % 2 === 0 ? made(word) : given('set', word))),
    ...privateTextFlags(request.values, prepared.values.texts).map(made),
    ...request.extraArguments.map((text) => given('arguments', text)),
  ];
}

export function made(text: string): Argument {
  return { text };
}

export function given(input: string, text: string, folder?: string): Argument {
  const isBelow = folder !== undefined && /^[\\/]/.test(text.slice(folder.length)) && text.startsWith(folder);
  return { text, given: { input, text: isBelow ? text.slice(folder.length + 1) : text } };
}

/** Throws if a word from an input holds a secret: any process of the machine can read a command line. */
export function commandLine(words: readonly Argument[], secrets: SecretFinder): string[] {
  for (const { given: source } of words) {
    if (source === undefined || !holdsSecret(source.text, secrets)) continue;
    const message = `Input ${source.input}: ${secretProblem}. Nothing was changed.`;
    throw new TaskError('InputInvalid', message, { facts: { inputs: source.input } });
  }
  return words.map(({ text }) => text);
}

export const secretProblem =
  'it holds a secret of the job, and what is on a command line can be read by every process of the machine';

export const credentialProblem =
  'it holds a password or a key, and what is on a command line can be read by every process of the machine';

/** A secret of one or two digits is in so many texts that it counts as no secret. */
export function holdsSecret(text: string, secrets: SecretFinder): boolean {
  return secrets.isIn(text) && !(text.length < shortestSecret && /^[+-]?\d+$/.test(text));
}
