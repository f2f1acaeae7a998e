import assert from 'node:assert/strict';
import { inputReader, type InputFiles } from '../../tasks/common/core/inputs/inputs';
import {
  decryptedSecrets,
  mergedValues,
  readSecretValues,
  secretValuesDefaults,
  sopsProblem,
} from '../../tasks/common/core/inputs/secretValues';

const encrypted = `database:
    password: ENC[AES256_GCM,data:x,type:str]
    port: ENC[AES256_GCM,data:x,type:int]
hosts:
    - ENC[AES256_GCM,data:x,type:str]
region_unencrypted: westeurope
sops:
    mac: ENC[AES256_GCM,data:x,type:str]
`;

const texts: Record<string, string> = {
  'prod.yaml': encrypted,
  'prod.json': '{"a":"ENC[AES256_GCM,data:x,type:str]","sops":{"mac":"ENC[x]"}}',
  'plain.yaml': 'a: 1\n',
  'half.yaml': 'a: 1\nsops: {}\n',
  'list.yaml': '- a\n',
  'many.yaml': `${encrypted}---\n${encrypted}`,
  'vault.yaml': encrypted.replace('sops:', 'sops:\n    azure_kv:\n        - name: k'),
  'groups.yaml': encrypted.replace('sops:', 'sops:\n    key_groups:\n        - azure_kv:\n            - name: k'),
  'noVault.yaml': encrypted.replace('sops:', 'sops:\n    azure_kv: []'),
  'bin/sops': '#!',
};

function read(inputs: Record<string, string>) {
  const files: InputFiles = {
    absolute: (path) => `/w/${path}`,
    kind: (path) => (path in texts ? 'file' : path === 'folder' ? 'folder' : 'missing'),
    names: () => [],
    readText: (path) => texts[path] ?? '',
  };
  const secrets = { ranges: () => [], isIn: () => false, occurrences: () => [] };
  const reader = inputReader(secretValuesDefaults, (name) => inputs[name], { redact: (text) => text, secrets });
  const answer = readSecretValues(reader, files);
  reader.finish();
  return answer;
}

describe('encrypted values', () => {
  it('are read in their order, and the paths of their values are known without a key', () => {
    assert.equal(read({}), undefined);
    assert.deepEqual(read({ secretValueFiles: 'prod.yaml\nprod.json', sopsPath: 'bin/sops' }), {
      files: [
        { path: '/w/prod.yaml', input: 'secretValueFiles, line 1', format: 'yaml', hasVaultKey: false },
        { path: '/w/prod.json', input: 'secretValueFiles, line 2', format: 'json', hasVaultKey: false },
      ],
      paths: [['database', 'password'], ['database', 'port'], ['hosts'], ['region_unencrypted'], ['a']],
      sopsPath: '/w/bin/sops',
    });
  });

  it('a key in Azure Key Vault is found beside the other keys and in their groups', () => {
    const found = read({ secretValueFiles: 'vault.yaml\ngroups.yaml\nnoVault.yaml' });
    assert.deepEqual(
      found?.files.map(({ hasVaultKey }) => hasVaultKey),
      [true, true, false],
    );
  });

  for (const [inputs, expected] of [
    [{ secretValueFiles: 'gone.yaml' }, /secretValueFiles, line 1 holds "gone\.yaml"; there is no such file/],
    [{ secretValueFiles: 'prod.yaml\nfolder' }, /secretValueFiles, line 2 holds "folder"; this is a folder/],
    [{ secretValueFiles: 'plain.yaml' }, /holds "plain\.yaml"; this file is not encrypted by sops/],
    [{ secretValueFiles: 'half.yaml' }, /not encrypted by sops/],
    [{ secretValueFiles: 'list.yaml' }, /not encrypted by sops/],
    [{ secretValueFiles: 'many.yaml' }, /not encrypted by sops as one document/],
    [{ secretValueFiles: 'prod.yaml', sopsPath: 'nowhere' }, /sopsPath holds "nowhere"; there is no such file/],
  ] as const) {
    it(`${JSON.stringify(inputs)} is refused`, () => {
      assert.throws(() => read(inputs), { reason: 'InputInvalid', message: expected });
    });
  }

  it('every decrypted text of three or more characters is a secret, and nothing else', () => {
    const values = {
      database: { password: 'hunter22', port: 5432 },
      hosts: ['db.internal', 'ab'],
      region_unencrypted: 'westeurope',
      added: null,
    };
    assert.deepEqual(decryptedSecrets(encrypted, values), ['hunter22', 'db.internal']);
  });

  const merges: [files: Record<string, unknown>[], merged: Record<string, unknown> | undefined][] = [
    [[{ a: 1 }], { a: 1 }],
    [[{ a: { b: 1, c: 2 } }, { a: { b: 3 }, d: [1] }, { d: [2] }], { a: { b: 3, c: 2 }, d: [2] }],
    [[{ a: { b: 1 } }, { a: null }], { a: null }],
    [[{ a: { b: 1 } }, { a: 'x' }], { a: 'x' }],
    // In one document the mapping would be merged into one of valueFiles that the second file has taken away.
    [[{ a: 'x' }, { a: { b: 1 } }], undefined],
    [[{ a: { b: { c: 1 } } }, { a: { b: 2 } }, { a: { b: { d: 3 } } }], undefined],
  ];
  for (const [files, merged] of merges) {
    it(`${JSON.stringify(files)} ${merged === undefined ? 'cannot be one document' : 'become one document'}`, () => {
      assert.deepEqual(mergedValues(files), merged);
    });
  }

  it('what sops says becomes a cause and a next step', () => {
    assert.match(sopsProblem(51, 'MAC mismatch. File has x\n'), /^it was changed .* sops says: MAC mismatch/);
    assert.match(
      sopsProblem(128, 'Failed to get the data key\n\n  age: no identity'),
      /^this agent has none of the keys/,
    );
    const forbidden =
      'Group 0: FAILED\n - | failed to decrypt sops data key with Azure Key\n   | Vault key: POST https://shop\n   | RESPONSE\n   | 403: 403 Forbidden';
    assert.match(sopsProblem(128, forbidden), /^the key vault answered 403: .* the role Key Vault Crypto User/);
    assert.equal(sopsProblem(1, ' a \n\n b\nc\nd\ne'), 'sops ended with exit code 1: a b c d');
  });
});
