import { readFileSync } from 'node:fs';
import { TaskError } from '../../core/failure';
import type { SecretValuesForHelm } from '../../core/inputs/commandLine';
import {
  decryptedSecrets,
  mergedValues,
  sopsProblem,
  type SecretValuesFile,
  type SecretValuesRequest,
} from '../../core/inputs/secretValues';
import { isRecord } from '../../core/kubernetes/json';
import type { Redact } from '../../core/text/secrets';
import type { PrivateFolder } from '../agent/privateFolder';
import { memoryFile } from '../system/memoryFile';
import { runProcess } from '../system/process';
import type { VaultIdentity } from '../azure/vaultIdentity';
import { findSops } from './sopsProgram';

interface SopsOptions {
  /** sops finds its keys and its key services by it. */
  environment: NodeJS.ProcessEnv;
  /** Agent.ToolsDirectory. */
  toolsFolder: string | undefined;
  /** Called for files with a key in Azure Key Vault. */
  openVault?: () => Promise<VaultIdentity>;
  workingDirectory: string;
  folder: PrivateFolder;
  signal: AbortSignal;
  redact: Redact;
  /** Called for each secret before anything else is done with it. */
  onSecret: (secret: string) => void;
}

/** Decrypts into memory. Throws `InputInvalid` with the input in its message, or as a sign-in to Azure does. */
export async function decryptValues(request: SecretValuesRequest, options: SopsOptions): Promise<SecretValuesForHelm> {
  const { files } = request;
  const sops = findSops({ ...options, sopsPath: request.sopsPath });
  const vault = files.some(({ hasVaultKey }) => hasVaultKey) ? await options.openVault?.() : undefined;
  try {
    const texts: string[] = [];
    for (const file of files) {
      if (sops === undefined) throw failed(file, noSops);
      texts.push(await decrypted(file, { ...options, sops, vault: file.hasVaultKey ? vault : undefined }));
    }
    return forHelm(texts, request, options);
  } finally {
    vault?.close();
  }
}

function forHelm(
  texts: readonly string[],
  { files }: SecretValuesRequest,
  { folder, onSecret }: SopsOptions,
): SecretValuesForHelm {
  const all = files.map((file, index) => {
    const values: unknown = JSON.parse(texts[index] ?? '');
    if (!isRecord(values)) throw failed(file, 'it holds no mapping of names to values');
    for (const secret of decryptedSecrets(readFileSync(file.path, 'utf8'), values)) onSecret(secret);
    return values;
  });
  if (texts.length === 1) return { stdin: texts[0] ?? '' };
  const merged = mergedValues(all);
  if (merged !== undefined) return { stdin: JSON.stringify(merged) };
  return { files: texts.map((text, index) => memoryFile(text) ?? folder.write(`secret-values-${index}.json`, text)) };
}

/** A key service, or the agent of a key, may ask a person who is not there. */
const sopsTimeoutMs = 120_000;

interface Decryption extends SopsOptions {
  sops: string;
  vault: VaultIdentity | undefined;
}

async function decrypted(file: SecretValuesFile, options: Decryption): Promise<string> {
  const { sops, vault, environment, workingDirectory, signal, redact } = options;
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const args = ['--decrypt', '--input-type', file.format, '--output-type', 'json', file.path];
  const result = await runProcess(sops, args, {
    cwd: workingDirectory,
    env: vault?.environment(environment) ?? environment,
    onStdout: (chunk) => stdout.push(chunk),
    onStderr: (chunk) => stderr.push(chunk),
    interrupt: signal,
    timeoutMs: sopsTimeoutMs,
  });
  if (result.startError !== undefined) throw failed(file, `starting ${sops} failed: ${result.startError.message}`);
  if (signal.aborted) throw new TaskError('Cancelled', `Cancelled while sops decrypted ${file.input}.`);
  if (result.timedOut) throw failed(file, `sops had not finished after ${sopsTimeoutMs / 1000} s`);
  if (result.exitCode === 0) return Buffer.concat(stdout).toString('utf8');
  const signIn = vault?.failure();
  if (signIn !== undefined) throw new TaskError(signIn.reason, `${couldNot(file)} ${signIn.message}`);
  const problem = sopsProblem(result.exitCode, redact(Buffer.concat(stderr).toString('utf8')));
  throw failed(file, file.hasVaultKey && vault === undefined ? `${problem} ${noVaultIdentity}` : problem);
}

const noSops =
  'there is no sops on PATH or in the tool cache; install it in an earlier step, or give its path in sopsPath';

const noVaultIdentity =
  '(It has a key in Azure Key Vault. sops uses such a key with the identity of azureSubscription, and this step has no connection to Azure Resource Manager)';

function couldNot({ path, input }: SecretValuesFile): string {
  return `Input ${input}: ${path} could not be decrypted:`;
}

function failed(file: SecretValuesFile, problem: string): TaskError {
  const message = `${couldNot(file)} ${problem}. Nothing was changed.`;
  return new TaskError('InputInvalid', message, { facts: { inputs: file.input } });
}
