import assert from 'node:assert/strict';
import { helmReleases } from '../../tasks/common/core/helm/helmReleases';
import {
  helmBuildTemplate,
  helmDeletions,
  helmProvenance,
  judgeProvenance,
  parseHelmBuild,
  rulesOf,
  type HelmProvenance,
  type ObjectMatching,
} from '../../tasks/common/core/helm/provenance';

const commit414 = '05fa37973dc9e42b76e1d2883494c87174b6074f';
const someCommit = '0123456789abcdef0123456789abcdef01234567';
const sha = 'a'.repeat(64);

/** The list of releases is in order. */
function newestOf(line: string): string {
  return Object.keys(helmReleases).findLast((tag) => tag.startsWith(line)) ?? assert.fail(line);
}

function judged(answer: string, { sha256, pin }: { sha256?: string; pin?: string } = {}): HelmProvenance {
  return helmProvenance({ build: parseHelmBuild(answer), sha256 }, pin);
}

describe('the provenance of a Helm', () => {
  const cases: [string, string, HelmProvenance['from'], RegExp?][] = [
    ['an official release', `v4.1.4 ${commit414} clean go1.25.5`, 'release'],
    ['an official release of Helm 3', 'v3.17.3 e4da49785aa6e6ee2b86efd5dd9e43400318262b clean go1.23.7', 'release'],
    ['an official pre-release', 'v4.0.0-rc.1 99cd1964357c793351be481d55abbe21c6b2f4ec clean go1.25.4', 'release'],
    ['a Go version of several words', `v4.1.4 ${commit414} clean go1.25.5 X:boringcrypto`, 'release'],
    ['built by go install: neither commit nor tree', 'v4.1   go1.25.5', 'unknown', /no release v4\.1 of Helm/],
    ['a release that reports no commit', 'v4.1.4  clean go1.25.5', 'unknown', /without a git commit/],
    [
      'a release from another commit',
      `v4.1.4 ${someCommit} clean go1.25.5`,
      'unknown',
      /release v4\.1\.4 is commit 05fa/,
    ],
    ['the commit of another release', `v4.1.3 ${commit414} clean go1.25.5`, 'unknown', /is commit c94d381b/],
    ['a changed source tree', `v4.1.4 ${commit414} dirty go1.25.5`, 'unknown', /changed source tree \(dirty\)/],
    ['an unknown source tree', `v4.1.4 ${commit414}  go1.25.5`, 'unknown', /changed source tree \(unknown state/],
    ['a build between two tags', `v4.1.4+unreleased ${commit414} clean go1.25.5`, 'unknown', /no release/],
    ['a version that was never released', `v4.0.3 ${someCommit} clean go1.25.5`, 'unknown', /no release v4\.0\.3/],
    ['a pre-release that was never released', `v4.2.0-rc.9 ${someCommit} clean go1.25.5`, 'unknown', /no release/],
    ['a release that is too old to be in the list', `v3.13.9 ${someCommit} clean go1.20`, 'unknown', /no release/],
    ['the next fix of the newest', `v4.3.99 ${someCommit} clean go1.26`, 'newerRelease'],
    ['the next fix of an older minor version', `v3.19.6 ${someCommit} clean go1.25`, 'newerRelease'],
    ['a later minor version of Helm 3', `v3.99.0 ${someCommit} clean go1.26`, 'newerRelease'],
    ['a later minor version', `v4.99.0 ${someCommit} clean go1.26`, 'newerRelease'],
    ['the next major version', `v5.0.0-alpha.1 ${someCommit} clean go1.28`, 'newerRelease'],
    ['a newer one from a changed tree', `v4.99.0 ${someCommit} dirty go1.26`, 'unknown', /changed source tree/],
    ['a newer one with half a commit', 'v4.99.0 0123456 clean go1.26', 'unknown', /«0123456» is not a commit/],
    ['a newer build between two tags', `v4.99.0+unreleased ${someCommit} clean go1.26`, 'unknown', /no release/],
    ['a newer build without a patch version', `v4.99 ${someCommit} clean go1.26`, 'unknown', /no release/],
    ['nothing', '', 'unknown', /does not report how it was built/],
    ['a wrapper that prints something else', 'deploying for you\nok', 'unknown', /does not report how it was built/],
    ['a wrapper that prints something before', `hello\nv4.1.4 ${commit414} clean go1.25.5\n`, 'release'],
  ];
  for (const [what, answer, from, problem] of cases) {
    it(`${what}: ${from}`, () => {
      const provenance = judged(answer);
      assert.equal(provenance.from, from, JSON.stringify(provenance));
      if (problem !== undefined) assert.match('problem' in provenance ? provenance.problem : '', problem);
    });
  }

  it('the predecessor of a newer Helm is the newest earlier release of the same line', () => {
    const of = (version: string) => judged(`${version} ${someCommit} clean go1.26`);
    const predecessor = (version: string) => {
      const provenance = of(version);
      return provenance.from === 'newerRelease' ? provenance.predecessor : provenance.from;
    };
    assert.equal(predecessor('v3.99.0'), newestOf('v3.'));
    assert.equal(predecessor('v3.19.6'), 'v3.19.5');
    assert.equal(predecessor('v4.99.0'), newestOf('v4.'));
    assert.deepEqual(of('v4.99.0').rules, rulesOf(newestOf('v4.')));
  });

  it('a pin alone decides, so a pinned self-built Helm is accepted', () => {
    assert.equal(judged('v4.1   go1.25.5', { sha256: sha, pin: ` ${sha.toUpperCase()} ` }).from, 'pin');
  });

  it('a file other than the pinned one is refused, even if it reports the version of a release', () => {
    const provenance = judged(`v4.1.4 ${commit414} clean go1.25.5`, { sha256: 'b'.repeat(64), pin: sha });
    assert.equal(provenance.from, 'otherThanPinned');
    const verdict = judgeProvenance(provenance, { binary: '/opt/helm', allowUnknownHelm: true, isAutomatic: true });
    assert.equal(verdict.verdict, 'refused');
    assert.match(
      verdict.message,
      /\/opt\/helm is not the Helm that the pipeline names: its SHA-256 is bbb.*requires aaa/,
    );
  });

  it('a pinned Helm whose file could not be read does not count as the pinned one', () => {
    assert.equal(judged(`v4.1.4 ${commit414} clean go1.25.5`, { pin: sha }).from, 'otherThanPinned');
  });

  it('an unknown Helm is refused for an approved rollback, and gives a warning where it is allowed or automatic', () => {
    const unknown = judged('v4.1   go1.25.5');
    const verdict = (allowUnknownHelm: boolean, isAutomatic: boolean) =>
      judgeProvenance(unknown, { binary: 'helm', allowUnknownHelm, isAutomatic });
    const refused = verdict(false, false);
    assert.equal(refused.verdict, 'refused');
    assert.match(
      refused.message,
      /not known where helm \(v4\.1\) comes from.*pin this file with helmSha256, or set allowUnknownHelm/,
    );
    assert.equal(verdict(true, false).verdict, 'warning');
    assert.equal(verdict(false, true).verdict, 'warning');
  });

  it('a newer Helm gives a warning with the version whose rules are used', () => {
    const verdict = judgeProvenance(judged(`v4.99.0 ${someCommit} clean go1.26`), {
      binary: 'helm',
      allowUnknownHelm: false,
      isAutomatic: false,
    });
    assert.deepEqual(verdict, {
      verdict: 'warning',
      message: `Helm v4.99.0 is newer than the versions that this task knows; it is assumed to change objects as ${newestOf('v4.')} does.`,
    });
  });

  it('a release is accepted without a message', () => {
    const policy = { binary: 'helm', allowUnknownHelm: false, isAutomatic: false };
    assert.deepEqual(judgeProvenance(judged(`v4.1.4 ${commit414} clean go1.25.5`), policy), { verdict: 'accepted' });
  });
});

describe('the list of releases', () => {
  it('contains whole commits, and every minor version from 3.14 to 3.22 and from 4.0 to 4.3', () => {
    for (const [tag, commit] of Object.entries(helmReleases)) {
      assert.match(tag, /^v[34]\.\d+\.\d+(-(alpha|beta|rc)\.\d+)?$/);
      assert.match(commit, /^[0-9a-f]{40}$/, tag);
    }
    const first = [
      ...Array.from({ length: 9 }, (_, index) => `v3.${14 + index}.0`),
      'v4.0.0',
      'v4.1.0',
      'v4.2.0',
      'v4.3.0',
    ];
    for (const tag of first) assert.ok(helmReleases[tag], tag);
    assert.ok(Object.keys(helmReleases).length >= 74);
  });

  it('is read with a template that keeps empty fields apart', () => {
    assert.equal(helmBuildTemplate, '{{.Version}} {{.GitCommit}} {{.GitTreeState}} {{.GoVersion}}');
    assert.deepEqual(parseHelmBuild('v4.1   go1.25.5\r\n'), {
      version: 'v4.1',
      gitCommit: '',
      gitTreeState: '',
    });
  });
});

describe('the objects that a Helm treats as the same', () => {
  const matching: [string, ObjectMatching][] = [
    ['v3.14.0', 'kind'],
    ['v3.17.0', 'kind'],
    ['v3.17.1', 'groupKind'],
    ['v3.21.4', 'groupKind'],
    ['v3.22.0', 'groupKind'],
    ['v4.0.0-alpha.1', 'groupVersionKind'],
    ['v4.0.0', 'groupVersionKind'],
    ['v4.0.5', 'groupVersionKind'],
    ['v4.1.0', 'groupVersionKind'],
    ['v4.1', 'groupVersionKind'],
    ['v4.1.1', 'groupKind'],
    ['v4.2.4', 'groupKind'],
    ['v4.3.2', 'groupKind'],
    ['v9.0.0', 'groupKind'],
    ['nonsense', 'groupKind'],
  ];
  for (const [version, rule] of matching) {
    it(`${version}: ${rule}`, () => {
      assert.equal(rulesOf(version).matching, rule);
    });
  }

  it('from 3.22.0 and from 4.2.0 on, Helm changes an object that the last manifest lacks', () => {
    const adopts = (version: string) => rulesOf(version).adoptsObjectsOutsideLastManifest;
    for (const version of ['v3.14.0', 'v3.21.4', 'v3.21.9', 'v4.0.0', 'v4.1.4'])
      assert.equal(adopts(version), false, version);
    for (const version of ['v3.22.0', 'v3.22.1', 'v4.2.0', 'v4.3.2']) assert.equal(adopts(version), true, version);
  });

  const autoscaler = (apiVersion: string) => ({
    apiVersion,
    kind: 'HorizontalPodAutoscaler',
    namespace: 'shop',
    name: 'web',
  });
  const ingress = (apiVersion: string) => ({ apiVersion, kind: 'Ingress', namespace: 'shop', name: 'web' });

  it('an autoscaler that goes from v2 to v1 is deleted by 4.0.0 to 4.1.0 only', () => {
    const deletions = (version: string) =>
      helmDeletions(rulesOf(version), [autoscaler('autoscaling/v2')], [autoscaler('autoscaling/v1')]);
    for (const version of ['v3.17.0', 'v3.17.3', 'v4.1.1', 'v4.2.3']) assert.deepEqual(deletions(version), [], version);
    for (const version of ['v4.0.0', 'v4.1.0']) {
      assert.deepEqual(deletions(version), [{ object: autoscaler('autoscaling/v2'), why: 'versionChanged' }], version);
    }
  });

  it('an Ingress that changes its group is deleted from 3.17.1 on', () => {
    const deletions = (version: string) =>
      helmDeletions(rulesOf(version), [ingress('extensions/v1beta1')], [ingress('networking.k8s.io/v1')]);
    assert.deepEqual(deletions('v3.17.0'), []);
    for (const version of ['v3.17.1', 'v4.1.0', 'v4.2.4']) {
      assert.deepEqual(deletions(version), [{ object: ingress('extensions/v1beta1'), why: 'groupChanged' }], version);
    }
  });

  it('objects that the target lacks are dropped, and the same object needs equal name, namespace and kind', () => {
    const last = ['a', 'b'].map((name) => ({ apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name }));
    const target = [
      { apiVersion: 'v1', kind: 'Secret', namespace: 'other', name: 'a' },
      { apiVersion: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'a' },
      { apiVersion: 'v1', kind: 'Secret', namespace: 'shop', name: 'b' },
    ];
    assert.deepEqual(helmDeletions(rulesOf('v3.14.0'), last, target), [{ object: last[0], why: 'dropped' }]);
  });
});
