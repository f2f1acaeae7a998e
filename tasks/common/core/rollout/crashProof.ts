import { at, listAt } from '../kubernetes/read';
import { logKey, type Facts, type Proof, type RunEnd } from './facts';
import type { Finding } from './finding';
import type { Reading, Sighting } from './model';

/** A longer run may have waited for something. */
const shortSeconds = 10;

/**
 * Words by which a container says that it waits for something outside of itself, which may come. The list errs on the
 * side of waiting.
 */
const dependency = new RegExp(
  [
    'refused|time-?d? ?out|timing out|deadline|no such host|(host|service) not (found|known)|unknown host|name resolution',
    'getaddrinfo|resolve|lookup|no route|reachable|unavailable|not (yet |be )?(ready|available|initiali[sz]ed|up|started)',
    'not yet|starting up|recovery|\\bwait|\\bretr(y|ies)|try again|tempor|connect|socket|broken pipe|\\bEOF\\b|\\b(EAI_|ECONN|EHOST|ENET|ENOTFOUND|ETIMEDOUT|EPIPE|ENOENT|EBUSY)',
    '\\bdial |reset by peer|handshake|certificate|x509|\\b(tls|ssl)\\b|\\block(ed|s)?\\b|in use|\\bbusy\\b|leader|quorum',
    '\\b(40[1-9]|42[59]|50\\d)\\b|rate limit|too many|throttl|authori[sz]|forbidden|denied|credential|token|expired|licen[cs]e',
    'no space left|read-only file|allocate|healthy|pending|already|conflict|nxdomain|servfail|not found',
    '(fail(ed)?|unable|not|error) (to )?(fetch|reach|contact|download|get|list|watch|subscribe|join|register|dial|ping)',
    'no such file|not exist|FileNotFound|database|\\bdb\\b|broker|upstream|backend|\\bpeers?\\b|remote|migrat|schema',
    'relation|\\btables?\\b|queue|topic|bucket|vault|redis|kafka|postgres|mysql|mongo|rabbit|\\bnats\\b|etcd|consul|ldap',
  ].join('|'),
  'i',
);

/**
 * Words of a program that could not reach another one. They are fewer than those above: the longer wait has to be for
 * something that may well come.
 */
const unreached = new RegExp(
  [
    'refused|time-?d? ?out|deadline exceeded|no such host|unknown host|name resolution|getaddrinfo|no route to host',
    '\\b(ECONN|EHOST|ENET|ENOTFOUND|ETIMEDOUT|EAI_)|unreachable|unavailable|not (yet )?(ready|reachable|available)',
    "starting up|(could not|couldn't|can't|cannot|unable to|failed to) connect|connection (failed|reset)|reset by peer",
    'no leader|waiting for|migrations? pending|pending migration|\\b503\\b',
  ].join('|'),
  'i',
);

/** Returns true if one of the last runs of a container has said that it could not reach what it needs. */
export function couldNotReach({ code, runs, id }: Finding, { logs }: Facts): boolean {
  if (runs === undefined || (code !== 'CrashLoop' && code !== 'InitContainerFailed')) return false;
  const numbers = Array.from({ length: 5 }, (_, index) => runs.last.number - index);
  return numbers.some((number) => linesOf(logs[logKey(id, { number })]).some(({ said }) => unreached.test(said)));
}

export function namesDependency(text: string): boolean {
  return dependency.test(text);
}

/** The lines without the kubelet's times and without empty lines. */
export function linesOf(text: string | undefined): { time: string; said: string }[] {
  return (text ?? '').split('\n').flatMap((line) => {
    const space = line.indexOf(' ');
    const said = line.slice(space + 1).trim();
    return space === -1 || said === '' ? [] : [{ time: line.slice(0, space), said }];
  });
}

/** The line without numbers, times and identifiers, which differ from run to run. */
function withoutNumbers(line: string): string {
  return line.replaceAll(/[\da-f]{8,}(-[\da-f]{4,})*|\d+/gi, '#');
}

const endsFromOutside: ReadonlySet<number> = new Set([0, 137, 143]);

/**
 * Two runs in a row that ended in the same way by themselves, each soon after its start, and said so in the same words,
 * without naming anything that could still come.
 */
export function endedAlike(finding: Finding, sighting: Sighting | undefined, { logs }: Facts): boolean {
  const [first, last] = pairOf(sighting);
  if (first === undefined || last === undefined || finding.runs?.ended !== last.number) return false;
  if (first.exitCode !== last.exitCode || endsFromOutside.has(last.exitCode)) return false;
  if (first.seconds > shortSeconds || last.seconds > shortSeconds) return false;
  const lines = (run: RunEnd): ReturnType<typeof linesOf> => linesOf(logs[logKey(finding.id, run)]);
  return endInSameWords(lines(first), lines(last));
}

function endInSameWords(before: ReturnType<typeof linesOf>, after: ReturnType<typeof linesOf>): boolean {
  const [said, again] = [before.at(-1), after.at(-1)];
  // One reading of the log that arrived late would otherwise count as two runs.
  if (said === undefined || again === undefined || said.time === again.time) return false;
  const words = withoutNumbers(again.said);
  if (!/[a-z]{3}/i.test(words) || withoutNumbers(said.said) !== words) return false;
  return ![...before, ...after].some((line) => namesDependency(line.said));
}

function pairOf(sighting: Sighting | undefined): readonly [RunEnd?, RunEnd?] {
  const [first, last] = sighting?.ends ?? [];
  return first !== undefined && last?.number === first.number + 1 ? [first, last] : [];
}

/**
 * Returns true if nothing in the pods of the workload may still help the container: every pod and container of the new
 * revision has the same trouble or is ready, and nothing that it uses is optional.
 */
export function isAlone({ followed, family, findings }: Reading, finding: Finding): boolean {
  const template = at(followed.object, 'spec', 'template', 'spec') ?? at(followed.object, 'spec');
  if (JSON.stringify(template ?? null).includes('"optional":true')) return false;
  const crashing = new Set(findings.flatMap(({ runs, id }) => (runs === undefined ? [] : [id])));
  return (family?.pods ?? []).every((pod) => {
    const uid = pod.metadata.uid ?? pod.metadata.name;
    const statuses = listAt(pod, 'status', 'containerStatuses');
    const crashes = (status: unknown): boolean => crashing.has(`${uid}/${String(at(status, 'name'))}`);
    if (finding.code === 'InitContainerFailed') return listAt(pod, 'status', 'initContainerStatuses').some(crashes);
    return statuses.some(crashes) && statuses.every((status) => status['ready'] === true || crashes(status));
  });
}

/** Two runs in a row that were killed for their memory soon after their start. Nothing that others do gives them more. */
export function memoryProof(finding: Finding, sighting: Sighting | undefined): Proof | undefined {
  const [first, last] = pairOf(sighting);
  if (first === undefined || last === undefined || finding.runs?.ended !== last.number) return undefined;
  const isProven = [first, last].every(({ reason, seconds }) => reason === 'OOMKilled' && seconds <= shortSeconds);
  return isProven ? { grace: 0, why: 'Two runs were killed for their memory soon after their start.' } : undefined;
}

/**
 * A container whose own words say that this image or this command line can never run. `commandLine` is the container's
 * command with its arguments.
 */
export function cannotStart(text: string, exitCode: number, commandLine: readonly string[]): string | undefined {
  const lines = linesOf(text).map(({ said }) => said);
  const last = lines.at(-1) ?? '';
  if (/^(\S+: )?exec (\S+|user process caused): ?"?exec format error"?$/.test(last)) return last;
  if (exitCode === 126 && /: permission denied$/i.test(last)) return last;
  if (exitCode === 0 || !lines.some((line) => /usage|--help/i.test(line))) return undefined;
  const refused =
    /^(?:\S+: )?(?:error: )?(?:unknown (?:flag|shorthand flag|option|argument)|flag provided but not defined|unrecogni[sz]ed (?:option|arguments?)|no such option|unexpected argument)\W+(-[\w-]+)/i;
  return lines.find((line) => {
    const [, flag] = refused.exec(line.replaceAll(/['"]/g, '')) ?? [];
    const name = flag?.replace(/^-+/, '');
    return commandLine.some((word) => /^-/.test(word) && word.replace(/^-+/, '').split('=')[0] === name);
  });
}
