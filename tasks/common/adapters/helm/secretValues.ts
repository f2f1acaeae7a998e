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
import { isExecutable } from '../agent/inputFiles';
import type { PrivateFolder } from '../agent/privateFolder';
import { findCommand } from '../system/platform';
import { runProcess } from '../system/process';

interface SopsOptions {
  /** sops finds its keys and its key services by it. */
  environment: NodeJS.ProcessEnv;
  workingDirectory: string;
  folder: PrivateFolder;
  signal: AbortSignal;
  redact: Redact;
  /** Called for each secret before anything else is done with it. */
  onSecret: (secret: string) => void;
}

/** Decrypts into memory. Throws `InputInvalid` with the input in its message. */
export async function decryptValues(request: SecretValuesRequest, options: SopsOptions): Promise<SecretValuesForHelm> {
  const texts: string[] = [];
  const all: Record<string, unknown>[] = [];
  for (const file of request.files) {
    const text = await decrypted(file, request.sopsPath, options);
    const values: unknown = JSON.parse(text);
    if (!isRecord(values)) throw failed(file, 'it holds no mapping of names to values');
    for (const secret of decryptedSecrets(readFileSync(file.path, 'utf8'), values)) options.onSecret(secret);
    texts.push(text);
    all.push(values);
  }
  if (texts.length === 1) return { stdin: texts[0] ?? '' };
  const merged = mergedValues(all);
  if (merged !== undefined) return { stdin: JSON.stringify(merged) };
  return { files: texts.map((text, index) => options.folder.write(`secret-values-${index}.json`, text)) };
}

/** A key service, or the agent of a key, may ask a person who is not there. */
const sopsTimeoutMs = 120_000;

async function decrypted(
  file: SecretValuesFile,
  sopsPath: string | undefined,
  { environment, workingDirectory, signal, redact }: SopsOptions,
): Promise<string> {
  const stdout: Uint8Array[] = [];
  const stderr: Uint8Array[] = [];
  const args = ['--decrypt', '--input-type', file.format, '--output-type', 'json', file.path];
  const sops = sopsPath ?? findCommand(process.platform, 'sops', environment, isExecutable);
  if (sops === undefined) throw failed(file, noSops);
  const result = await runProcess(sops, args, {
    cwd: workingDirectory,
    env: environment,
    onStdout: (chunk) => stdout.push(chunk),
    onStderr: (chunk) => stderr.push(chunk),
    interrupt: signal,
    timeoutMs: sopsTimeoutMs,
  });
  if (result.startError?.code === 'ENOENT') throw failed(file, sopsPath === undefined ? noSops : `${sopsPath} is gone`);
  if (result.startError !== undefined) throw failed(file, `starting ${sops} failed: ${result.startError.message}`);
  if (signal.aborted) throw new TaskError('Cancelled', `Cancelled while sops decrypted ${file.input}.`);
  if (result.timedOut) throw failed(file, `sops had not finished after ${sopsTimeoutMs / 1000} s`);
  if (result.exitCode === 0) return Buffer.concat(stdout).toString('utf8');
  throw failed(file, sopsProblem(result.exitCode, redact(Buffer.concat(stderr).toString('utf8'))));
}

const noSops = 'there is no sops on PATH; install it in an earlier step, or give its path in sopsPath';

function failed({ path, input }: SecretValuesFile, problem: string): TaskError {
  const message = `Input ${input}: ${path} could not be decrypted: ${problem}. Nothing was changed.`;
  return new TaskError('InputInvalid', message, { facts: { inputs: input } });
}
