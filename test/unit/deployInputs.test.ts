import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { TaskError } from '../../tasks/common/core/failure';
import type { InputFiles } from '../../tasks/common/core/inputs/inputs';
import { redactor, secretFinder } from '../../tasks/common/core/text/secrets';
import { inputDefaults, readAction, readDeployRequest, readUninstallRequest } from '../../tasks/HelmSafeDeploy/inputs';

type Given = Record<string, string>;

const present: Record<string, 'folder' | 'unreadable' | { text: string }> = {
  '/w/charts': 'folder',
  '/w/charts/shop': 'folder',
  '/w/charts/shop/Chart.yaml': { text: 'name: shop' },
  '/w/shop.tgz': { text: '' },
  '/w/packed': 'folder',
  '/w/packed/shop-1.0.0.tgz': { text: '' },
  '/w/packed/other-1.0.0.tgz': { text: '' },
  '/w/packed/.shop-9.9.9.tgz': { text: '' },
  '/w/nginx': 'folder',
  '/w/nginx/Chart.yaml': { text: '' },
  '/w/a.yaml': { text: 'a: 1' },
  '/w/b.yaml': { text: '{"b": 2}' },
  '/w/two.yaml': { text: 'a: 1\n---\nb: 2\n' },
  '/w/bad.yaml': { text: 'a: [1' },
  '/w/list.yaml': { text: '- a' },
  '/w/locked.yaml': 'unreadable',
  '/opt/helm': { text: '' },
};

const files: InputFiles = {
  absolute: (path) => (path.startsWith('/') ? path : `/w/${path.replace(/^\.\//, '')}`),
  kind(path) {
    const entry = present[this.absolute(path)];
    return typeof entry === 'object' ? 'file' : (entry ?? 'missing');
  },
  names(folder) {
    const within = `${this.absolute(folder).replace(/\/\.?$/, '')}/`;
    const below = Object.keys(present).filter((path) => path.startsWith(within));
    return [...new Set(below.map((path) => path.slice(within.length).split('/')[0] ?? ''))];
  },
  readText(path) {
    const entry = present[this.absolute(path)];
    if (typeof entry !== 'object') throw new Error('not readable');
    return entry.text;
  },
};

const least: Given = { kubernetesServiceConnection: 'conn', releaseName: 'shop', chart: 'charts/shop' };

function read(given: Given, secrets: string[] = [], serviceConnections: string[] = ['conn']) {
  const context = { files, secrets: secretFinder(secrets), redact: redactor(secrets), serviceConnections };
  return readDeployRequest((name) => given[name], context);
}

function mistakes(given: Given, ...secrets: string[]): string {
  try {
    read({ ...least, ...given }, secrets);
  } catch (error) {
    assert.ok(error instanceof TaskError);
    assert.equal(error.reason, 'InputInvalid');
    return error.message;
  }
  return assert.fail('no mistake was found');
}

describe('the inputs of an uninstall', () => {
  const context = { files, secrets: secretFinder([]), redact: redactor([]), serviceConnections: ['conn'] };
  const asked = (more: Given) => {
    const given: Given = { kubernetesServiceConnection: 'conn', releaseName: 'shop', action: 'uninstall', ...more };
    return readUninstallRequest((name) => given[name], context);
  };

  it('need no chart and no values', () => {
    assert.equal(
      readAction((name) => ({ action: 'Uninstall' })[name], context),
      'uninstall',
    );
    const { keepHistory, deleteNamespace, deleteData, timeoutSeconds } = asked({
      deleteNamespace: 'true',
      timeout: '9s',
    });
    assert.deepEqual([keepHistory, deleteNamespace, deleteData, timeoutSeconds], [false, true, false, 9]);
  });

  it('cannot keep the history in a namespace that goes', () => {
    assert.throws(
      () => asked({ keepHistory: 'true', deleteNamespace: 'true' }),
      /keepHistory holds "true"; deleteNamespace would delete the history too/,
    );
  });
});

describe('the inputs of HelmSafeDeploy', () => {
  it('the smallest set of inputs gets defaults, even if the agent sends none of them', () => {
    assert.deepEqual(read(least), {
      action: 'deploy',
      maxPlanAgeSeconds: 90_000,
      connection: { type: 'kubernetesServiceConnection', id: 'conn' },
      createNamespace: false,
      releaseName: 'shop',
      chart: { kind: 'path', reference: '/w/charts/shop' },
      dependencyUpdate: false,
      chartLogins: {},
      valueFiles: [],
      values: { argv: [], privateTexts: [] },
      extraArguments: [],
      // Without values Helm reuses those of the last revision, and none of them is given here.
      givenPaths: [],
      warnings: [],
      timeoutSeconds: 300,
      rollbackTimeoutSeconds: 300,
      onFailure: 'rollback',
      historyMax: 10,
      lock: 'preferred',
      lockTimeoutSeconds: 300,
      onInterrupted: 'rollback',
      cleanupTimeoutSeconds: 240,
      assumeAbandonedAfterSeconds: 900,
      recreateFailedInstall: true,
      deleteData: false,
      cleanupOnFail: false,
      forceUpgrade: false,
      rollout: { failFast: true, graces: {}, statusRules: [], logLines: 50, followLogs: false },
    });
  });

  it('an empty input counts as not given', () => {
    const empty = Object.fromEntries(Object.keys(inputDefaults).map((name) => [name, '']));
    assert.deepEqual(read({ ...empty, ...least }), read(least));
  });

  it('all inputs are read', () => {
    const request = read({
      action: 'Plan',
      planDigest: `sha256:${'a'.repeat(64)}`,
      maxPlanAge: '1h',
      connectionType: 'none',
      namespace: 'prod',
      createNamespace: 'True',
      releaseName: 'shop.v2-x',
      chart: 'bitnami/nginx',
      chartVersion: '>=1.2 <2',
      dependencyUpdate: 'true',
      valueFiles: 'a.yaml\n\n  https://example.org/v.yaml \n/w/b.yaml',
      set: 'a=1\nb=hunter22',
      setString: 'c=2',
      setFile: 'd=a.yaml',
      arguments: '--skip-crds --keyring "my key"',
      timeout: '1h30m',
      rollbackTimeout: '90s',
      onFailure: 'Keep',
      historyMax: '0',
      lock: 'required',
      lockTimeout: '5s',
      onInterrupted: 'keep',
      cleanupTimeout: '2m',
      assumeAbandonedAfter: '1h',
      recreateFailedInstall: 'false',
      deleteData: 'true',
      cleanupOnFail: 'true',
      takeOwnership: 'true',
      takeOwnershipFrom: 'old-shop\nlegacy/web # until it is gone',
      drift: 'Fail',
      driftIgnore: 'Deployment/web /spec/replicas # by hand\n\n/metadata/annotations',
      forceUpgrade: 'true',
      failFast: 'false',
      stableFor: '20s',
      graces: 'CrashLoop: 90s',
      logLines: '0',
      followLogs: 'true',
      helmPath: '/opt/helm',
    }, ['hunter22']); // prettier-ignore
    assert.deepEqual(request, {
      action: 'plan',
      planDigest: 'a'.repeat(64),
      maxPlanAgeSeconds: 3600,
      connection: { type: 'none' },
      namespace: 'prod',
      createNamespace: true,
      releaseName: 'shop.v2-x',
      chart: { kind: 'repository', reference: 'bitnami/nginx' },
      chartVersion: '>=1.2 <2',
      dependencyUpdate: true,
      chartLogins: {},
      valueFiles: ['/w/a.yaml', 'https://example.org/v.yaml', '/w/b.yaml'],
      values: {
        argv: ['--set', 'a=1', '--set-string', 'c=2', '--set-file', 'd=a.yaml'],
        privateTexts: [],
        privateValues: Object.assign(Object.create(null), { b: 'hunter22' }) as unknown,
      },
      extraArguments: ['--skip-crds', '--keyring', 'my key'],
      givenPaths: [],
      warnings: [],
      timeoutSeconds: 5400,
      rollbackTimeoutSeconds: 90,
      onFailure: 'keep',
      historyMax: 0,
      lock: 'required',
      // The wait is never shorter than one lease.
      lockTimeoutSeconds: 30,
      onInterrupted: 'keep',
      cleanupTimeoutSeconds: 120,
      assumeAbandonedAfterSeconds: 3600,
      recreateFailedInstall: false,
      deleteData: true,
      cleanupOnFail: true,
      takeOwnership: { from: [{ name: 'old-shop' }, { name: 'web', namespace: 'legacy' }] },
      drift: {
        mode: 'fail',
        rules: [
          { kind: 'deployment', name: 'web', pointer: ['spec', 'replicas'] },
          { pointer: ['metadata', 'annotations'] },
        ],
      },
      forceUpgrade: true,
      rollout: {
        failFast: false,
        stableForSeconds: 20,
        graces: { CrashLoop: 90 },
        statusRules: [],
        logLines: 0,
        followLogs: true,
      },
      helmPath: '/opt/helm',
    });
  });

  for (const [chart, more, expected] of [
    ['shop.tgz', {}, { kind: 'path', reference: '/w/shop.tgz' }],
    ['./charts/shop', {}, { kind: 'path', reference: '/w/charts/shop' }],
    ['charts/shop/Chart.yaml', {}, { kind: 'path', reference: '/w/charts/shop' }],
    ['/w/charts/shop/Chart.yaml', {}, { kind: 'path', reference: '/w/charts/shop' }],
    ['packed/shop-*.tgz', {}, { kind: 'path', reference: '/w/packed/shop-1.0.0.tgz' }],
    ['/w/*/shop-1.?.0.tgz', {}, { kind: 'path', reference: '/w/packed/shop-1.0.0.tgz' }],
    ['./charts/*/Chart.yaml', {}, { kind: 'path', reference: '/w/charts/shop' }],
    ['*.tgz', {}, { kind: 'path', reference: '/w/shop.tgz' }],
    ['oci://example.org/charts/shop', {}, { kind: 'oci', reference: 'oci://example.org/charts/shop' }],
    ['https://example.org/shop-1.tgz', {}, { kind: 'url', reference: 'https://example.org/shop-1.tgz' }],
    ['team/group/shop', {}, { kind: 'repository', reference: 'team/group/shop' }],
    [
      'shop',
      { chartRepository: 'https://example.org' },
      { kind: 'repository', reference: 'shop', repository: 'https://example.org' },
    ],
  ] as const) {
    // prettier-ignore
    it(`chart ${chart}`, () => {
      assert.deepEqual(read({ ...least, chart, ...more }).chart, expected);
    });
  }

  it('a deployment job with a Kubernetes resource gives one service connection without an input', () => {
    const given = { releaseName: 'shop', chart: 'charts/shop' };
    assert.deepEqual(read(given, [], ['resource-1']).connection, {
      type: 'kubernetesServiceConnection',
      id: 'resource-1',
    });
    assert.throws(() => read(given, [], []), /kubernetesServiceConnection is empty; expected the name/);
    assert.throws(() => read(given, [], ['one', 'two']), /kubernetesServiceConnection is empty/);
  });

  for (const [name, given, expected] of [
    [
      'empty release name',
      { releaseName: '' },
      /^Input releaseName is empty; expected a release name: 1 to 53 .* Nothing was changed\.$/,
    ],
    ['release name in capitals', { releaseName: 'Shop_1' }, /releaseName holds "Shop_1"; expected/],
    ['release name of 54', { releaseName: 'a'.repeat(54) }, /releaseName holds "a{54}"/],
    ['release name with a dash at its end', { releaseName: 'shop-' }, /releaseName/],
    ['namespace of 64', { namespace: 'a'.repeat(64) }, /namespace holds "a{64}"; expected a namespace name: 1 to 63/],
    ['namespace with a dot', { namespace: 'a.b' }, /namespace holds "a.b"/],
    ['timeout without a unit', { timeout: '5' }, /timeout holds "5"; expected a time above zero.*5m/],
    ['negative timeout', { timeout: '-1s' }, /timeout holds "-1s"; expected/],
    ['timeout of zero', { rollbackTimeout: '0s' }, /rollbackTimeout holds "0s"; expected/],
    ['history of minus one', { historyMax: '-1' }, /historyMax holds "-1"; expected a whole number, 0 for no limit/],
    ['history in words', { historyMax: 'ten' }, /historyMax/],
    ['neither true nor false', { createNamespace: 'yes' }, /createNamespace holds "yes"; expected true or false/],
    [
      'a rule for drift that is none',
      { driftIgnore: '/spec\nDeployment web /spec' },
      /driftIgnore, line 2 holds "Deployment web \/spec"; expected \[KIND/,
    ],
    [
      'an owner that is no release',
      { takeOwnership: 'true', takeOwnershipFrom: 'a/b/c' },
      /takeOwnershipFrom, line 1 holds "a\/b\/c"; expected a release, or its namespace and the release/,
    ],
    ['an owner without leave', { takeOwnershipFrom: 'shop' }, /takeOwnershipFrom: it needs takeOwnership: true/],
    [
      'a label of the namespace without a value sign',
      { createNamespace: 'true', namespaceLabels: 'a=b\nteam shop' },
      /namespaceLabels holds "team shop"; line 2: expected a label as key=value/,
    ],
    ['a label that the API server sets', { namespaceLabels: 'kubernetes.io/metadata.name=x' }, /namespaceLabels holds/],
    ['a value that no label may have', { namespaceLabels: 'team=the shop' }, /namespaceLabels holds "team=the shop"/],
    ['labels for no namespace', { namespaceLabels: 'a=b' }, /namespaceLabels: it has an effect only with createNamesp/],
    ['unknown choice', { onFailure: 'retry' }, /onFailure holds "retry"; expected rollback or keep/],
    [
      'unknown connection type',
      { connectionType: 'azure' },
      /connectionType holds "azure".*expected kubernetesServiceConnection, azureResourceManager or none/,
    ],
    ['no chart', { chart: '' }, /chart is empty; expected a folder/],
    [
      'chart folder missing',
      { chart: './gone' },
      /chart holds "\.\/gone"; there is no such chart; relative paths start at System\.DefaultWorkingDirectory/,
    ],
    [
      'a pattern without a match',
      { chart: 'packed/app-*.tgz' },
      /holds "packed\/app-\*\.tgz"; nothing matches this pattern/,
    ],
    [
      'a pattern with several matches',
      { chart: 'packed/*.tgz' },
      /matches 2 files or folders \(packed\/other-1\.0\.0\.tgz, packed\/shop-1\.0\.0\.tgz\); expected one/,
    ],
    ['a dot in a pattern is a dot', { chart: 'packed/shop-1?0?0xtgz*' }, /nothing matches/],
    ['chart archive missing', { chart: 'gone-1.0.0.tgz' }, /there is no such chart/],
    [
      'chart is a plain name',
      { chart: 'gone' },
      /chart holds "gone"; there is no such folder or file, and no chartRepository/,
    ],
    ['chart folder without a chart', { chart: 'charts' }, /no Chart\.yaml/],
    [
      'folder and repository',
      { chart: 'nginx', chartRepository: 'https://example.org' },
      /chart holds "nginx"; this is a file or folder.*chartRepository/,
    ],
    [
      'oci and repository',
      { chart: 'oci://a/b', chartRepository: 'https://example.org' },
      /chartRepository holds "https:\/\/example\.org"; chart is already a full address/,
    ],
    [
      'registry as repository',
      { chart: 'b', chartRepository: 'oci://a' },
      /chartRepository holds "oci:\/\/a"; a registry is not a repository/,
    ],
    [
      'repository without a scheme',
      { chart: 'b', chartRepository: 'example.org' },
      /chartRepository holds "example\.org"; expected the address/,
    ],
    [
      'password in the repository',
      { chart: 'b', chartRepository: 'https://u:pa55@example.org' },
      /^Input chartRepository: it holds a password/,
    ],
    [
      'values file missing',
      { valueFiles: 'a.yaml\ngone.yaml' },
      /valueFiles, line 2 holds "gone\.yaml"; there is no such file/,
    ],
    [
      'values file not YAML',
      { valueFiles: 'bad.yaml' },
      /valueFiles, line 1 holds "bad\.yaml"; this file is not YAML at line 1/,
    ],
    ['values file a list', { valueFiles: 'list.yaml' }, /not a mapping of names/],
    ['values file locked', { valueFiles: 'locked.yaml' }, /cannot be read by the user/],
    ['values file a folder', { valueFiles: 'charts' }, /this is a folder/],
    ['values from standard input', { valueFiles: '-' }, /no standard input/],
    ['values file with a percent sign', { valueFiles: '5%.yaml' }, /percent/],
    ['Helm binary missing', { helmPath: 'gone/helm' }, /helmPath holds "gone\/helm"; there is no such file/],
    ['Helm binary a folder', { helmPath: '/w/charts' }, /helmPath.*folder/],
    ['owned flag', { arguments: '--wait' }, /arguments holds "--wait"; the task owns this flag/],
    ['open quote', { arguments: '--x "a' }, /arguments: a " is opened and not closed/],
    ['bad set line', { set: 'a=1\nb' }, /set, line 2: a key has no value/],
    ['file of setFile missing', { setFile: 'a=gone' }, /setFile, line 1 holds "gone"; there is no such file/],
    [
      'left as a variable',
      { releaseName: '$(releaseName)' },
      /^Input releaseName holds "\$\(releaseName\)"; the run has no such variable.*Nothing was changed\.$/,
    ],
    [
      'left as a variable in the middle',
      { set: 'a=x-$(My.Var)-y' },
      /set holds "\$\(My\.Var\)"; the run has no such variable/,
    ],
    ['chart left as a variable', { chart: '$(chart)' }, /^Input chart holds/],
    [
      'connection left as a variable',
      { kubernetesServiceConnection: '$(c)' },
      /^Input kubernetesServiceConnection holds/,
    ],
  ] as const) {
    // prettier-ignore
    it(`one mistake is named: ${name}`, () => {
      const message = mistakes(given);
      assert.match(message, expected);
      assert.equal(message.split('\n').length, 1, message);
    });
  }

  it('the given values are known where Helm reuses values', () => {
    const given = { ...least, valueFiles: 'a.yaml', set: 'c.d[0]=x', arguments: '--reuse-values' };
    assert.deepEqual(read(given).givenPaths, [['a'], ['c', 'd']]);
    assert.equal(read({ ...given, valueFiles: 'https://example.org/v.yaml' }).givenPaths, undefined);
  });

  it('an ambiguous value gives a warning with its place', () => {
    assert.deepEqual(read({ ...least, valueFiles: 'a.yaml\ntwo.yaml', set: 'a="x"' }).warnings, [
      'valueFiles, line 2: this file holds 2 YAML documents: Helm 3 reads only the first, Helm 4 merges them all; put each into its own file.',
      'set, line 1: the quotes around a value are part of it, because no shell removes them; leave them out, or use setLiteral if you mean them.',
    ]);
  });

  it('an undefined variable in a secret is not named, and no part of the secret is quoted', () => {
    assert.deepEqual(
      { ...read({ ...least, set: 'a=p$(HOME)w' }, ['p$(HOME)w']).values.privateValues },
      { a: 'p$(HOME)w' },
    );
    assert.match(mistakes({ set: 'a=$(hunter)22' }, 'hunter)22'), /^Input set: the run has no such variable/);
    assert.match(mistakes({ set: 'a=$(prod.tag)' }, 'prod'), /set holds "\$\(\*\*\*\.tag\)"/);
  });

  for (const [name, given, secret, expected] of [
    ['a chart with a signature', { chart: 'https://example.org/c.tgz?sv=1&sig=abc' }, '', /^Input chart: it holds a password or a key.*download/],
    ['a chart with a password', { chart: 'https://u:pa55@example.org/c.tgz' }, '', /^Input chart: it holds a password/],
    ['a registry with a password', { chart: 'oci://u:pa55@example.org/c' }, '', /^Input chart: .*helm registry login/],
    ['a registry with a secret', { chart: 'oci://hunter22.example.org/c' }, 'hunter22', /^Input chart: it holds a secret.*registry login/],
    ['a chart of a repository with a secret', { chart: 'bitnami/hunter22' }, 'hunter22', /^Input chart: it holds a secret.*do not keep it in a secret variable/],
    ['a repository with a token', { chart: 'b', chartRepository: 'https://example.org/?access_token=hunter22' }, 'hunter22', /^Input chartRepository: it holds/],
    ['a repository with a secret', { chart: 'b', chartRepository: 'https://example.org/hunter22' }, 'hunter22', /^Input chartRepository: it holds a secret/],
    ['a version', { chart: 'a/b', chartVersion: '1.0.0-hunter22' }, 'hunter22', /^Input chartVersion: it holds a secret/],
    ['a values address that is not https', { valueFiles: 'http://example.org/v.yaml?sig=hunter22' }, 'hunter22', /^Input valueFiles, line 1: .*https addresses only/],
    ['a values address for a plug-in', { valueFiles: 's3://hunter22@b/v.yaml' }, 'hunter22', /https addresses only/],
    ['a chart path that Helm must see', { chart: 'charts/shop', dependencyUpdate: 'true' }, 'shop', /^Input chart: it holds a secret.*dependencyUpdate/],
    ['a chart that looks like a flag', { chart: '--post-renderer=x' }, '', /^Input chart holds "--post-renderer=x"; Helm would read it as a flag/],
  ] as const) {
    it(`an argument that must not be on a command line is refused: ${name}`, () => {
      const message = mistakes({ ...least, ...given }, ...(secret === '' ? [] : [secret]));
      assert.match(message, expected);
      assert.doesNotMatch(message, /hunter22|pa55|abc/);
    });
  } // prettier-ignore

  it('Helm gets a private copy of values that would show a secret, and all others unchanged', () => {
    const { chart, chartVersion, valueFiles } = read(
      {
        ...least,
        chartVersion: '12',
        valueFiles: 'a.yaml\nhttps://example.org/v.yaml?sig=x\nhttps://example.org/v.yaml\nb.yaml',
      },
      ['shop', 'b.yaml', '12'],
    );
    assert.deepEqual(chart, { kind: 'path', reference: '/w/charts/shop', isSecret: true });
    assert.equal(chartVersion, '12');
    assert.deepEqual(valueFiles, [
      '/w/a.yaml',
      { kind: 'address', reference: 'https://example.org/v.yaml?sig=x', input: 'valueFiles, line 2' },
      'https://example.org/v.yaml',
      { kind: 'path', reference: '/w/b.yaml', input: 'valueFiles, line 4' },
    ]);
  });

  it('all mistakes are reported at once', () => {
    const message = mistakes({
      releaseName: 'A',
      chart: '',
      timeout: '5',
      valueFiles: 'gone\nbad.yaml',
      set: 'x',
      arguments: '--wait --atomic',
    });
    assert.match(message, /^8 mistakes in the inputs; nothing was changed\.\n/);
    assert.equal(message.split('\n- ').length, 9);
  });

  it('the value of an input is shown without the secrets of the job', () => {
    const message = mistakes(
      { releaseName: 'Hunter22-x', timeout: 'ab', historyMax: 'x'.repeat(500) },
      'Hunter22',
      'ab',
    );
    assert.match(message, /releaseName holds "\*\*\*-x"/);
    assert.match(message, /timeout holds "\*\*\*"/);
    assert.match(message, /historyMax holds "x{120}\.\.\."/);
  });

  it('task.json has the same inputs and defaults, and allows only its own outputs to be set', () => {
    const json = JSON.parse(readFileSync('tasks/HelmSafeDeploy/task.json', 'utf8')) as {
      inputs: { name: string; defaultValue?: string }[];
      outputVariables: { name: string }[];
      restrictions: { settableVariables: { allowed: string[] } };
    };
    const defaults = Object.fromEntries(json.inputs.map(({ name, defaultValue }) => [name, defaultValue ?? '']));
    assert.deepEqual(defaults, { ...inputDefaults });
    assert.deepEqual(
      json.restrictions.settableVariables.allowed,
      json.outputVariables.map(({ name }) => name),
    );
  });
});
