import { helmReleases } from './helmReleases';
import type { ObjectRef } from '../kubernetes/object';
import { apiGroup } from '../kubernetes/manifest';

/** What `helm version --template` is to be asked for, so that `parseHelmBuild` understands the answer. */
export const helmBuildTemplate = '{{.Version}} {{.GitCommit}} {{.GitTreeState}} {{.GoVersion}}';

/** What a Helm binary says of its own making. A field that it leaves empty is ''. */
export interface HelmBuild {
  version: string;
  gitCommit: string;
  gitTreeState: string;
  goVersion: string;
}

/** The answer to `helmBuildTemplate`; undefined where it is not of that form. Only the last line counts. */
export function parseHelmBuild(answer: string): HelmBuild | undefined {
  const line = answer.trimEnd().split(/\r?\n/).at(-1) ?? '';
  // Fields are parted by one space each: a self-built Helm leaves two of them empty.
  const parts = /^(\S+) (\S*) (\S*) (\S.*)$/.exec(line);
  if (parts === null || parseVersion(parts[1] ?? '') === undefined) return undefined;
  const [, version = '', gitCommit = '', gitTreeState = '', goVersion = ''] = parts;
  return { version, gitCommit, gitTreeState, goVersion };
}

/**
 * By what Helm takes an object of the last manifest for one of the new manifest, besides name and namespace. What it does
 * not find again, it deletes, after everything of the new manifest was applied: so an object whose version (or group)
 * changed is deleted right after it was written.
 */
export type ObjectMatching = 'kind' | 'groupKind' | 'groupVersionKind';

/** What differs between versions of Helm where objects are changed. */
export interface HelmRules {
  matching: ObjectMatching;
  /** Whether an object that exists, but is not in the last manifest, is changed; older ones stop half-way. */
  adoptsObjectsOutsideLastManifest: boolean;
}

interface RulesSince {
  since: readonly [major: number, minor: number, patch: number];
  rules: HelmRules;
}

/** Read in `isMatchingInfo` and `update` at every tag. Oldest first. */
const rulesByVersion: readonly [RulesSince, ...RulesSince[]] = [
  { since: [3, 0, 0], rules: { matching: 'kind', adoptsObjectsOutsideLastManifest: false } },
  // a group bump deletes objects of kinds that are served in two groups (helm/helm#30631)
  { since: [3, 17, 1], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: false } },
  { since: [3, 22, 0], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: true } },
  // a version bump deletes what it has just written (helm/helm#31656)
  { since: [4, 0, 0], rules: { matching: 'groupVersionKind', adoptsObjectsOutsideLastManifest: false } },
  { since: [4, 1, 1], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: false } },
  { since: [4, 2, 0], rules: { matching: 'groupKind', adoptsObjectsOutsideLastManifest: true } },
];

/** The rules of a version; of one that is not understood, those of the newest known. */
export function rulesOf(version: string): HelmRules {
  const wanted = parseVersion(version);
  const newest = rulesByVersion.at(-1) ?? rulesByVersion[0];
  if (wanted === undefined) return newest.rules;
  // A pre-release has the rules of what it leads to.
  return (rulesByVersion.findLast(({ since }) => compareNumbers(since, wanted.numbers) <= 0) ?? rulesByVersion[0])
    .rules;
}

/** Whether a Helm with that rule takes one object for the other. */
export function isSameToHelm(matching: ObjectMatching, one: ObjectRef, other: ObjectRef): boolean {
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
  /**
   * `dropped`: the target has no such object. Otherwise the target declares it, and Helm deletes it all the same, because
   * its version or its group is another one there: `declaredAs`.
   */
  why: 'dropped' | 'versionChanged' | 'groupChanged';
  declaredAs?: Ref;
}

/** What Helm deletes of `last` when it goes to `target`, by the manifests alone: `helm.sh/resource-policy` is not looked at. */
export function helmDeletions<Ref extends ObjectRef>(
  { matching }: HelmRules,
  last: readonly Ref[],
  target: readonly Ref[],
): HelmDeletion<Ref>[] {
  return last
    .filter((object) => !target.some((each) => isSameToHelm(matching, object, each)))
    .map((object) => {
      const sameGroup = target.find((each) => isSameToHelm('groupKind', object, each));
      if (sameGroup !== undefined) return { object, why: 'versionChanged', declaredAs: sameGroup };
      const sameKind = target.find((each) => isSameToHelm('kind', object, each));
      if (sameKind !== undefined) return { object, why: 'groupChanged', declaredAs: sameKind };
      return { object, why: 'dropped' };
    });
}

/** Where a Helm binary comes from, as far as it can be told. `rules` are the ones to plan by. */
export type HelmProvenance =
  | { from: 'release'; version: string; rules: HelmRules }
  /** Its SHA-256 is the one that the pipeline names. */
  | { from: 'pin'; version: string; rules: HelmRules }
  /** A release that is newer than our list; `predecessor` is the newest release that the list has before it. */
  | { from: 'newerRelease'; version: string; predecessor: string; rules: HelmRules }
  /** Self-built, changed, or saying nothing. `problem` is a clause: «it was built …». */
  | { from: 'unknown'; version: string; problem: string; rules: HelmRules }
  /** The pipeline names a SHA-256, and this is another file. */
  | { from: 'otherThanPinned'; version: string; problem: string; rules: HelmRules };

export interface HelmIdentity {
  /** Undefined where the binary's answer was not understood. */
  build: HelmBuild | undefined;
  /** Of the file that is run, in hexadecimal; undefined where it was not computed. */
  sha256: string | undefined;
}

/** Judges what a binary says of itself, and its SHA-256 where `helmSha256` pins one ('' or undefined: no pin). */
export function helmProvenance({ build, sha256 }: HelmIdentity, helmSha256: string | undefined): HelmProvenance {
  const version = build?.version ?? 'unknown';
  const rules = rulesOf(version);
  if (helmSha256) {
    const pin = helmSha256.trim().toLowerCase();
    if (sha256?.toLowerCase() === pin) return { from: 'pin', version, rules };
    const problem = `its SHA-256 is ${sha256 ?? 'not known'}, and helmSha256 asks for ${pin}`;
    return { from: 'otherThanPinned', version, problem, rules };
  }
  const problem = build === undefined ? 'it does not say how it was built' : problemOf(build);
  if (problem !== undefined) return { from: 'unknown', version, problem, rules };
  if (helmReleases[version] !== undefined) return { from: 'release', version, rules };
  return { from: 'newerRelease', version, predecessor: predecessorOf(version) ?? version, rules };
}

/** Why a build is not one of a release, or undefined where it is one that we know or one newer than all we know. */
function problemOf({ version, gitCommit, gitTreeState }: HelmBuild): string | undefined {
  const released = helmReleases[version];
  if (released === undefined && !isNewerThanKnown(version)) return `there is no release ${version} of Helm`;
  if (gitCommit === '') return 'it was built without a git commit, so not by the Helm project';
  if (!/^[0-9a-f]{40}$/.test(gitCommit)) return `its git commit «${gitCommit.slice(0, 60)}» is none`;
  if (released !== undefined && gitCommit !== released) {
    return `it was built from commit ${gitCommit}, and release ${version} is commit ${released}`;
  }
  if (gitTreeState !== 'clean')
    return `it was built from a changed source tree (${gitTreeState || 'it does not say which'})`;
  return undefined;
}

/** Newer than the newest release that is known, or than the newest of its own minor version: fixes go on for old ones. */
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
  /** A build that was not made from a tag says `+unreleased`. */
  isMetadata: boolean;
}

/** A tag of Helm. A Helm that was built by `go install` says only `v4.1`, which is none. */
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

export type ProvenanceVerdict = { verdict: 'accepted' } | { verdict: 'warning' | 'refused'; message: string };

export interface ProvenancePolicy {
  /** As it was run, for the message. */
  binary: string;
  allowUnknownHelm: boolean;
  /** The rollback that HelmSafeDeploy does by itself: its rehearsal and its proof guard it, so it goes on with a warning. */
  isAutomatic: boolean;
}

/** Whether a rollback may be done with that Helm. A pin that does not match is refused whatever else is allowed. */
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
      const told = `It is not known where ${binary} (${provenance.version}) comes from: ${provenance.problem}.`;
      if (isAutomatic || allowUnknownHelm) return { verdict: 'warning', message: told };
      const next = 'Use a release of the Helm project, pin this file with helmSha256, or set allowUnknownHelm.';
      return { verdict: 'refused', message: `${told} ${next}` };
    }
  }
}

export interface HelmCapabilities {
  /** As Helm says it, for example `v3.17.3`. */
  version: string;
  major: number;
  minor: number;
  /** What it says of its own making; undefined where that is not understood, absent where nobody has asked. */
  build?: HelmBuild | undefined;
  /** Long flags that `helm upgrade` of this binary knows, without the dashes. */
  upgradeFlags: ReadonlySet<string>;
}
