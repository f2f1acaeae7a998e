import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { privateFolder, type PrivateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import { createRollbackHelm } from '../../tasks/common/adapters/helm/rollbackHelm';
import { hideKubeconfig, readKubeconfig } from '../../tasks/common/adapters/kubernetes/kubeconfig';
import { onlyDeletionsOf } from '../../tasks/common/core/helm/fence';
import type { RollbackHelm } from '../../tasks/common/core/ports';
import { startStubApiServer, type StubApiServer } from '../support/stubApiServer';

const token = 'first-token';
const flags = 'install dry-run disable-openapi-validation wait timeout history-max values set-file output';

/** Walks all paths of its environment, its folder and their parents, and notes the files that hold the token. */
const walker = (base: string, seen: string): string => `#!${process.execPath}
const fs = require('node:fs');
const path = require('node:path');
const walk = (place) => {
  try {
    if (fs.statSync(place).isDirectory()) return fs.readdirSync(place).flatMap((name) => walk(path.join(place, name)));
    return fs.readFileSync(place, 'utf8').includes('${token}') ? [place] : [];
  } catch {
    return [];
  }
};
const paths = Object.values(process.env).concat(process.cwd()).flatMap((value) => value.split(path.delimiter));
const found = new Set();
for (let place of paths.map((each) => path.resolve(each))) {
  for (; place.startsWith('${base}' + path.sep); place = path.dirname(place)) walk(place).forEach((file) => found.add(file));
}
const [, , command] = process.argv;
fs.appendFileSync('${seen}', command + ':' + [...found].join(' ') + '\\n');
if (command === 'version') console.log('v4.1.4 0123456789abcdef0123456789abcdef01234567 clean go1.26');
if (command === 'upgrade') console.log('${flags}'.split(' ').map((flag) => '      --' + flag + ' text').join('\\n'));
if (command === 'history' || command === 'rollback') {
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';
  const { clusters: [{ cluster }], users: [{ user }] } = JSON.parse(fs.readFileSync(process.env.KUBECONFIG));
  fetch(cluster.server + '/version', { headers: { authorization: 'Bearer ' + user.token } });
}
`;

describe('a Helm that looks for the real kubeconfig from behind the gateway', function () {
  let api: StubApiServer;
  let base: string;
  let folder: PrivateFolder;
  let kubeconfig: string;
  let rollbackHelm: RollbackHelm;
  const seen = (): string[] => readFileSync(path.join(base, 'seen'), 'utf8').trimEnd().split('\n');

  before(function () {
    if (process.platform === 'win32') this.skip();
  });

  beforeEach(async () => {
    api = await startStubApiServer();
    base = mkdtempSync(path.join(tmpdir(), 'unseen-'));
    const temp = path.join(base, 'work', '_temp');
    const sources = path.join(base, 'work', '1', 's');
    const [home, tokens] = [path.join(base, 'home'), path.join(base, 'tokens')];
    for (const each of [temp, sources, path.join(home, '.kube'), tokens]) mkdirSync(each, { recursive: true });
    for (const each of [path.join(home, '.kube', 'config'), path.join(tokens, 'token')]) writeFileSync(each, token);
    folder = privateFolder(temp, () => undefined);
    kubeconfig = folder.write('kubeconfig', readFileSync(await api.kubeconfig(), 'utf8'));
    const binary = path.join(base, 'helm');
    writeFileSync(binary, walker(base, path.join(base, 'seen')));
    chmodSync(binary, 0o755);
    rollbackHelm = createRollbackHelm({
      helm: {
        binary,
        kubeconfig,
        namespace: 'shop',
        releaseName: 'web',
        guard: { environment: () => ({}), watch: () => undefined, done: () => undefined },
        workingDirectory: sources,
        environment: {
          PATH: process.env['PATH'],
          HOME: home,
          KUBECONFIG: kubeconfig,
          AGENT_TEMPDIRECTORY: temp,
          TMPDIR: temp,
          AZURE_FEDERATED_TOKEN_FILE: path.join(tokens, 'token'),
          DOCKER_CONFIG: tokens,
        },
        isDebug: false,
        onLine: () => undefined,
        redact: (text) => text,
      },
      folder,
      onSecret: () => undefined,
    });
  });

  afterEach(async () => {
    await api.close();
    rmSync(base, { recursive: true, force: true });
  });

  it('finds neither it nor a token in a rehearsal, and it is back afterwards', async () => {
    await rollbackHelm.rehearse(
      { revision: 1, applyMethod: 'csa' },
      { records: [], kept: [] },
      new AbortController().signal,
    );
    assert.deepEqual(seen(), ['history:', 'rollback:']);
    assert.ok(readFileSync(kubeconfig, 'utf8').includes(token));
  });

  it('finds neither it nor a token in an approved rollback, and it is back afterwards', async () => {
    const { result } = await rollbackHelm.rollback({
      policy: onlyDeletionsOf([]),
      kept: [],
      lost: new AbortController().signal,
      target: { revision: 1, applyMethod: 'csa' },
      description: '',
      timeoutSeconds: 60,
      endAfterSeconds: 60,
      wait: false,
    });
    assert.ok(result.ok, result.failure?.message);
    assert.equal(seen().at(-1), 'rollback:');
    assert.ok(
      seen().every((line) => line.endsWith(':')),
      seen().join('\n'),
    );
    assert.ok(readFileSync(kubeconfig, 'utf8').includes(token));
  });

  it('does not keep the task itself from reading it', () => {
    const giveBack = hideKubeconfig(kubeconfig, folder);
    assert.ok(!existsSync(kubeconfig));
    assert.equal(readKubeconfig(kubeconfig).user.token, token);
    giveBack();
    assert.equal(readKubeconfig(kubeconfig).user.token, token);
  });

  it('is not created again when the step has removed its folder meanwhile', () => {
    const giveBack = hideKubeconfig(kubeconfig, folder);
    folder.remove();
    giveBack();
    assert.ok(!existsSync(folder.path));
  });
});
