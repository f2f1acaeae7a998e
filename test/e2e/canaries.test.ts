import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { parse } from 'yaml';
import { shell, workloadOf } from '../support/brokenWorkloads';
import { loginConnection, openChartRepository } from '../support/chartSources';
import { openHttpsSite } from '../support/httpsSite';
import { deployEnd, deployJob, kubeconfigConnection, productAgent, type DeployEnd } from '../support/product';
import { ageKey, encryptedFile, sops } from '../support/sops';
import { filesBelow, shownBy, watchProcesses } from '../support/traces';
import { assertOutcome, charts, helms, scenes, type Scene } from './scenes';

/** Names of secrets, each with a text of its own that nothing else contains. */
type Canaries = Readonly<Record<string, string>>;

const places = {
  variables: [
    'inSet',
    'inSetString',
    'inSetLiteral',
    'inValuesFile',
    'inManifest',
    'inPodLog',
    'inTermination',
    'unused',
  ],
  environment: ['VAULT_TOKEN', 'DB_PASSWORD', 'API_KEY', 'SIGNING_PRIVATE_KEY', 'CLIENT_SECRET'],
  encrypted: ['first', 'nested', 'inList', 'lineOne', 'lineTwo', 'second', 'podEnvironment'],
  connections: ['otherToken', 'otherPassword', 'otherKey', 'registryPassword'],
  addresses: ['signature', 'userinfo', 'mirror', 'proxy', 'agentProxy'],
  logins: ['dockerLogin', 'repositoryLogin'],
} as const;

function plant(): Record<string, string> {
  const names = Object.values(places).flat();
  return Object.fromEntries(names.map((name) => [name, `canary-${name}-${randomBytes(9).toString('hex')}`]));
}

describe('thirty secrets', () => {
  const { scene } = scenes();

  for (const major of ['3', '4'] as const) {
    scene(`Helm ${major}: none of them is left or seen anywhere but in the release @real-node`, async (s) => {
      const canaries = plant();
      assert.ok(Object.keys(canaries).length >= 30);
      const run = await play(s, helms(s.cluster)[major], major, canaries);
      assertOutcome(run.end, 'failed', 'CrashLoop');
      // Each of these secrets has really been where it could get out.
      assert.ok(run.helmEnvironment.includes(canaries['VAULT_TOKEN'] ?? ''), 'Helm has not run with its environment.');
      assert.match(run.end.log, /\*\*\*/);

      const place = (name: string, text: string): void => {
        for (const [canary, secret] of Object.entries(canaries)) {
          for (const form of [secret, Buffer.from(secret).toString('base64')]) {
            assert.ok(!text.includes(form), `The secret ${canary} is in ${name}.`);
          }
        }
      };
      for (const [name, text] of shownBy(run.end.job)) place(name, text);
      for (const [name, text] of run.left) place(`the file ${name}`, text);
      for (const line of run.commandLines) place('a command line', line);
      place("Helm's description", await descriptionOf(s));
      for (const kind of ['events', 'configmaps'])
        place(kind, JSON.stringify(await s.list(`/api/v1/namespaces/$ns/${kind}`)));
      place('leases', JSON.stringify(await s.list('/apis/coordination.k8s.io/v1/namespaces/$ns/leases')));
      // Helm and its plug-ins inherit the environment of the step, and nothing else.
      const inherited: readonly string[] = [...places.environment, 'proxy'];
      for (const [canary, secret] of Object.entries(canaries)) {
        if (inherited.includes(canary)) continue;
        assert.ok(!run.helmEnvironment.includes(secret), `Helm's environment holds the secret ${canary}.`);
      }
      assert.ok(!run.helmEnvironment.includes(ageKey.identity), "Helm's environment holds the key of sops.");
      // Each program has run, and has had in its environment what it needs and nothing else.
      const needed = { [sopsWord]: inherited, [helms(s.cluster)[major]]: inherited, [guardWord]: [] };
      assert.deepEqual([...run.environments.keys()].sort(), Object.keys(needed).sort());
      for (const [program, names] of Object.entries(needed)) {
        const others = Object.entries(canaries).filter(([canary]) => !names.includes(canary));
        const secrets = [...others, ...(program === sopsWord ? [] : [['ageKey', ageKey.identity] as const])];
        for (const text of run.environments.get(program) ?? []) {
          for (const [name, secret] of secrets) assert.ok(!text.includes(secret), `${program} has the secret ${name}.`);
        }
      }
    });
  }
});

/** Words that stand only in the command lines of sops and of the guard. */
const [sopsWord, guardWord] = ['--decrypt', 'guard.js'];

interface Run {
  end: DeployEnd;
  /** The environments of sops, Helm and the guard, by a word of their command lines. */
  environments: Map<string, Set<string>>;
  /** The environments of the post-renderer, which are those of Helm. */
  helmEnvironment: string;
  /** Command lines of all processes of the machine while the job ran. */
  commandLines: Set<string>;
  /** All files in the folders of the agent after the job. */
  left: [name: string, text: string][];
}

async function play(s: Scene, helm: string, major: '3' | '4', canaries: Canaries): Promise<Run> {
  const of = (name: string): string => canaries[name] ?? '';
  const repository = await openChartRepository(helm, [path.join(charts, 'objects')]);
  const values = await openHttpsSite((_, response) => response.end('fromAddress: yes\n'));
  const folder = path.dirname(s.file('here', ''));
  const root = path.join(folder, 'agent');
  const dump = s.file('environments', '');
  const authorities = [repository.authority, values.authority].map((file) => fs.readFileSync(file, 'utf8')).join('\n');
  const secretFiles = [
    await encryptedFile(s.file('one.yaml', ''), firstValues(of)),
    await encryptedFile(s.file('two.yaml', ''), `second: ${of('second')}\npodEnvironment: ${of('podEnvironment')}\n`),
  ];
  const host = new URL(values.address).host;
  const inputs = {
    chart: 'objects',
    chartRepositoryConnection: 'charts',
    containerRegistry: 'registry',
    helmDownloadUrl: `https://me:${of('mirror')}@mirror.example.org`,
    sopsPath: await sops(),
    valueFiles: [
      s.file('values.json', JSON.stringify({ objects: objects(of), text: of('inValuesFile') })),
      `https://${host}/v.yaml?sig=${of('signature')}`,
      `https://me:${of('userinfo')}@${host}/v.yaml`,
    ].join('\n'),
    secretValueFiles: secretFiles.join('\n'),
    set: 'a=$(inSet)',
    setString: 'b=$(inSetString)',
    setLiteral: 'c=$(inSetLiteral)',
    arguments: `--post-renderer ${postRenderer(folder, major, dump)}`,
    onFailure: 'keep',
    timeout: '60s',
  };
  const registry = loginConnection('registry', 'dockerregistry', 'https://registry.example.org', {
    password: of('registryPassword'),
  });
  const job = deployJob({
    cluster: s.cluster,
    namespace: s.namespace,
    chart: '',
    helm,
    inputs,
    connection: clusterConnection(s, of),
    variables: { 'system.debug': 'true' },
    secrets: {
      ...Object.fromEntries(places.variables.map((name) => [name, of(name)])),
      'agent.proxypassword': of('agentProxy'),
      signature: of('signature'),
    },
  });
  const environment = {
    ...Object.fromEntries(places.environment.map((name) => [name, of(name)])),
    SOPS_AGE_KEY: ageKey.identity,
    SSL_CERT_FILE: s.file('authorities.pem', authorities),
    HTTPS_PROXY: `http://me:${of('proxy')}@proxy.example.org:3128`,
    NO_PROXY: '*',
    HELM_PLUGINS: path.join(folder, 'plugins'),
    DOCKER_CONFIG: earlierLogins(s, of),
    HELM_REPOSITORY_CONFIG: path.join(folder, 'repositories.yaml'),
  };
  const agent = productAgent({ root, environment });
  const watch = watchProcesses([sopsWord, guardWord, helm]);
  try {
    const connections = [loginConnection('charts', 'Generic', repository.address), registry];
    const ended = await agent.runJob({ ...job, endpoints: [...(job.endpoints ?? []), ...connections] });
    const left = filesBelow(root);
    return {
      end: deployEnd(ended),
      helmEnvironment: fs.readFileSync(dump, 'utf8'),
      ...watch.stop(),
      left,
    };
  } finally {
    watch.stop();
    agent.dispose();
    repository.close();
    values.close();
  }
}

function firstValues(of: (name: string) => string): string {
  const lines = [of('lineOne'), of('lineTwo')].map((line) => `  ${line}`).join('\n');
  return `first: ${of('first')}\ndeep: {nested: ${of('nested')}}\nlist: [${of('inList')}]\nlines: |\n${lines}\n`;
}

/** A pod that shows secrets in its log and its last words, and an object whose annotations hold one. */
function objects(of: (name: string) => string): object[] {
  const script = `echo "log $LOGGED $FROM_SOPS"; echo "$LAST" > /dev/termination-log; exit 3`;
  const env = [
    { name: 'LOGGED', value: of('inPodLog') },
    { name: 'LAST', value: of('inTermination') },
    { name: 'FROM_SOPS', value: of('podEnvironment') },
  ];
  return [
    workloadOf('Deployment', 'web', { containers: [{ ...shell(script), env }] }),
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'held' }, stringData: { word: of('inManifest') } },
  ];
}

/** The kubeconfig also has users that the task does not need. */
function clusterConnection(s: Scene, of: (name: string) => string) {
  const connection = kubeconfigConnection(s.cluster.kubeconfig);
  const config = parse(connection.auth['kubeconfig'] ?? '') as { users: object[] };
  const user = { token: of('otherToken'), username: 'other', password: of('otherPassword') };
  const others = [
    { name: 'other', user },
    { name: 'keyed', user: { 'client-key-data': Buffer.from(of('otherKey')).toString('base64') } },
  ];
  const kubeconfig = JSON.stringify({ ...config, users: [...config.users, ...others] });
  return { ...connection, auth: { ...connection.auth, kubeconfig } };
}

/** Logins that earlier steps have left. Returns the folder of Docker. */
function earlierLogins(s: Scene, of: (name: string) => string): string {
  const auth = Buffer.from(`me:${of('dockerLogin')}`).toString('base64');
  const folder = path.dirname(s.file('config.json', JSON.stringify({ auths: { 'old.example.org': { auth } } })));
  const entry = { name: 'old', url: 'https://old.example.org', username: 'me', password: of('repositoryLogin') };
  s.file('repositories.yaml', JSON.stringify({ apiVersion: 'v1', repositories: [entry] }));
  return folder;
}

/** A post-renderer that writes its environment to a file and into Helm's log. Returns the value of the flag. */
function postRenderer(folder: string, major: '3' | '4', dump: string): string {
  const place = path.join(folder, 'plugins', 'dump');
  fs.mkdirSync(place, { recursive: true });
  const script = path.join(place, 'dump.sh');
  fs.writeFileSync(script, `#!/bin/sh\nenv >> '${dump}'\nenv >&2\nexec cat\n`, { mode: 0o755 });
  if (major === '3') {
    fs.rmSync(path.join(place, 'plugin.yaml'), { force: true });
    return script;
  }
  const runtimeConfig = { platformCommand: [{ command: '$HELM_PLUGIN_DIR/dump.sh' }] };
  const manifest = { apiVersion: 'v1', type: 'postrenderer/v1', name: 'dump', version: '1.0.0', runtime: 'subprocess' };
  fs.writeFileSync(path.join(place, 'plugin.yaml'), JSON.stringify({ ...manifest, runtimeConfig }));
  return 'dump';
}

async function descriptionOf(s: Scene): Promise<string> {
  const record = await s.field('/api/v1/namespaces/$ns/secrets/sh.helm.release.v1.web.v1', 'data.release');
  const json = gunzipSync(Buffer.from(Buffer.from(String(record), 'base64').toString(), 'base64')).toString();
  return (JSON.parse(json) as { info: { description: string } }).info.description;
}
