import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { helmLoginSecrets } from '../../tasks/common/adapters/helm/helmLoginFiles';
import { loginFiles, registrySecrets, repositorySecrets } from '../../tasks/common/core/helm/helmLogins';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

describe("logins in Helm's files", () => {
  const places: [string, string, Record<string, string>, string, string][] = [
    ['Linux', 'linux', {}, '/home/me/.config/helm/repositories.yaml', '/home/me/.config/helm/registry/config.json'],
    [
      'macOS',
      'darwin',
      {},
      '/home/me/Library/Preferences/helm/repositories.yaml',
      '/home/me/Library/Preferences/helm/registry/config.json',
    ],
    ['Windows', 'win32', { APPDATA: 'C:/x' }, 'C:/x/helm/repositories.yaml', 'C:/x/helm/registry/config.json'],
    ['XDG', 'linux', { XDG_CONFIG_HOME: '/x' }, '/x/helm/repositories.yaml', '/x/helm/registry/config.json'],
    [
      'a folder',
      'linux',
      { HELM_CONFIG_HOME: '/h', XDG_CONFIG_HOME: '/x' },
      '/h/repositories.yaml',
      '/h/registry/config.json',
    ],
    ['files', 'linux', { HELM_REPOSITORY_CONFIG: '/r.yaml', HELM_REGISTRY_CONFIG: '/g.json' }, '/r.yaml', '/g.json'],
  ];
  for (const [title, platform, environment, repositories, registries] of places) {
    it(`are searched where Helm searches: ${title}`, () => {
      const found = loginFiles(platform, environment, '/home/me');
      assert.deepEqual([found.repositories[0], found.registries[0]], [repositories, registries]);
      assert.equal(found.registries[1], '/home/me/.docker/config.json');
    });
  }

  it('of repositories: the password, also in its encoded form and in an address', () => {
    const text = `apiVersion: ''
repositories:
  - { name: a, url: https://a.example, username: me, password: hunter22 }
  - { name: b, url: 'https://you:swordfish@b.example/charts' }
  - { name: c, url: https://c.example, password: '' }
`;
    const secrets = repositorySecrets(text);
    for (const secret of ['hunter22', base64('me:hunter22'), 'swordfish', 'you:swordfish']) {
      assert.ok(secrets.includes(secret), secret);
    }
    assert.ok(!secrets.includes(''));
  });

  it('of registries: the stored value and the password in it', () => {
    const auth = base64('me:hunter22');
    const text = JSON.stringify({ auths: { 'a.example': { auth }, 'b.example': { identitytoken: 'tok-1234' } } });
    assert.deepEqual(registrySecrets(text), [auth, 'hunter22', 'tok-1234']);
  });

  for (const text of ['', 'x', '[]', '{"auths": 5}', 'repositories: a', 'repositories: [1, null]', '{'.repeat(5000)]) {
    it(`are none in ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.deepEqual([...repositorySecrets(text), ...registrySecrets(text)], []);
    });
  }

  it("are read at the places that Helm's environment names", () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'helm-logins-'));
    try {
      const environment = { HELM_CONFIG_HOME: folder, DOCKER_CONFIG: folder };
      assert.deepEqual(helmLoginSecrets(environment), []);
      const text = 'repositories: [{ name: a, url: https://a.example, username: me, password: hunter22 }]';
      fs.writeFileSync(path.join(folder, 'repositories.yaml'), text);
      assert.ok(helmLoginSecrets(environment).includes('hunter22'));
    } finally {
      fs.rmSync(folder, { recursive: true });
    }
  });
});
