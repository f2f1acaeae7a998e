import { helmReleases } from './helmReleases';
import type { ObjectRef } from '../kubernetes/object';
import { apiGroup } from '../kubernetes/manifest';

export const helmBuildTemplate = '{{.Version}} {{.GitCommit}} {{.GitTreeState}} {{.GoVersion}}';

/** The build information that a Helm binary reports. Unset fields are ''. */
export interface HelmBuild {
  version: string;
  gitCommit: string;
  gitTreeState: string;
}

/** Parses the last line of the answer to `helmBuildTemplate`. */
export function parseHelmBuild(answer: string): HelmBuild | undefined {
  const line = answer.trimEnd().split(/\r?\n/).at(-1) ?? '';
  // Exactly one space separates two fields, because a self-built Helm leaves two fields empty.
  const parts = /^(\S+) (\S*) (\S*) (\S.*)$/.exec(line);
  if (parts === null || parseVersion(parts[1] ?? '') === undefined) return undefined;
  const [, version = '', gitCommit = '', gitTreeState = ''] = parts;
  return { version, gitCommit, gitTreeState };
}

/**
 * How Helm matches objects of the last and the new manifest, besides name and namespace. Helm deletes objects without a
 * match after it applied the new manifest, so also an object whose version (or group) changed.
 */
export type ObjectMatching = 'kind' | 'groupKind' | 'groupVersionKind';

interface HelmRules {
  matching: ObjectMatching;
  /** Helm changes a live object that is not in the last manifest. Older versions fail half-way. */
  adoptsObjectsOutsideLastManifest: boolean;
}

interface RulesSince {
  since: readonly [major: number, minor: number, patch: number];
  rules: HelmRules;
}

/** From `isMatchingInfo` and `update` in Helm's source at every tag. Oldest first. */
const rulesByVersion: readonly [RulesSince, ...RulesSince[]] = [
  { since: [3, 0, 0], rules: { matching: 'kind', adoptsObjectsOutsideLastManifest: false } },
  // a change of the group deletes objects of kinds that are served in two groups (helm/helm#30631)
  { since: [3, 17, 1], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: false } },
  { since: [3, 22, 0], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: true } },
  // a change of the version deletes the objects that Helm has just written (helm/helm#31656)
  { since: [4, 0, 0], rules: { matching: 'groupVersionKind', adoptsObjectsOutsideLastManifest: false } },
  { since: [4, 1, 1], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: false } },
  { since: [4, 2, 0], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: true } },
];

/** Returns the newest rules for a version that cannot be parsed. */
export function rulesOf(version: string): HelmRules {
  const wanted = parseVersion(version);
  const newest = rulesByVersion.at(-1) ?? rulesByVersion[0];
  if (wanted === undefined) return newest.rules;
  // A pre-release has the rules of the release that follows it.
  return (rulesByVersion.findLast(({ since }) => compareNumbers(since, wanted.numbers) <= 0) ?? rulesByVersion[0])
    .rules;
}

function isSameToHelm(matching: ObjectMatching, one: ObjectRef, other: ObjectRef): boolean {
  if (one.kind !== other.kind || one.name !== other.name) return false;
  if ((one.namespace ?? '') !== (other.namespace ?? '')) return false;
  switch (matching) {
    case 'kind':
      return true;
    case 'groupKind':
      return apiGroup(one.apiVersion) === apiGroup(other.apiVersion);
    case 'groupVersionKind':
      return one.apiVersion === other.apiVersion;
  }
}

export interface HelmDeletion<Ref extends ObjectRef> {
  object: Ref;
  /** Unless `dropped`, the target declares the object with another version or group. */
  why: 'dropped' | 'versionChanged' | 'groupChanged';
}

/** Compares only the manifests: `helm.sh/resource-policy` is ignored. */
export function helmDeletions<Ref extends ObjectRef>(
  { matching }: HelmRules,
  last: readonly Ref[],
  target: readonly Ref[],
): HelmDeletion<Ref>[] {
  return last
    .filter((object) => !target.some((each) => isSameToHelm(matching, object, each)))
    .map((object) => {
      const isIn = (rule: ObjectMatching): boolean => target.some((each) => isSameToHelm(rule, object, each));
      return { object, why: isIn('groupKind') ? 'versionChanged' : isIn('kind') ? 'groupChanged' : 'dropped' };
    });
}

export type HelmProvenance =
  | { from: 'release'; version: string; rules: HelmRules }
  /** The binary has the SHA-256 that the pipeline names. */
  | { from: 'pin'; version: string; rules: HelmRules }
  /** Newer than our list, in which `predecessor` is the newest release before it. */
  | { from: 'newerRelease'; version: string; predecessor: string; rules: HelmRules }
  /** Self-built, changed, or without build information. `problem` is a clause: «it was built …». */
  | { from: 'unknown'; version: string; problem: string; rules: HelmRules }
  | { from: 'otherThanPinned'; version: string; problem: string; rules: HelmRules };

interface HelmIdentity {
  /** Undefined if the answer was not understood. */
  build: HelmBuild | undefined;
  /** The SHA-256 of the file, in hexadecimal. Undefined if it was not computed. */
  sha256: string | undefined;
}

/** `helmSha256` is the pin ('' or undefined: none). */
export function helmProvenance({ build, sha256 }: HelmIdentity, helmSha256: string | undefined): HelmProvenance {
  const version = build?.version ?? 'unknown';
  const rules = rulesOf(version);
  if (helmSha256) {
    const pin = helmSha256.trim().toLowerCase();
    if (sha256?.toLowerCase() === pin) return { from: 'pin', version, rules };
    const problem = `its SHA-256 is ${sha256 ?? 'not known'}, and helmSha256 requires ${pin}`;
    return { from: 'otherThanPinned', version, problem, rules };
  }
  const problem = build === undefined ? 'it does not report how it was built' : problemOf(build);
  if (problem !== undefined) return { from: 'unknown', version, problem, rules };
  if (helmReleases[version] !== undefined) return { from: 'release', version, rules };
  return { from: 'newerRelease', version, predecessor: predecessorOf(version) ?? version, rules };
}

/** Returns why a build is not from a known release or a newer one, or undefined. */
function problemOf({ version, gitCommit, gitTreeState }: HelmBuild): string | undefined {
  const released = helmReleases[version];
  if (released === undefined && !isNewerThanKnown(version)) return `there is no release ${version} of Helm`;
  if (gitCommit === '') return 'it was built without a git commit, so not by the Helm project';
  if (!/^[0-9a-f]{40}$/.test(gitCommit)) return `its git commit «${gitCommit.slice(0, 60)}» is not a commit`;
  if (released !== undefined && gitCommit !== released) {
    return `it was built from commit ${gitCommit}, and release ${version} is commit ${released}`;
  }
  if (gitTreeState !== 'clean') return `it was built from a changed source tree (${gitTreeState || 'unknown state'})`;
  return undefined;
}

/** Compares with the known releases of the same minor version, or else of the major version, or else with all. */
function isNewerThanKnown(text: string): boolean {
  const version = parseVersion(text);
  if (version === undefined || version.isMetadata) return false;
  const [major, minor] = version.numbers;
  const known = Object.keys(helmReleases).flatMap((each) => parseVersion(each) ?? []);
  const ofMinor = known.filter(({ numbers }) => numbers[0] === major && numbers[1] === minor);
  const ofMajor = known.filter(({ numbers }) => numbers[0] === major);
  const rivals = [ofMinor, ofMajor, known].find((each) => each.length > 0) ?? [];
  return rivals.every(({ numbers }) => compareNumbers(numbers, version.numbers) < 0);
}

function predecessorOf(text: string): string | undefined {
  const version = parseVersion(text);
  if (version === undefined) return undefined;
  return Object.keys(helmReleases)
    .flatMap((tag) => {
      const known = parseVersion(tag);
      return known === undefined ? [] : [{ tag, numbers: known.numbers }];
    })
    .filter(({ numbers }) => compareNumbers(numbers, version.numbers) < 0)
    .sort((one, other) => compareNumbers(one.numbers, other.numbers))
    .at(-1)?.tag;
}

interface Version {
  numbers: readonly [number, number, number];
  /** True if no tag has this version: it ends with `+unreleased` or has no patch number. */
  isMetadata: boolean;
}

/** A Helm that was built by `go install` reports only `v4.1`. */
function parseVersion(text: string): Version | undefined {
  const parts = /^v(\d{1,6})(?:\.(\d{1,6})(?:\.(\d{1,6}))?)?(?:-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/.exec(text);
  if (parts === null) return undefined;
  const [, major, minor, patch, metadata] = parts;
  return {
    numbers: [Number(major), Number(minor ?? 0), Number(patch ?? 0)],
    isMetadata: metadata !== undefined || patch === undefined,
  };
}

function compareNumbers(one: readonly number[], other: readonly number[]): number {
  for (const [index, number] of one.entries()) {
    const difference = number - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

type ProvenanceVerdict = { verdict: 'accepted' } | { verdict: 'warning' | 'refused'; message: string };

interface ProvenancePolicy {
  /** The command, for the message. */
  binary: string;
  allowUnknownHelm: boolean;
  /** Rehearsal and proof guard the automatic rollback of a deploy, so an unknown Helm is only a warning. */
  isAutomatic: boolean;
}

export function judgeProvenance(provenance: HelmProvenance, policy: ProvenancePolicy): ProvenanceVerdict {
  const { binary, allowUnknownHelm, isAutomatic } = policy;
  switch (provenance.from) {
    case 'release':
    case 'pin':
      return { verdict: 'accepted' };
    case 'newerRelease': {
      const { version, predecessor } = provenance;
      const message = `Helm ${version} is newer than the versions that this task knows; it is assumed to change objects as ${predecessor} does.`;
      return { verdict: 'warning', message };
    }
    case 'otherThanPinned': {
      const { problem } = provenance;
      const next = 'Install the Helm that was pinned, or correct helmSha256.';
      return { verdict: 'refused', message: `${binary} is not the Helm that the pipeline names: ${problem}. ${next}` };
    }
    case 'unknown': {
      const message = `It is not known where ${binary} (${provenance.version}) comes from: ${provenance.problem}.`;
      if (isAutomatic || allowUnknownHelm) return { verdict: 'warning', message };
      const next = 'Use a release of the Helm project, pin this file with helmSha256, or set allowUnknownHelm.';
      return { verdict: 'refused', message: `${message} ${next}` };
    }
  }
}

export interface HelmCapabilities {
  version: string;
  major: number;
  minor: number;
  /** Undefined if it was not understood, absent if nobody asked for it. */
  build?: HelmBuild | undefined;
}
