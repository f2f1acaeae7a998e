import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { repository } from '../../scripts/build';
import { packageExtension } from '../../scripts/package';
import { readVsix, writeVsix } from '../../scripts/package/vsix';
import { signStatement, verifyStatement } from '../../scripts/provenance/sign';
import { provenanceStatement } from '../../scripts/provenance/statement';
import { differencesOf, identityOf, rebuild } from '../../scripts/provenance/verifyPackage';
import { openSigstore, runToken } from '../support/sigstoreSite';
import type { SigstoreSite } from '../support/sigstoreSite';

const signer = 'https://example.com/o/r/.github/workflows/release.yml@refs/tags/v1.2.0';
const issuer = 'https://token.example.com';

describe('the provenance of a package', () => {
  const vsix = Buffer.from('the bytes of a package');
  const statement = provenanceStatement({
    vsix,
    name: 'helm-safe-deploy.vsix',
    flavour: 'production',
    repository: 'https://example.com/o/r',
    tag: 'v1.2.0',
    commit: '0123456789abcdef0123456789abcdef01234567',
    node: 'v20.20.2',
    run: 'https://example.com/o/r/actions/runs/1',
    builder: signer,
  });
  let site: SigstoreSite;
  let bundle: Awaited<ReturnType<typeof signStatement>>;

  before(async () => {
    site = await openSigstore();
    const identityToken = runToken(signer, issuer);
    bundle = await signStatement(statement, { identityToken, fulcioURL: site.address, rekorURL: site.address });
  });

  after(() => {
    site.close();
  });

  it('names the package, its source and its builder as SLSA v1 does', () => {
    assert.equal(statement._type, 'https://in-toto.io/Statement/v1');
    assert.equal(statement.predicateType, 'https://slsa.dev/provenance/v1');
    const source = 'git+https://example.com/o/r@refs/tags/v1.2.0';
    assert.deepEqual(statement.predicate, {
      buildDefinition: {
        buildType: 'urn:helm-safe-deploy:npm-run-package:v1',
        externalParameters: { source, flavour: 'production' },
        internalParameters: { node: 'v20.20.2' },
        resolvedDependencies: [{ uri: source, digest: { gitCommit: '0123456789abcdef0123456789abcdef01234567' } }],
      },
      runDetails: {
        builder: { id: signer },
        metadata: { invocationId: 'https://example.com/o/r/actions/runs/1' },
      },
    });
  });

  it('is verified without a network, and given back', () => {
    assert.deepEqual(verifyStatement(bundle, vsix, { root: site.root, signer, issuer }), statement);
  });

  it('is refused for a package that was changed', () => {
    const changed = Buffer.from('the bytes of a Package');
    assert.throws(
      () => verifyStatement(bundle, changed, { root: site.root, signer, issuer }),
      /The package has the SHA-256 \w+, but its provenance is about \w+/,
    );
  });

  it('is refused when its text was changed after it was signed', () => {
    const { dsseEnvelope } = bundle;
    assert.ok(dsseEnvelope !== undefined);
    const other = Buffer.from(JSON.stringify({ ...statement, subject: [] })).toString('base64');
    const forged = { ...bundle, dsseEnvelope: { ...dsseEnvelope, payload: other } };
    assert.throws(
      () => verifyStatement(forged, vsix, { root: site.root, signer, issuer }),
      /signature|mismatch|entry/i,
    );
  });

  const strangers = [
    { title: 'another run', trust: { signer: `${signer}-beta`, issuer } },
    { title: 'a run whose name only contains the expected one', trust: { signer: signer.slice(0, -2), issuer } },
    { title: 'a signer that another issuer vouches for', trust: { signer, issuer: 'https://token.example.org' } },
  ];
  for (const { title, trust } of strangers) {
    it(`is refused when it was signed by ${title}`, () => {
      assert.throws(() => verifyStatement(bundle, vsix, { root: site.root, ...trust }), /certificate .*expected/);
    });
  }

  it('is refused when nobody trusts the authority of its signature', async () => {
    const other = await openSigstore();
    other.close();
    assert.throws(() => verifyStatement(bundle, vsix, { root: other.root, signer, issuer }));
  });
});

describe('verifying a package', function () {
  this.timeout(300_000);
  let folder: string;
  let vsix: Uint8Array;
  let rebuilt: Uint8Array;

  before(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'helm-safe-deploy-test-'));
    const from = taggedCopy(path.join(folder, 'repository'));
    vsix = await packageExtension(repository, 'development');
    const prepare = (clone: string): Promise<void> => {
      symlinkSync(path.join(repository, 'node_modules'), path.join(clone, 'node_modules'));
      return Promise.resolve();
    };
    rebuilt = await rebuild({ ...identityOf(vsix), from, prepare });
  });

  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  it('builds its tag in an empty clone, and gets the same bytes', () => {
    assert.deepEqual(differencesOf(vsix, rebuilt), []);
  });

  it('names a file that was changed, added or taken away', async () => {
    const parts = readVsix(vsix);
    const changed = new Map(parts).set('overview.md', new Uint8Array([1])).set('evil.js', new Uint8Array([2]));
    changed.delete('LICENSE.md');
    assert.deepEqual(differencesOf(await writeVsix(changed), rebuilt), [
      'LICENSE.md is missing in the package',
      'evil.js does not come from the source',
      'overview.md has other content than the source gives',
    ]);
  });

  it('fails for a version that has no tag', async () => {
    const from = path.join(folder, 'repository');
    await assert.rejects(
      rebuild({ version: '9.9.9', flavour: 'production', from }),
      /git clone --quiet failed:[^]*v9\.9\.9/,
    );
  });
});

/** A repository with the files of this checkout, also those that are not committed yet, and the tag of its version. */
function taggedCopy(target: string): string {
  const git = (cwd: string, ...args: string[]): string => execFileSync('git', args, { cwd, encoding: 'utf8' });
  const files = git(repository, 'ls-files', '--cached', '--others', '--exclude-standard').trim().split('\n');
  for (const file of files) {
    if (!existsSync(path.join(repository, file)) || file.startsWith('test/')) continue;
    cpSync(path.join(repository, file), path.join(target, file), { recursive: true });
  }
  const { version } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as {
    version: string;
  };
  git(target, 'init', '--quiet');
  git(target, 'add', '--all');
  git(target, '-c', 'user.name=test', '-c', 'user.email=test@localhost', 'commit', '--quiet', '--message', 'Test');
  git(target, 'tag', `v${version}`);
  return target;
}
