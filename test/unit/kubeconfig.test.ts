import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import {
  serviceAccountKubeconfig,
  standaloneKubeconfig,
  type KubeconfigFiles,
  type KubeconfigWishes,
} from '../../tasks/common/core/kubernetes/kubeconfig';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const authority = '-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n';
const key = '-----BEGIN EC PRIVATE KEY-----\nS0VZTElORQ\nU0VDT05E\n-----END EC PRIVATE KEY-----\n';

const disk: Record<string, string> = {
  '/k/ca.crt': authority,
  '/k/me.crt': authority,
  '/k/me.key': key,
  '/k/token': 'tok-from-file\n',
  '/k/empty': '\n',
};
const files: KubeconfigFiles = {
  isAbsolute: (path) => path.startsWith('/'),
  join: (folder, path) => `${folder}/${path.replace(/^\.\//, '')}`,
  read: (path) => {
    const text = disk[path];
    if (text === undefined) throw new Error('ENOENT');
    return Buffer.from(text);
  },
};

const two = `
apiVersion: v1
kind: Config
current-context: dev
clusters:
- name: c1
  cluster: {server: 'https://one:6443', certificate-authority-data: ${base64(authority)}, proxy-url: 'http://proxy:3128', tls-server-name: api}
- name: c2
  cluster: {server: 'https://two:6443', insecure-skip-tls-verify: true, certificate-authority-data: ${base64(authority)}}
users:
- name: u1
  user: {token: geheim-token}
- name: u2
  user: {username: admin, password: geheim-pass}
contexts:
- name: dev
  context: {cluster: c1, user: u1}
- name: prod
  context: {cluster: c2, user: u2, namespace: shop}
`;

interface Written {
  'current-context': string;
  clusters: [{ name: string; cluster: Record<string, unknown> }];
  users: [{ name: string; user: Record<string, unknown> }];
  contexts: [{ name: string; context: Record<string, unknown> }];
}

function standalone(text: string, wishes: KubeconfigWishes = {}, folder?: string) {
  const source = { text, origin: 'the kubeconfig', ...(folder === undefined ? {} : { folder }) };
  const kubeconfig = standaloneKubeconfig([source], wishes, files);
  return { ...kubeconfig, written: JSON.parse(kubeconfig.text) as Written };
}

function of(cluster: object, user: object, context: object = {}): string {
  return JSON.stringify({
    'current-context': 'x',
    clusters: [{ name: 'c', cluster: { server: 'https://one', ...cluster } }],
    users: [{ name: 'u', user }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u', ...context } }],
  });
}

function refusal(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    assert.ok(error instanceof TaskError);
    assert.equal(error.reason, 'ConnectionInvalid');
    return error.message;
  }
  return assert.fail('nothing was refused');
}

describe('the kubeconfig that the task writes', () => {
  it('has one named context with all fields of its cluster and user', () => {
    const { written, server, namespace, secrets } = standalone(two);
    assert.deepEqual(written, {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'helm-safe-deploy',
      clusters: [{ name: 'cluster', cluster: { server: 'https://one:6443', 'certificate-authority-data': base64(authority), 'proxy-url': 'http://proxy:3128', 'tls-server-name': 'api' } }],
      users: [{ name: 'user', user: { token: 'geheim-token' } }],
      contexts: [{ name: 'helm-safe-deploy', context: { cluster: 'cluster', user: 'user' } }],
    }); // prettier-ignore
    assert.equal(server, 'https://one:6443');
    assert.equal(namespace, undefined);
    assert.deepEqual(secrets, ['geheim-token']);
  });

  it('takes the context, the namespace and the untrusted certificate of the connection', () => {
    const { written, namespace, secrets } = standalone(two, { context: 'prod' });
    assert.equal(namespace, 'shop');
    assert.deepEqual(written.clusters[0].cluster, { server: 'https://two:6443', 'insecure-skip-tls-verify': true });
    assert.deepEqual(secrets, ['geheim-pass', base64('admin:geheim-pass')]);
  });

  it('prefers the connection to the context for namespace and acceptUntrustedCerts', () => {
    const { written, namespace } = standalone(two, { context: 'dev', namespace: 'mine', acceptUntrustedCerts: true });
    assert.equal(namespace, 'mine');
    assert.equal(written.contexts[0].context['namespace'], 'mine');
    assert.equal(written.clusters[0].cluster['insecure-skip-tls-verify'], true);
    assert.ok(!('certificate-authority-data' in written.clusters[0].cluster));
  });

  it('userinfo of its addresses is secret', () => {
    const cluster = { server: 'https://a:geheim-1@one', 'proxy-url': 'http://b:geheim%202@proxy:3128' };
    const { secrets } = standalone(of(cluster, {}));
    for (const secret of ['geheim-1', 'geheim%202', 'geheim 2', base64('b:geheim 2')]) {
      assert.ok(secrets.includes(secret), secret);
    }
  });

  for (const proxy of ['http://me:pa/ss@proxy:3128', 'me:geheim@proxy', 'ftp://proxy', '::', 'http://[::']) {
    it(`an unreadable proxy-url is refused without showing it: ${proxy}`, () => {
      const said = refusal(() => standalone(of({ 'proxy-url': proxy }, {})));
      assert.match(said, /its proxy-url is not the address of a proxy/);
      assert.ok(!said.includes('pa/ss') && !said.includes('geheim'), said);
    });
  }

  it('contains the files that the original names, found beside it', () => {
    const text = of(
      { 'certificate-authority': 'ca.crt' },
      { 'client-certificate': './me.crt', 'client-key': '/k/me.key' },
    );
    const { written, secrets } = standalone(text, {}, '/k');
    assert.deepEqual(written.clusters[0].cluster, {
      server: 'https://one',
      'certificate-authority-data': base64(authority),
    });
    assert.deepEqual(written.users[0].user, {
      'client-certificate-data': base64(authority),
      'client-key-data': base64(key),
    });
    assert.deepEqual(secrets, [base64(key), key, 'S0VZTElORQ', 'U0VDT05E']);
  });

  it('keeps the absolute path of a token file, and its present token', () => {
    const { written, secrets } = standalone(of({}, { tokenFile: 'token' }), {}, '/k');
    assert.deepEqual(written.users[0].user, { tokenFile: '/k/token', token: 'tok-from-file' });
    assert.deepEqual(secrets, ['tok-from-file']);
  });

  it('keeps a plug-in with its environment, masks the secrets in it, and finds its program', () => {
    const exec = {
      apiVersion: 'client.authentication.k8s.io/v1',
      command: './bin/login',
      args: ['--client-secret', 'geheim1', '--token=geheim2', '--server-id', 'plain'],
      env: [{ name: 'AAD_CLIENT_SECRET', value: 'geheim3' }, { name: 'AZURE_FEDERATED_TOKEN_FILE', value: '/t' }],
      interactiveMode: 'Never',
    }; // prettier-ignore
    const { written, secrets } = standalone(of({}, { exec }), {}, '/k');
    assert.deepEqual(written.users[0].user, { exec: { ...exec, command: '/k/bin/login' } });
    assert.deepEqual(secrets, ['geheim3', 'geheim1', 'geheim2']);
    assert.deepEqual(standalone(of({}, { exec: { ...exec, command: 'kubelogin' } })).written.users[0].user, {
      exec: { ...exec, command: 'kubelogin' },
    });
  });

  it('with several files in KUBECONFIG the first that defines a name wins', () => {
    const first = { text: 'users:\n- {name: u1, user: {token: first}}\n', origin: 'a' };
    const { text } = standaloneKubeconfig([first, { text: two, origin: 'b' }], {}, files);
    assert.deepEqual((JSON.parse(text) as Written).users[0].user, { token: 'first' });
  });

  it('a single context needs no current-context, and a user or a scheme may be missing', () => {
    const text = of({ server: 'one:6443' }, {})
      .replace('"current-context":"x",', '')
      .replace('"user":"u"', '"user":""');
    const { server, written } = standalone(text);
    assert.equal(server, 'https://one:6443');
    assert.deepEqual(written.users[0].user, {});
  });

  for (const [name, text, wishes, expected] of [
    ['no YAML', 'a: [geheim', {}, /it is not YAML at line 1/],
    ['no mapping', 'geheim', {}, /not a kubeconfig/],
    ['unknown anchor', 'a: *geheim', {}, /anchor/],
    ['empty', '', {}, /not a kubeconfig/],
    ['no context', 'clusters: []', {}, /no context is chosen.*it has none/],
    ['context not found', two, { context: 'test' }, /it has no context "test" \(it has dev, prod\)/],
    [
      'current context not found',
      two.replace('current-context: dev', 'current-context: gone'),
      {},
      /no context "gone"/,
    ],
    [
      'cluster not found',
      two.replace('cluster: c1', 'cluster: gone'),
      {},
      /context "dev" names the cluster "gone", which it does not have/,
    ],
    ['user not found', two.replace('user: u1', 'user: gone'), {}, /context "dev" names the user "gone"/],
    ['no server', of({ server: '' }, {}), {}, /no address/],
    ['no address', of({ server: 'ftp://x' }, {}), {}, /server is not an address/],
    [
      'authority not base64',
      of({ 'certificate-authority-data': 'geheim!' }, {}),
      {},
      /certificate-authority-data is not base64 of a PEM/,
    ],
    ['key not PEM', of({}, { 'client-key-data': base64('geheim') }), {}, /client-key-data is not base64 of a PEM/],
    [
      'relative file of a connection',
      of({ 'certificate-authority': 'ca.crt' }, {}),
      {},
      /relative path.*certificate-authority-data/,
    ],
    [
      'file not there',
      of({ 'certificate-authority': '/gone' }, {}),
      {},
      /the file \/gone that its certificate-authority names cannot be read/,
    ],
    ['token file empty', of({}, { tokenFile: '/k/empty' }), {}, /tokenFile names is empty/],
  ] as const) {
    // prettier-ignore
    it(`refused without showing any of it: ${name}`, () => {
      const message = refusal(() => standalone(text, wishes));
      assert.match(message, expected);
      assert.doesNotMatch(message, /geheim|Z2VoZWlt/);
    });
  }
});

describe('the kubeconfig of a service account', () => {
  const connection = {
    origin: 'the service connection',
    server: 'https://one/',
    token: base64('ey.tok.en'),
    certificate: base64(authority),
    acceptUntrustedCerts: false,
  };

  it('has the decoded token and the authority unchanged, and both forms of the token are masked', () => {
    const { text, secrets, namespace } = serviceAccountKubeconfig({ ...connection, namespace: 'shop' });
    const written = JSON.parse(text) as Written;
    assert.deepEqual(written.users[0].user, { token: 'ey.tok.en' });
    assert.deepEqual(written.clusters[0].cluster, {
      server: 'https://one/',
      'certificate-authority-data': base64(authority),
    });
    assert.equal(namespace, 'shop');
    assert.deepEqual(secrets, [base64('ey.tok.en'), 'ey.tok.en']);
  });

  it('works with acceptUntrustedCerts, without an authority, and with pasted token and authority', () => {
    const cluster = (more: object): unknown =>
      (JSON.parse(serviceAccountKubeconfig({ ...connection, ...more }).text) as Written).clusters[0].cluster;
    assert.deepEqual(cluster({ acceptUntrustedCerts: true }), {
      server: 'https://one/',
      'insecure-skip-tls-verify': true,
    });
    assert.deepEqual(cluster({ certificate: '' }), { server: 'https://one/' });
    assert.deepEqual(cluster({ certificate: authority, token: 'ey.tok.en' }), {
      server: 'https://one/',
      'certificate-authority-data': base64(authority.trim()),
    });
  });

  for (const [name, more, expected] of [
    ['token missing', { token: ' ' }, /it has no token/],
    ['token not base64', { token: 'geheim geheim' }, /token is not base64.*data\.token/],
    ['token of bytes', { token: Buffer.from([1, 2, 255]).toString('base64') }, /token is not base64/],
    ['certificate not base64', { certificate: 'geheim' }, /certificate is not base64 of a PEM/],
    ['no server', { server: '' }, /no address/],
  ] as const) {
    it(`refused: ${name}`, () => {
      const message = refusal(() => serviceAccountKubeconfig({ ...connection, ...more }));
      assert.match(message, expected);
      assert.doesNotMatch(message, /geheim/);
    });
  }
});
