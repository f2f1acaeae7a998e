import assert from 'node:assert/strict';
import {
  helmArchive,
  knownPatch,
  newestOf,
  parseHelmVersion,
  parseSum,
} from '../../tasks/common/core/helm/helmVersion';
import { helmVersionDefaults, readHelmDownload } from '../../tasks/common/core/inputs/helmVersionInput';
import { inputReader } from '../../tasks/common/core/inputs/inputs';

describe('the Helm that a pipeline asks for', () => {
  const wishes: [text: string, wish: ReturnType<typeof parseHelmVersion>][] = [
    ['3.17.3', { kind: 'exact', version: '3.17.3' }],
    ['v4.1.4', { kind: 'exact', version: '4.1.4' }],
    ['4.2.0-rc.1', { kind: 'exact', version: '4.2.0-rc.1' }],
    ['latest', { kind: 'newest', major: 4, isLatest: true }],
    ['3', { kind: 'newest', major: 3, isLatest: false }],
    ['3.x', { kind: 'newest', major: 3, isLatest: false }],
    ['4.*', { kind: 'newest', major: 4, isLatest: false }],
    ['v3.17', { kind: 'newest', major: 3, minor: 17, isLatest: false }],
    ['3.17.x', { kind: 'newest', major: 3, minor: 17, isLatest: false }],
    ['3.13.1', undefined],
    ['3.13.x', undefined],
    ['2.x', undefined],
    ['x', undefined],
    ['*', undefined],
    ['>=3', undefined],
    ['3.x || 4.x', undefined],
    ['newest', undefined],
    ['3.17.3/../../4.0.0', undefined],
    ['3.17.3-../x', undefined],
  ];
  for (const [text, wish] of wishes) {
    it(`"${text}"`, () => {
      assert.deepEqual(parseHelmVersion(text), wish);
    });
  }

  it('the newest version is found by numbers, inside of the range, and is never a pre-release', () => {
    const versions = ['3.9.9', '3.17.3', '3.17.10', '3.18.0-rc.1', '4.1.4', 'x', '4.1'];
    assert.equal(newestOf(versions, { major: 3 }), '3.17.10');
    assert.equal(newestOf(versions, { major: 3, minor: 9 }), '3.9.9');
    assert.equal(newestOf(versions, { major: 4 }), '4.1.4');
    assert.equal(newestOf(versions, { major: 5 }), undefined);
    assert.ok(knownPatch(3, 17) >= 3);
    assert.equal(knownPatch(9, 9), 0);
  });

  it('the archive is the one for the system and the processor of the agent', () => {
    assert.deepEqual(helmArchive('4.1.4', 'linux', 'x64'), {
      name: 'helm-v4.1.4-linux-amd64.tar.gz',
      program: 'linux-amd64/helm',
    });
    assert.deepEqual(helmArchive('3.17.3', 'win32', 'arm64'), {
      name: 'helm-v3.17.3-windows-arm64.zip',
      program: 'windows-arm64/helm.exe',
    });
    assert.equal(helmArchive('3.17.3', 'aix', 'ppc64'), undefined);
  });

  it('a sum is read with and without the name of its file, and nothing else is a sum', () => {
    const sum = 'AB'.repeat(32);
    assert.equal(parseSum(`${sum}  helm.tar.gz\n`), sum.toLowerCase());
    assert.equal(parseSum(sum), sum.toLowerCase());
    for (const text of ['', '<html>', `${sum}0`, `x${sum}`]) assert.equal(parseSum(text), undefined);
  });

  function download(inputs: Record<string, string>) {
    const secrets = { ranges: () => [], isIn: () => false, occurrences: () => [] };
    const read = inputReader(helmVersionDefaults, (name) => inputs[name], { redact: (text) => text, secrets });
    const answer = readHelmDownload(read);
    read.finish();
    return answer;
  }

  it('the official site is asked unless a mirror is named, and nothing without a version', () => {
    assert.equal(download({}), undefined);
    assert.equal(download({ helmDownloadUrl: 'https://mirror/helm' }), undefined);
    assert.equal(download({ helmVersion: '4.x' })?.site, 'https://get.helm.sh');
    assert.equal(download({ helmVersion: '4.x', helmDownloadUrl: 'https://m/helm/' })?.site, 'https://m/helm');
  });

  for (const [inputs, expected] of [
    [{ helmVersion: '3.2' }, /helmVersion holds "3\.2"; expected an exact version from 3\.14/],
    [
      { helmVersion: '4.x', helmDownloadUrl: 'http://mirror' },
      /helmDownloadUrl holds "http:\/\/mirror"; expected the https/,
    ],
    [{ helmVersion: '4.x', helmDownloadUrl: 'https://mirror/?a=b' }, /helmDownloadUrl .* without a query/],
  ] as const) {
    it(`${JSON.stringify(inputs)} is refused`, () => {
      assert.throws(() => download(inputs), { reason: 'InputInvalid', message: expected });
    });
  }
});
