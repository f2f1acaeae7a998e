import { neutralise } from '../text/foreignText';

/** Limit for the name of a project, pipeline or job. Unit: characters, as below. */
const nameLimit = 64;
/** All parts together are shorter, because a cut could remove the part that makes an identity unique. */
export const identityLimit = 1024;
export const linkLimit = 2048;
export const processLimit = 256;

type Variable = (name: string) => string | undefined;

/**
 * Returns the holder of a lease: one attempt of one job, with all phases of its steps. `given` reads a variable of the
 * agent (`System.JobId`). `process` is the mark of this process.
 */
export function holderOf(given: Variable, process: string, redact = (text: string): string => text): Holder {
  // The agent's own values are not redacted, because a job may have the secret `911`.
  const variable: Variable = (name) => (isMadeByAgent(name) ? given(name) : without(redact, given(name)));
  const read: Variable = (name) => shown(variable(name), nameLimit) || undefined;
  const mark = shown(process, processLimit);
  const job = read('System.JobId');
  const run = runOf(read);
  // Without a job, this process runs in the terminal of a person and not on an agent.
  if (job === undefined || run === undefined)
    return { identity: `no pipeline, process ${mark}`, link: '', process: mark, run: '' };
  const collection = collectionUrl(variable('System.CollectionUri') ?? variable('System.TeamFoundationCollectionUri'));
  const parts = [
    [organisation(collection), read('System.TeamProject')].filter((part) => part !== undefined).join('/'),
    ...run.parts,
    withId(`job ${jobName(read)}`, job),
    attempt(read),
  ];
  const identity = shown(parts.filter((part) => part !== '').join(', '), identityLimit);
  return { identity, link: linkTo(variable, collection, run, job), process: mark, run: run.label };
}

function isMadeByAgent(name: string): boolean {
  return /(?:Id|Attempt|AttemptNumber|HostType|CollectionUri)$/.test(name);
}

function without(redact: (text: string) => string, text: string | undefined): string | undefined {
  return text === undefined ? undefined : redact(text);
}

/** Returns text of others as one neutralised line of limited length. */
export function shown(text: string | undefined, limit: number): string {
  const oneLine = (part: string): string => part.replace(/\s+/gu, ' ');
  // A removed character may have been between two blanks, so blanks are joined again.
  const line = oneLine(neutralise(oneLine(wellFormed((text ?? '').slice(0, 8 * limit))))).trim();
  if (line.length <= limit) return line;
  return `${line.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** The API server changes half of a surrogate pair into another character, and no address may contain one. */
function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, '\ufffd');
}

/** Returns an address of limited length that may be shown, or an empty text. */
export function shownLink(text: string | undefined): string {
  const url = webUrl(text);
  return url === undefined || url.href.length > linkLimit ? '' : neutralise(url.href);
}

interface Run {
  kind: 'build' | 'release';
  label: string;
  parts: readonly string[];
}

function runOf(read: Variable): Run | undefined {
  return isClassicRelease(read) ? releaseRun(read) : buildRun(read);
}

/** A classic release also names the build that it deploys, so the host type decides. */
function isClassicRelease(read: Variable): boolean {
  return read('System.HostType')?.toLowerCase() !== 'build' && read('Release.ReleaseId') !== undefined;
}

function buildRun(read: Variable): Run | undefined {
  const id = read('Build.BuildId');
  if (id === undefined) return undefined;
  const stage = read('System.StageDisplayName') ?? named(read('System.StageName'));
  const parts = [
    labelled('pipeline', read('Build.DefinitionName')),
    withId(`run ${read('Build.BuildNumber') ?? ''}`, id),
    labelled('stage', stage),
  ];
  return { kind: 'build', parts, label: runLabelOf(id, read('Build.BuildNumber'), read('Build.DefinitionName')) };
}

function releaseRun(read: Variable): Run | undefined {
  const id = read('Release.ReleaseId');
  if (id === undefined) return undefined;
  const parts = [
    labelled('release pipeline', read('Release.DefinitionName')),
    withId(`run ${read('Release.ReleaseName') ?? ''}`, id),
    withId(labelled('stage', read('Release.EnvironmentName')), read('Release.EnvironmentId')),
  ];
  const label = runLabelOf(id, read('Release.ReleaseName'), read('Release.DefinitionName'));
  return { kind: 'release', parts, label };
}

/** A label may have 63 characters, and the number of a revision follows. */
const runLabelLimit = 52;

/** Returns `4711_20260101.4_web-deploy`, in characters that a label may have. */
function runLabelOf(...parts: readonly (string | undefined)[]): string {
  const plain = parts.map((part = '') => part.replace(/[^A-Za-z0-9.-]+/g, '-').replace(/^[-.]+|(?<![-.])[-.]+$/g, ''));
  return plain
    .join('_')
    .slice(0, runLabelLimit)
    .replace(/(?<![^A-Za-z0-9])[^A-Za-z0-9]+$/, '');
}

/** Returns `run 20260101.4 (4711) of pipeline web-deploy`, or an empty text for a label of another form. */
export function runWords(label: string): string {
  const [id = '', number = '', pipeline = ''] = label.split('_');
  if (!/^[A-Za-z0-9]/.test(id)) return '';
  const run = number === '' ? `run ${id}` : `run ${number} (${id})`;
  return pipeline === '' ? run : `${run} of pipeline ${pipeline}`;
}

/** For a job of a matrix, only the display name has the name of the leg. */
function jobName(read: Variable): string {
  return read('System.JobDisplayName') ?? named(read('System.JobName')) ?? '';
}

/** Azure Pipelines uses this name if the author gave none. */
function named(name: string | undefined): string | undefined {
  return name === '__default' ? undefined : name;
}

function attempt(read: Variable): string {
  const ofJob = read('System.JobAttempt') ?? '1';
  const ofStage = read('System.StageAttempt') ?? read('Release.AttemptNumber') ?? '1';
  return `attempt ${ofJob} of stage attempt ${ofStage}`;
}

function labelled(label: string, name: string | undefined): string {
  return name === undefined ? '' : `${label} ${name}`;
}

function withId(text: string, id: string | undefined): string {
  const trimmed = text.trim();
  return id === undefined || id === '' ? trimmed : `${trimmed} (${id})`;
}

/** Returns `fabrikam` on the service and `server/tfs/DefaultCollection` elsewhere. */
function organisation(collection: URL | undefined): string | undefined {
  if (collection === undefined) return undefined;
  const path = decoded(collection.pathname).replace(/^\/+|(?<!\/)\/+$/g, '');
  const host = collection.hostname;
  const old = /^([^.]+)\.visualstudio\.com$/.exec(host)?.[1];
  if (old !== undefined) return shown(old, nameLimit);
  return shown(
    host === 'dev.azure.com' && path !== '' ? path : `${collection.host}/${path}`.replace(/\/$/, ''),
    nameLimit,
  );
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function collectionUrl(text: string | undefined): URL | undefined {
  const url = webUrl(text);
  if (url === undefined) return undefined;
  url.hash = '';
  url.search = '';
  url.pathname = `${url.pathname.replace(/(?<!\/)\/+$/, '')}/`;
  return url;
}

function webUrl(text: string | undefined): URL | undefined {
  if (text === undefined || text === '' || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return undefined;
  // Readers of the link must not get the credentials of somebody else.
  url.username = '';
  url.password = '';
  return url;
}

function linkTo(variable: Variable, collection: URL | undefined, { kind }: Run, job: string): string {
  if (kind === 'release') {
    const given = shownLink(variable('Release.ReleaseWebURL'));
    if (given !== '' && !given.includes('***')) return given;
  }
  const project = variable('System.TeamProject');
  // An address with a redacted part leads nowhere.
  if (collection === undefined || project === undefined || project.includes('***')) return '';
  const page =
    kind === 'build'
      ? `_build/results?${query({ buildId: variable('Build.BuildId'), view: 'logs', j: job })}`
      : `_releaseProgress?${query({ _a: 'release-pipeline-progress', releaseId: variable('Release.ReleaseId') })}`;
  return shownLink(`${collection.href}${encoded(project)}/${page}`);
}

/** Returns the page that shows the Markdown of the steps, or an empty text if the address is not known. */
export function summaryPage(variable: Variable): string {
  const read: Variable = (name) => variable(name) || undefined;
  const run = runOf(read);
  const collection = collectionUrl(read('System.CollectionUri') ?? read('System.TeamFoundationCollectionUri'));
  const project = read('System.TeamProject');
  if (run?.kind !== 'build' || collection === undefined || project === undefined) return '';
  const page = `_build/results?${query({ buildId: read('Build.BuildId'), view: 'results' })}`;
  return shownLink(`${collection.href}${encoded(project)}/${page}`);
}

function query(fields: Readonly<Record<string, string | undefined>>): string {
  return Object.entries(fields)
    .map(([name, value]) => `${name}=${encoded(value ?? '')}`)
    .join('&');
}

function encoded(text: string): string {
  return encodeURIComponent(wellFormed(text));
}

export interface Holder {
  /** Names one attempt of one job for people. Unique. */
  identity: string;
  /** The page of the run, or empty. */
  link: string;
  /** The mark of the process: `machine/pid/start`. */
  process: string;
  /** Names the run in a label, see `runWords`. May be empty. */
  run: string;
}
