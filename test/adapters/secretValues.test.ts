import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { installDebianPackages } from '../../scripts/cluster/debian';
import { sourcePackages } from '../../scripts/cluster/pins';
import { decryptValues } from '../../tasks/common/adapters/helm/secretValues';
import { privateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import { TaskError } from '../../tasks/common/core/failure';
import type { SecretValuesForHelm } from '../../tasks/common/core/inputs/commandLine';
import { ageKey, encryptedFile, otherIdentity, sops } from '../support/sops';

describe('values that sops has encrypted', function () {
  this.timeout(900_000);
  let folder = '';
  let sopsPath = '';
  let secrets: string[] = [];

  before(async () => {
    await installDebianPackages(console.error, { gnupg: sourcePackages.gnupg });
    sopsPath = await sops();
  });
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'sops-'));
    mkdirSync(path.join(folder, 'temp'));
    secrets = [];
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const inFolder = (name: string): string => path.join(folder, name);

  function decrypted(
    names: readonly string[],
    environment: NodeJS.ProcessEnv = { SOPS_AGE_KEY: ageKey.identity },
    program: string | undefined = sopsPath,
    toolsFolder?: string,
  ): Promise<SecretValuesForHelm> {
    const files = names.map((name, index) => ({
      path: inFolder(name),
      input: `secretValueFiles, line ${index + 1}`,
      format: name.endsWith('.json') ? ('json' as const) : ('yaml' as const),
      hasVaultKey: false,
    }));
    const request = { files, paths: [], ...(program === '' ? {} : { sopsPath: program }) };
    return decryptValues(request, {
      environment: { PATH: process.env['PATH'], HOME: folder, ...environment },
      toolsFolder,
      workingDirectory: folder,
      folder: privateFolder(inFolder('temp'), () => undefined),
      signal: new AbortController().signal,
      redact: (text) => text,
      onSecret: (secret) => secrets.push(secret),
    });
  }

  function jsonOf(values: SecretValuesForHelm): unknown {
    assert.ok('stdin' in values);
    return JSON.parse(values.stdin);
  }

  it('become one document in memory, and their texts become secrets', async () => {
    const text =
      '# the word is hunter00\ndatabase:\n  password: hunter22\n  port: 5432\n  tls: true\nlines: |\n  one\n  two\n';
    await encryptedFile(inFolder('prod.yaml'), text);
    const values = await decrypted(['prod.yaml']);
    assert.deepEqual(jsonOf(values), {
      database: { password: 'hunter22', port: 5432, tls: true },
      lines: 'one\ntwo\n',
    });
    assert.deepEqual(secrets, ['hunter22', 'one\ntwo\n']);
    assert.deepEqual(readdirSync(inFolder('temp')), []);
  });

  it('what sops leaves readable is no secret', async () => {
    const flags = ['--age', ageKey.recipient, '--encrypted-regex', '^password$'];
    await encryptedFile(inFolder('prod.json'), '{"password":"hunter22","region":"westeurope"}', flags);
    assert.deepEqual(jsonOf(await decrypted(['prod.json'])), { password: 'hunter22', region: 'westeurope' });
    assert.deepEqual(secrets, ['hunter22']);
  });

  it('several files are merged as Helm merges them', async () => {
    await encryptedFile(inFolder('a.yaml'), 'database:\n  user: admin\n  password: hunter22\n');
    await encryptedFile(inFolder('b.yaml'), 'database:\n  password: hunter23\n');
    assert.deepEqual(jsonOf(await decrypted(['a.yaml', 'b.yaml'])), {
      database: { user: 'admin', password: 'hunter23' },
    });
  });

  it('several files that one document cannot stand for go by files in memory, which have no name', async () => {
    await encryptedFile(inFolder('a.yaml'), 'database: none\n');
    await encryptedFile(inFolder('b.yaml'), 'database:\n  password: hunter23\n');
    const values = await decrypted(['a.yaml', 'b.yaml']);
    assert.ok('files' in values);
    assert.deepEqual(
      values.files.map((file) => JSON.parse(execFileSync('cat', [file], { encoding: 'utf8' })) as unknown),
      [{ database: 'none' }, { database: { password: 'hunter23' } }],
    );
    assert.deepEqual(readdirSync(inFolder('temp')), []);
    assert.deepEqual(
      readdirSync('/dev/shm').filter((name) => name.startsWith('helm-safe-deploy-')),
      [],
    );
  });

  it('a key of PGP in the keyring of the agent is used', async function () {
    const home = mkdtempSync('/tmp/gpg-');
    const environment = { GNUPGHOME: home };
    const gpg = (...args: string[]): string =>
      execFileSync('gpg', ['--batch', '--quiet', ...args], {
        env: { ...process.env, ...environment },
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      });
    try {
      gpg('--passphrase', '', '--quick-generate-key', 'deploy@example.org', 'default', 'default', 'never');
      const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(gpg('--list-keys', '--with-colons'))?.[1] ?? '';
      writeFileSync(inFolder('prod.yaml'), 'password: hunter22\n');
      execFileSync(sopsPath, ['--encrypt', '--in-place', '--pgp', fingerprint, inFolder('prod.yaml')], {
        env: { ...process.env, ...environment },
      });
      assert.deepEqual(jsonOf(await decrypted(['prod.yaml'], environment)), { password: 'hunter22' });
    } finally {
      execFileSync('gpgconf', ['--kill', 'all'], { env: { ...process.env, ...environment } });
      rmSync(home, { recursive: true, force: true });
    }
  });

  it('the newest sops that an earlier step has put into the tool cache is found, and one on PATH wins', async () => {
    await encryptedFile(inFolder('prod.yaml'), 'password: hunter22\n');
    const tools = inFolder('tools');
    const put = (folderName: string, script: string): string => {
      mkdirSync(folderName, { recursive: true });
      writeFileSync(path.join(folderName, 'sops'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      return folderName;
    };
    const cache = (version: string, script: string, isComplete = true): void => {
      const place = put(path.join(tools, 'sops', version, process.arch), script);
      if (isComplete) writeFileSync(`${place}.complete`, '');
    };
    cache('3.9.4', 'echo old >&2; exit 1');
    cache('3.13.1', `exec '${sopsPath}' "$@"`);
    cache('3.14.0', 'echo half >&2; exit 1', false);
    const key = { SOPS_AGE_KEY: ageKey.identity, PATH: '/nowhere' };
    assert.deepEqual(jsonOf(await decrypted(['prod.yaml'], key, '', tools)), { password: 'hunter22' });
    const bin = put(inFolder('bin'), 'echo the one on PATH >&2; exit 1');
    await assert.rejects(decrypted(['prod.yaml'], { ...key, PATH: bin }, '', tools), /the one on PATH/);
  });

  const faults: [
    title: string,
    how: { environment?: NodeJS.ProcessEnv; program?: string; spoil?: (text: string) => string },
    expected: RegExp,
  ][] = [
    ['no key', { environment: {} }, /this agent has none of the keys for it\. Give sops its key .* sops says: /],
    ['another key', { environment: { SOPS_AGE_KEY: otherIdentity } }, /this agent has none of the keys/],
    [
      'a value that was changed',
      { spoil: (text) => text.replace('readable_unencrypted: here', 'readable_unencrypted: there') },
      /it was changed after it was encrypted: its MAC does not fit/,
    ],
    ['a value that was cut', { spoil: (text) => text.replace(/data:[^,]+/, 'data:AAAA') }, /sops ended with exit code/],
    [
      'no sops on PATH',
      { program: '', environment: { PATH: '/nowhere' } },
      /there is no sops on PATH or in the tool cache; .* sopsPath/,
    ],
  ];
  for (const [title, { environment, program, spoil = (text: string) => text }, expected] of faults) {
    it(`the error names the input and what to do: ${title}`, async () => {
      const file = inFolder('prod.yaml');
      await encryptedFile(file, 'password: hunter22\nreadable_unencrypted: here\n');
      writeFileSync(file, spoil(readFileSync(file, 'utf8')));
      await assert.rejects(decrypted(['prod.yaml'], environment, program), (error) => {
        assert.ok(error instanceof TaskError);
        assert.equal(error.reason, 'InputInvalid');
        assert.match(error.message, /^Input secretValueFiles, line 1: \S+prod\.yaml could not be decrypted: /);
        assert.match(error.message, expected);
        assert.doesNotMatch(error.message, /hunter22/);
        return true;
      });
    });
  }
});
