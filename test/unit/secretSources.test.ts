import assert from 'node:assert/strict';
import {
  environmentSecrets,
  isSecretVariable,
  namesSecret,
  userinfoSecrets,
  userinfoSecretsIn,
  withoutCredentials,
  withoutSecretVariables,
} from '../../tasks/common/core/text/secretSources';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe('the sources of secrets', () => {
  for (const [address, ...expected] of [
    ['http://me:hunter22@proxy:3128', 'me:hunter22', 'hunter22', 'hunter22', base64('me:hunter22')],
    ['me:hunter22@proxy:3128', 'me:hunter22', 'hunter22', 'hunter22', base64('me:hunter22')],
    ['https://me:p%40ss@api:6443/k8s', 'me:p%40ss', 'p%40ss', 'p@ss', base64('me:p@ss')],
    ['https://me:p@ss@api', 'me:p@ss', 'p@ss', 'p@ss', base64('me:p@ss')],
    ['http://me:pa/ss@proxy', 'me:pa/ss', 'pa/ss', 'pa/ss', base64('me:pa/ss')],
    ['https://ghp_token@host', 'ghp_token', 'ghp_token', 'ghp_token'],
    ['https://me:@host'],
    ['http://proxy:3128'],
    ['http://proxy:3128/a@b'],
    [''],
  ] as const) {
    it(`userinfo of "${address}"`, () => {
      assert.deepEqual(userinfoSecrets(address), expected);
    });
  }

  it('a user without a password is an ordinary name in a list of addresses', () => {
    const text = 'values.yaml\nhttps://me:hunter22@host/values.yaml\nhttps://org@dev.azure.com/x';
    assert.deepEqual(userinfoSecretsIn(text), ['me:hunter22', 'hunter22', 'hunter22', base64('me:hunter22')]);
  });

  for (const name of [
    'VAULT_SECRET_ID', 'AZURE_CLIENT_SECRET', 'AWS_SECRET_ACCESS_KEY', 'GITHUB_TOKEN', 'SSH_PRIVATE_KEY', 'PRIVATE_KEY_PEM',
    'DB_PASSWORD', 'SOPS_AGE_KEY', 'SYSTEM_ACCESSTOKEN', 'AZURE_STORAGE_CONNECTION_STRING', 'GOOGLE_CREDENTIALS',
  ]) {
    it(`the variable ${name} holds a secret`, () => {
      assert.ok(isSecretVariable(name, 'correct-horse'));
      assert.deepEqual(environmentSecrets({ [name]: 'correct-horse' }), ['correct-horse']);
      assert.deepEqual(withoutSecretVariables({ [name]: 'correct-horse', PATH: '/bin' }), { PATH: '/bin' });
    });
  } // prettier-ignore

  it('a program that must find no credential does not learn where one lies', () => {
    const kept = { PATH: '/bin', HELM_PLUGINS: '/plugins', AGENT_JOBNAME: 'token file' };
    const places = { AWS_WEB_IDENTITY_TOKEN_FILE: '/a', GOOGLE_APPLICATION_CREDENTIALS: '/b', docker_config: '/c' };
    assert.deepEqual(withoutCredentials({ ...kept, ...places, GITHUB_TOKEN: 'correct-horse' }), kept);
  });

  for (const [name, value] of [
    ['AWS_WEB_IDENTITY_TOKEN_FILE', '/var/run/token'],
    ['GOOGLE_APPLICATION_CREDENTIALS', '/home/me/key.json'],
    ['HELM_SECRETS_BACKEND', 'vals'],
    ['TOKEN_TTL', '3600'],
    ['USE_TOKEN', 'true'],
    ['PRIVATE_KEY_PATH', 'keys/id'],
    ['AWS_ACCESS_KEY_ID', 'AKIAEXAMPLE'],
    ['PWD', 'somewhere'],
    ['GITHUB_TOKEN', ''],
  ] as const) {
    it(`the variable ${name} with "${value}" holds no secret`, () => {
      assert.ok(!isSecretVariable(name, value));
    });
  }

  it('the userinfo of a proxy is secret, its host and exceptions are not', () => {
    const environment = {
      https_proxy: 'http://me:hunter22@proxy:3128',
      HTTP_PROXY: 'http://proxy:3128',
      NO_PROXY: 'a@b',
    };
    assert.ok(environmentSecrets(environment).includes('hunter22'));
    assert.ok(!environmentSecrets(environment).some((secret) => secret.includes('proxy')));
  });

  it('a field of a credential plug-in is secret by its name', () => {
    for (const name of ['VAULT_SECRET_ID', 'client-secret', 'privateKey']) assert.ok(namesSecret(name), name);
    for (const name of ['token-url', 'client-id', 'private_key_file']) assert.ok(!namesSecret(name), name);
  });
});
