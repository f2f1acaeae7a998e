import { TaskError } from '../../core/failure';
import { download, type DownloadLimits } from './download';

interface FetchOptions {
  /** Names the input in errors, for example `valueFiles, line 2`. Of the address they may show only the server. */
  input: string;
  environment: NodeJS.ProcessEnv;
  signal: AbortSignal;
  limits?: Partial<DownloadLimits>;
}

/** Helm stores all values in a record of at most one megabyte. */
const defaultLimits: DownloadLimits = { bytes: 10 * 1024 * 1024, tryMs: 30_000, tries: 3, redirects: 5 };

/** Reads an https address. Throws `InputInvalid`; its message shows only the server of the address. */
export async function fetchValues(address: string, { input, limits, ...options }: FetchOptions): Promise<string> {
  const answer = await download(address, { ...options, what: input, limits: { ...defaultLimits, ...limits } });
  if ('bytes' in answer) return answer.bytes.toString('utf8');
  const { host, problem, status } = answer;
  const message = `Input ${input}: the values file could not be read from https://${host}: ${problem}${statusMeans(status)}. Nothing was changed.`;
  throw new TaskError('InputInvalid', message, { facts: { inputs: input } });
}

function statusMeans(status: number | undefined): string {
  if (status === 401 || status === 403) return ': the secret in the address is not accepted, or has expired';
  if (status === 404) return ': there is no such file, or the secret in the address does not show it';
  return '';
}
