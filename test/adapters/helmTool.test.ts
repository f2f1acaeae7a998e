import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { publishedSums, sumsFile } from '../../scripts/helmSums';
import { provideHelm, type HelmToolOptions } from '../../tasks/common/adapters/helm/helmTool';
import { TaskError } from '../../tasks/common/core/failure';
import { parseHelmVersion } from '../../tasks/common/core/helm/helmVersion';
import { openHelmMirror, type HelmMirror } from '../support/helmMirror';

function program(version: string): Buffer {
  return Buffer.from(`#!/bin/sh\necho v${version}\n`);
}

describe('the Helm of helmVersion', () => {
  let mirror: HelmMirror;
  let folder = '';
  let lines: string[] = [];

  before(async () => {
    mirror = await openHelmMirror();
  });
  after(() => {
    mirror.close();
  });
  beforeEach(() => {
    mirror.files.clear();
    mirror.asked.length = 0;
    folder = mkdtempSync(path.join(tmpdir(), 'tools-'));
    lines = [];
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  function provided(given: string, change: Partial<HelmToolOptions> = {}): Promise<string> {
    const wish = parseHelmVersion(given);
    assert.ok(wish);
    return provideHelm({
      request: { wish, given, site: mirror.address },
      toolsFolder: folder,
      environment: { SSL_CERT_FILE: mirror.authority },
      signal: new AbortController().signal,
      redact: (text) => text,
      sums: {},
      onLine: (line) => lines.push(line),
      limits: { tries: 1 },
      ...change,
    });
  }

  function answerOf(file: string): string {
    return execFileSync(file, { encoding: 'utf8' }).trim();
  }

  it('is downloaded once, checked, and then taken from the tool cache', async () => {
    const name = mirror.publish('3.17.3', program('3.17.3'));
    const file = await provided('3.17.3');
    assert.equal(answerOf(file), 'v3.17.3');
    assert.deepEqual(mirror.asked, [`GET /${name}.sha256sum`, `GET /${name}`]);
    assert.match(lines.join('\n'), /agrees with the published one; this extension brings no sum for it/);
    // The layout of azure-pipelines-tool-lib: the tool, its version, the processor, and a marker beside it.
    const versionFolder = path.dirname(path.dirname(file));
    assert.deepEqual(readdirSync(versionFolder).sort(), [process.arch, `${process.arch}.complete`]);
    assert.equal(await provided('v3.17.3'), file);
    assert.equal(mirror.asked.length, 2);
    assert.match(lines.join('\n'), /was checked earlier and is in the tool cache/);
  });

  it('comes from a zip on Windows', async () => {
    mirror.publish('4.1.4', program('4.1.4'), 'win32', 'arm64');
    const file = await provided('4.1.4', { platform: 'win32', processor: 'arm64' });
    assert.match(file, /helm\.exe$/);
    assert.equal(answerOf(file), 'v4.1.4');
  });

  it('is the newest of its major version, as the site says', async () => {
    for (const version of ['4.1.4', '4.2.0', '5.0.0']) mirror.publish(version, program(version));
    mirror.files.set('helm4-latest-version', 'v4.2.0\n');
    assert.equal(answerOf(await provided('latest')), 'v4.2.0');
    assert.match(lines.join('\n'), /Helm 4\.2\.0 \(helmVersion: latest\)/);
  });

  it('a range is satisfied by the tool cache, and latest asks the site each time', async () => {
    for (const version of ['4.1.4', '4.2.0']) mirror.publish(version, program(version));
    await provided('4.1.4');
    assert.equal(answerOf(await provided('4.x')), 'v4.1.4');
    mirror.files.set('helm4-latest-version', 'v4.2.0\n');
    assert.equal(answerOf(await provided('latest')), 'v4.2.0');
    assert.equal(answerOf(await provided('4.x')), 'v4.2.0');
  });

  it('the newest patch release is found where the site has no list, newer or older than the ones known here', async () => {
    mirror.publish('3.17.2', program('3.17.2'));
    assert.equal(answerOf(await provided('3.17.x')), 'v3.17.2');
    for (const version of ['4.99.0', '4.99.1']) mirror.publish(version, program(version));
    assert.equal(answerOf(await provided('4.99.x')), 'v4.99.1');
  });

  it('a file in the cache that was changed is replaced', async () => {
    mirror.publish('3.17.3', program('3.17.3'));
    const file = await provided('3.17.3');
    writeFileSync(file, '#!/bin/sh\necho changed\n');
    assert.equal(await provided('3.17.3'), file);
    assert.equal(answerOf(file), 'v3.17.3');
    assert.equal(mirror.asked.length, 4);
  });

  it('jobs of one agent that download at the same time all get a whole program, and leave nothing else', async () => {
    mirror.publish('3.17.3', Buffer.concat([program('3.17.3'), Buffer.alloc(1_000_000, '#')]));
    const files = await Promise.all(Array.from({ length: 6 }, () => provided('3.17.3')));
    assert.equal(new Set(files).size, 1);
    const [file = ''] = files;
    assert.equal(answerOf(file), 'v3.17.3');
    assert.equal(readdirSync(path.dirname(path.dirname(file))).length, 2);
  });

  const name = 'helm-v3.17.3-linux-amd64.tar.gz';
  const faults: [title: string, given: string, spoil: (site: HelmMirror) => void, expected: RegExp][] = [
    [
      'a version that does not exist',
      '9.9.9',
      () => undefined,
      /holds "9\.9\.9": reading https:\/\/127\.0\.0\.1:\d+\/helm-v9\.9\.9-\S+\.sha256sum failed: it answered 404: it has no such file\. Nothing was changed/,
    ],
    ['a minor version that does not exist', '3.99.x', () => undefined, /helm-v3\.99\.0-\S+ failed: it answered 404/],
    [
      'a mirror that answers with a page instead of a sum',
      '3.17.3',
      ({ files }) => files.set(`${name}.sha256sum`, '<!DOCTYPE html>\n<title>Sign in</title>'),
      /answered "<!DOCTYPE html> <title>Sign in<\/title>", which is no SHA-256 sum/,
    ],
    [
      'a mirror that answers with a page instead of the newest version',
      '3.x',
      ({ files }) => files.set('helm3-latest-version', '<html>'),
      /helm3-latest-version answered "<html>", which is no version of Helm 3/,
    ],
    [
      'a site whose newest version is of another major version',
      '3.x',
      ({ files }) => files.set('helm3-latest-version', 'v4.0.0'),
      /answered "v4\.0\.0", which is no version of Helm 3/,
    ],
    [
      'an archive that was changed',
      '3.17.3',
      ({ files }) => files.set(name, 'changed'),
      /has the SHA-256 [0-9a-f]{64}, and its published sum is [0-9a-f]{64}/,
    ],
    [
      'an archive without the program',
      '3.17.3',
      (site) => {
        site.publish('3.17.4', program('3.17.4'), 'linux', 'arm64');
        const other = 'helm-v3.17.4-linux-arm64.tar.gz';
        site.files.set(name, site.files.get(other) ?? '');
        site.files.set(`${name}.sha256sum`, site.files.get(`${other}.sha256sum`) ?? '');
      },
      /holds no linux-amd64\/helm/,
    ],
  ];
  for (const [title, given, spoil, expected] of faults) {
    it(`fails without another Helm instead: ${title}`, async () => {
      mirror.publish('3.17.3', program('3.17.3'), 'linux', 'x64');
      spoil(mirror);
      await assert.rejects(provided(given, { platform: 'linux', processor: 'x64' }), (error) => {
        assert.ok(error instanceof TaskError);
        assert.equal(error.reason, 'HelmDownloadFailed');
        assert.match(error.message, /^Input helmVersion /);
        assert.match(error.message, expected);
        return true;
      });
      assert.ok(!existsSync(path.join(folder, 'helm-safe-deploy.helm')));
    });
  }

  it('a sum that the extension brings wins over a site that publishes another one', async () => {
    const published = mirror.publish('3.17.3', program('3.17.3'));
    const shipped = 'a'.repeat(64);
    await assert.rejects(provided('3.17.3', { sums: { [published]: shipped } }), {
      reason: 'HelmDownloadFailed',
      message: new RegExp(`has the published SHA-256 [0-9a-f]{64}, and this extension knows ${shipped}`),
    });
    assert.ok(!mirror.asked.includes(`GET /${published}`));
  });

  it('a certificate of an unknown authority, and a site that is away, are told apart', async () => {
    await assert.rejects(provided('3.17.3', { environment: {} }), {
      reason: 'HelmDownloadFailed',
      message: /certificate is not trusted/,
    });
    const wish = parseHelmVersion('3.17.3');
    assert.ok(wish);
    const request = { wish, given: '3.17.3', site: 'https://me:hunter22@127.0.0.1:1/helm' };
    await assert.rejects(provided('3.17.3', { request }), (error) => {
      assert.ok(error instanceof TaskError);
      assert.match(error.message, /reading https:\/\/127\.0\.0\.1:1\/helm\/helm-v3\.17\.3-.* connection was refused/);
      assert.doesNotMatch(error.message, /hunter22/);
      return true;
    });
  });

  it('the list of sums that a release brings is written from what a site publishes, and a gap in it is an error', async () => {
    for (const platform of ['linux', 'win32', 'darwin']) {
      for (const processor of ['x64', 'arm64']) mirror.publish('3.17.3', program('3.17.3'), platform, processor);
    }
    const environment = { SSL_CERT_FILE: mirror.authority };
    const sums = await publishedSums(mirror.address, ['3.17.3'], environment);
    assert.equal(Object.keys(sums).length, 5);
    assert.ok((await sumsFile(sums)).includes(`'helm-v3.17.3-linux-arm64.tar.gz': '${sums['helm-v3.17.3-linux-arm64.tar.gz'] ?? ''}'`)); // prettier-ignore
    assert.equal(await sumsFile({}), readFileSync('tasks/common/core/helm/helmSums.ts', 'utf8'));
    await assert.rejects(publishedSums(mirror.address, ['3.17.4'], environment), /no sum of helm-v3\.17\.4-.*404/);
  });
});
