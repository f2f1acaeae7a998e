import assert from 'node:assert/strict';
import { TaskError } from '../../tasks/common/core/failure';
import { parseWorkloadName } from '../../tasks/common/core/inputs/healthRequest';
import type { InputFiles } from '../../tasks/common/core/inputs/inputs';
import { stopIfCancelled } from '../../tasks/common/core/releaseContext';
import { redactor, secretFinder } from '../../tasks/common/core/text/secrets';
import { inputDefaults, readHealthRequest } from '../../tasks/RolloutHealthCheck/inputs';

type Given = Record<string, string>;

const noFiles: InputFiles = {
  absolute: (path) => path,
  kind: () => 'missing',
  names: () => [],
  readText: () => assert.fail('no file is read'),
};

const least: Given = { kubernetesServiceConnection: 'conn', workloads: 'deployment/web' };

function read(given: Given, serviceConnections: string[] = []) {
  const context = { files: noFiles, secrets: secretFinder([]), redact: redactor([]), serviceConnections };
  return readHealthRequest((name) => given[name], context);
}

function mistakes(given: Given, serviceConnections: string[] = []): string {
  try {
    read({ ...least, ...given }, serviceConnections);
  } catch (error) {
    assert.ok(error instanceof TaskError);
    assert.equal(error.reason, 'InputInvalid');
    return error.message;
  }
  return assert.fail('no mistake was found');
}

describe('the inputs of RolloutHealthCheck', () => {
  it('drift needs a release, and knows no correction', () => {
    const given = { ...least, releaseName: 'shop', drift: 'fail', driftIgnore: 'ConfigMap' };
    assert.deepEqual(read(given).drift, { mode: 'fail', rules: [{ kind: 'configmap', pointer: [] }] });
    assert.match(mistakes({ drift: 'report' }), /drift holds "report"; it compares a release .* releaseName is needed/);
    assert.match(
      mistakes({ releaseName: 'shop', drift: 'correct' }),
      /drift holds "correct"; expected off or report or fail/,
    );
  });

  it('the smallest set of inputs gets defaults, even if the agent sends none of them', () => {
    assert.deepEqual(read(least), {
      connection: { type: 'kubernetesServiceConnection', id: 'conn' },
      workloads: [{ kind: 'deployment', name: 'web' }],
      timeoutSeconds: 300,
      rollout: { failFast: true, graces: {}, statusRules: [], logLines: 50, followLogs: false },
      onUnhealthy: 'fail',
      markVerified: false,
    });
  });

  it('an empty input counts as not given', () => {
    const empty = Object.fromEntries(Object.keys(inputDefaults).map((name) => [name, '']));
    assert.deepEqual(read({ ...empty, ...least }), read(least));
  });

  it('all inputs are read', () => {
    assert.deepEqual(
      read({
        connectionType: 'NONE',
        namespace: 'prod',
        workloads: ' deploy/web \r\n\r\nStatefulSets.apps/db\ncertificate.cert-manager.io/tls.example\n',
        releaseName: 'shop',
        selector: 'app in (a, b),tier!=cache,!legacy',
        timeout: '90s',
        stableFor: '0',
        failFast: 'False',
        logLines: '1000',
        followLogs: 'TRUE',
        graces: 'QuotaExceeded: 2m\nCrashLoop:0\nUnschedulable : timeout',
        onUnhealthy: 'Succeed',
        markVerified: 'true',
      }),
      {
        connection: { type: 'none' },
        namespace: 'prod',
        workloads: [
          { kind: 'deployment', name: 'web' },
          { kind: 'statefulsets', group: 'apps', name: 'db' },
          { kind: 'certificate', group: 'cert-manager.io', name: 'tls.example' },
        ],
        releaseName: 'shop',
        selector: 'app in (a, b),tier!=cache,!legacy',
        timeoutSeconds: 90,
        rollout: {
          failFast: false,
          stableForSeconds: 0,
          graces: { QuotaExceeded: 120, CrashLoop: 0, Unschedulable: 'timeout' },
          statusRules: [],
          logLines: 1000,
          followLogs: true,
        },
        onUnhealthy: 'succeed',
        markVerified: true,
      },
    );
  });

  it('comments are left out, and the other lines keep their numbers', () => {
    const { workloads, rollout } = read({
      connectionType: 'none',
      workloads: '# the shop\ndeployment/web   # its front\n  # deployment/old\nstatefulset/db',
      graces: '# the cluster is small\nUnschedulable: 5m # sometimes',
    });
    assert.deepEqual(workloads, [
      { kind: 'deployment', name: 'web' },
      { kind: 'statefulset', name: 'db' },
    ]);
    assert.deepEqual(rollout.graces, { Unschedulable: 300 });
    assert.match(mistakes({ workloads: '# the shop\nweb#1' }), /line 2 holds "web#1"/);
  });

  it('a resource of the environment gives its only connection without an input', () => {
    const { connection } = read({ workloads: 'pod/a' }, ['env']);
    assert.deepEqual(connection, { type: 'kubernetesServiceConnection', id: 'env' });
  });

  it('of two connections none is chosen', () => {
    assert.match(mistakes({ kubernetesServiceConnection: '' }, ['one', 'two']), /kubernetesServiceConnection is empty/);
  });

  const wrong: [string, Given, RegExp][] = [
    [
      'nothing to check',
      { workloads: '' },
      /Input workloads: give at least one of workloads, releaseName and selector/,
    ],
    [
      'comments alone',
      { workloads: '# deployment/web' },
      /Input workloads: give at least one of workloads, releaseName and selector/,
    ],
    ['no slash', { workloads: 'web' }, /workloads, line 1 holds "web"; expected kind\/name/],
    [
      'the line is named as written',
      { workloads: 'deployment/web\n\n\n\ndeployment/' },
      /workloads, line 5 holds "deployment\/"/,
    ],
    ['a name that no object can have', { workloads: 'deployment/Web_1' }, /holds "deployment\/Web_1"/],
    ['two names on a line', { workloads: 'deployment/web deployment/api' }, /line 1 holds/],
    ['a release name', { releaseName: 'Shop' }, /releaseName holds "Shop"/],
    ['a namespace', { namespace: 'Prod' }, /namespace holds "Prod"/],
    ['a selector', { selector: 'app=web;rm' }, /selector holds "app=web;rm"/],
    [
      'a connection type',
      { connectionType: 'kubeconfig' },
      /connectionType holds "kubeconfig"; expected kubernetesServiceConnection, azureResourceManager or none/,
    ],
    ['a time without a unit', { timeout: '5' }, /timeout holds "5"/],
    ['a negative time', { timeout: '-1s' }, /timeout holds "-1s"/],
    ['stableFor', { stableFor: '10' }, /stableFor holds "10"; expected .*, or 0/],
    ['a switch', { failFast: 'yes' }, /failFast holds "yes"; expected true or false/],
    ['too many log lines', { logLines: '1001' }, /logLines holds "1001"; expected a whole number from 0 to 1000/],
    ['half a log line', { logLines: '1.5' }, /logLines holds "1.5"/],
    ['a cause that nobody knows', { graces: 'OOM: 5s' }, /graces holds "OOM: 5s"; line 1: .*OutOfMemory/],
    ['a cause in other letters', { graces: 'crashloop: 5s' }, /graces holds "crashloop: 5s"/],
    ['a word of every object', { graces: 'constructor: 5s' }, /graces holds "constructor: 5s"/],
    ['a grace without a time', { graces: 'CrashLoop:' }, /graces holds "CrashLoop:"/],
    [
      'a grace that is no time',
      { graces: 'Evicted: 5s\nCrashLoop: soon' },
      /line 2: expected a time .*, or 0, or the word timeout/,
    ],
    ['onUnhealthy', { onUnhealthy: 'warn' }, /onUnhealthy holds "warn"; expected fail or succeed/],
    ['a mark without a release', { markVerified: 'true' }, /markVerified holds "true"; it marks a release/],
    [
      'a variable that is none',
      { releaseName: '$(release)' },
      /releaseName holds "\$\(release\)"; the run has no such variable/,
    ],
  ];
  for (const [name, given, expected] of wrong) {
    it(`a mistake: ${name}`, () => {
      const message = mistakes(given);
      assert.match(message, expected);
      assert.match(message, /^Input /, 'one mistake has no list');
    });
  }

  it('several mistakes are reported together', () => {
    const message = mistakes({ workloads: 'web\napi', timeout: '5', onUnhealthy: 'x' });
    assert.match(message, /^4 mistakes in the inputs; nothing was changed\.\n/);
  });

  for (const releaseName of ['Shop', '$(release)']) {
    it(`a wrong release name (${releaseName}) is not also called missing`, () => {
      assert.match(mistakes({ workloads: '', releaseName, markVerified: 'true' }), /^Input releaseName holds/);
    });
  }

  it('a selector with an undefined variable is not also called missing', () => {
    assert.match(mistakes({ workloads: '', selector: '$(labels)' }), /^Input selector holds/);
  });
});

describe('the name of a workload', () => {
  for (const [text, expected] of [
    ['deployment/web', { kind: 'deployment', name: 'web' }],
    ['Deployments/web', { kind: 'deployments', name: 'web' }],
    ['sts/db', { kind: 'statefulset', name: 'db' }],
    ['STS/db', { kind: 'statefulset', name: 'db' }],
    ['deployments.apps/web', { kind: 'deployments', group: 'apps', name: 'web' }],
    ['Rollout.Argoproj.IO/web', { kind: 'rollout', group: 'argoproj.io', name: 'web' }],
    ['cm/settings', { kind: 'configmap', name: 'settings' }],
    ['sts.apps/db', { kind: 'statefulset', group: 'apps', name: 'db' }],
    ['quota.example.com/a', { kind: 'quota', group: 'example.com', name: 'a' }],
    ['deployments.v1.apps/web', { kind: 'deployments', group: 'apps', name: 'web' }],
    ['toy.v1beta1.example.com/duck', { kind: 'toy', group: 'example.com', name: 'duck' }],
    ['po/a.b-1', { kind: 'pod', name: 'a.b-1' }],
    ['', undefined],
    ['/web', undefined],
    ['deployment/', undefined],
    ['deployment/web/x', undefined],
    ['apps/v1/deployment/web', undefined],
    ['deployment./web', undefined],
    ['deployment/-web', undefined],
    ['deployment/web-', undefined],
    ['deployment web', undefined],
    ['$(kind)/web', undefined],
  ] as const) {
    it(`«${text}»`, () => {
      assert.deepEqual(parseWorkloadName(text), expected);
    });
  }
});

describe('a cancelled step', () => {
  it('stops before the next step of its flow, and not earlier', () => {
    const cancel = new AbortController();
    stopIfCancelled(cancel.signal);
    cancel.abort();
    assert.throws(
      () => {
        stopIfCancelled(cancel.signal);
      },
      (error) => error instanceof TaskError && error.reason === 'Cancelled',
    );
  });
});
