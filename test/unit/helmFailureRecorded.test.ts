import assert from 'node:assert/strict';
import { recordedFailures } from '../../scripts/helmFailures/recorded';
import { adviceFor, specialAdvice } from '../../tasks/common/core/report/advice';
import { advice, type FailureReason } from '../../tasks/common/core/failure';
import { ownWords } from '../../tasks/common/core/text/foreignWords';
import { blamedObject, helmFailureReason, helmMessage } from '../../tasks/common/core/helm/helmFailure';

const declared = [
  { kind: 'Deployment', name: 'web' },
  { kind: 'ConfigMap', name: 'plain' },
];

interface Meaning {
  reason: FailureReason;
  /** Words of the advice. If undefined, the advice is that of the reason itself. */
  next?: RegExp;
  /** The object of the chart, and the Helm versions that do not name it. */
  object?: string;
  unnamedBy?: readonly string[];
  /** Words that the message must contain. */
  says?: string;
}

const plain = { object: 'ConfigMap/plain' };
/** Helm 3 and 4.1 print the API server's answer to a creation without its object. */
const creation = { ...plain, unnamedBy: ['3.17', '3.22', '4.1'] };
const change = { ...plain, unnamedBy: ['4.1'] };
const transient: Meaning = { reason: 'TransientFailure' };
const policy = { reason: 'ApplyRejected', next: /^A policy of the cluster refuses/ } as const;
const webhookDown = { reason: 'ApplyRejected', next: /^A webhook of the cluster does not answer/ } as const;
const schema: Meaning = { reason: 'ApplyRejected', next: /does not fit the schema/, object: 'Deployment/web' };
const nobodys: Meaning = {
  reason: 'ApplyRejected',
  next: /^Helm did not create the object.*takeOwnership: true/,
  ...plain,
};
const nameless: Meaning = { reason: 'ChartInvalid', next: /fixed metadata\.name/ };
const recordTooLarge: Meaning = { reason: 'RecordTooLarge' };

const noChart = (says: string): Meaning => ({ reason: 'ChartNotFound', says });
const noAnswer = (says: string): Meaning => ({ reason: 'ChartSourceUnreachable', says });
const badChart = (says: string): Meaning => ({ reason: 'ChartInvalid', says });
const badValues = (says: string): Meaning => ({ reason: 'ValuesInvalid', says });
const badInput = (says: string): Meaning => ({ reason: 'InputInvalid', says });
const immutable = (object: string, says: string): Meaning => ({
  reason: 'ApplyRejected',
  object,
  says,
  next: /^The field named above cannot be changed while the object exists/,
});
const hookFailed: Meaning = { reason: 'HookFailed', says: 'migrate' };

/** The failures that `scripts/helmFailures/plainCases.ts` provokes. */
const plainMeanings: Readonly<Record<string, Meaning>> = {
  'chart-bare-name': noChart('demo'),
  'chart-folder-missing': noChart('./nosuch'),
  'chart-repo-unknown': noChart('myrepo'),
  'chart-protocol-unknown': noChart('ftp'),
  'chart-url-host-unknown': noAnswer('no such host'),
  'chart-http-host-unknown': noAnswer('no such host'),
  'chart-http-unreachable': noAnswer('connection refused'),
  'chart-oci-unreachable': noAnswer('connection refused'),
  'chart-empty-folder': noChart('Chart.yaml'),
  'chart-garbage-archive': noChart('garbage.tgz'),
  'chart-bad-metadata': badChart('chart.metadata.name'),
  'chart-library': badChart('library charts are not installable'),
  'chart-kube-version': badChart('>=9.0.0'),
  'chart-dependency-missing': { ...badChart('missing in charts/ directory: sub'), next: /helm dependency update/ },

  'flag-unknown': badInput('--no-such-flag'),
  'flag-shorthand-unknown': badInput('-Q'),
  'flag-value-invalid': badInput('soon'),
  'release-name-invalid': badInput('Bad_Name'),
  'values-file-missing': badValues('nosuch.yaml'),
  'values-file-broken': badValues('line 2'),
  'values-file-list': badValues('array'),
  'values-schema': badValues('integer'),
  'set-no-value': badValues('justakey'),
  'set-json-broken': badValues('--set-json'),
  'set-file-missing': badValues('nosuch.txt'),

  'template-fail': badChart('replicas must be odd'),
  'template-required': badChart('image.tag is required'),
  'template-nil': badChart('.Values.a.b.c'),
  'template-syntax': badChart('missing value for if'),
  'template-function-unknown': badChart('nosuchfunction'),
  'template-include-unknown': badChart('no template "nosuch"'),
  'template-yaml-error': badChart('templates/a.yaml'),
  'object-without-kind': badChart('kind not set'),
  'kind-unknown': { reason: 'KindNotServed', object: 'Rocket/a', says: 'example.com/v1' },
  'object-name-invalid': { reason: 'ApplyRejected', object: 'ConfigMap/Bad_Name', says: 'RFC 1123' },

  'immutable-deployment': immutable('Deployment/web', 'spec.selector'),
  'immutable-config-map': immutable('ConfigMap/plain', 'field is immutable'),
  'immutable-job': immutable('Job/plain', 'spec.template'),
  'immutable-stateful-set': immutable('StatefulSet/plain', 'updates to statefulset spec'),
  'immutable-service': immutable('Service/plain', 'may not change once set'),

  'hook-invalid': { reason: 'HookFailed', says: 'Bad_Hook', next: /^The API server refused the hook/ },
  'hook-pre-install-failed': hookFailed,
  'hook-post-install-failed': hookFailed,
  'hook-pre-upgrade-failed': hookFailed,
  'hook-post-upgrade-failed': hookFailed,
  'hook-timeout': { reason: 'HookFailed', says: 'failed pre-install' },
  'wait-timeout': { reason: 'TimedOut' },
  'wait-timeout-upgrade': { reason: 'TimedOut' },

  'namespace-missing-object': { reason: 'NamespaceMissing', says: 'nosuchns' },
  'rollback-revision-missing': { reason: 'RollbackTargetMissing', says: '7' },
  'rollback-release-missing': { reason: 'RollbackTargetMissing' },
  'uninstall-release-missing': { reason: 'RollbackTargetMissing', says: 'nosuch' },
  'server-unknown': { reason: 'ClusterUnreachable', says: 'no such host' },
  'server-refuses': { reason: 'ClusterUnreachable', says: 'connection refused' },
  'token-rejected': { reason: 'CredentialsRejected' },
};

const meanings: Readonly<Record<string, Meaning>> = {
  ...plainMeanings,

  'webhook-denied': { ...policy, ...creation, says: 'validation.gatekeeper.sh' },
  'webhook-denied-upgrade': { ...policy, ...change, says: 'Privileged container is not allowed: web' },
  'webhook-denied-kyverno': { ...policy, ...plain, says: 'label app is required' },
  'webhook-denied-hook': {
    reason: 'HookFailed',
    next: /^The API server refused the hook/,
    says: 'must provide labels',
  },
  'webhook-denied-with-words': { ...policy, ...creation, says: 'another operation' },
  'webhook-timeout': { ...webhookDown, ...creation, says: 'policy.example.com' },
  'policy-denied': { ...policy, ...plain, says: 'no ConfigMap may be called plain' },
  'policy-denied-upgrade': { ...policy, ...plain, says: 'no ConfigMap may be called plain' },

  'field-unknown': { ...schema, says: '.spec.replica' },
  'field-of-wrong-type': { ...schema, says: 'minReadySeconds' },
  'field-unknown-install': { ...schema, says: '.spec.replica' },
  'field-of-wrong-type-install': { ...schema, says: 'minReadySeconds' },
  'list-key-twice': { ...schema, says: 'containerPort' },
  'env-twice': { ...schema, says: 'duplicate entries' },
  'env-value-number': { ...schema, says: 'env' },
  'quantity-invalid': { ...schema, says: 'quantities must match' },
  'custom-resource-invalid': { reason: 'ApplyRejected', object: 'Rocket/plain', says: 'spec.stages' },
  'custom-resource-of-wrong-type': { ...schema, object: 'Rocket/plain', says: 'spec.stages' },
  'crd-refused': { reason: 'ApplyRejected', object: 'CustomResourceDefinition/wrong' },
  'service-port-taken': {
    reason: 'ApplyRejected',
    object: 'Service/second',
    says: 'provided port is already allocated',
  },
  'deprecated-version': { reason: 'KindNotServed', object: 'PodDisruptionBudget/web', says: 'policy/v1beta1' },

  'generate-name': nameless,
  'generate-name-upgrade': nameless,
  'no-name': nameless,
  'declared-twice': { reason: 'ApplyRejected', next: /declares this object twice/, ...plain },
  'declared-twice-upgrade': { reason: 'ApplyRejected', next: /the chart declares it twice/, ...plain },
  'owned-by-other-release': {
    reason: 'ApplyRejected',
    next: /belongs to the release first\b.*takeOwnership: true/,
    ...plain,
  },
  'owned-by-nobody-install': nobodys,
  'owned-by-nobody-upgrade': nobodys,

  'api-unavailable-first': transient,
  'api-unavailable': transient,
  'api-unavailable-upgrade': transient,
  'api-unavailable-record': transient,
  'api-unavailable-rendering': transient,
  'api-gateway-page': { ...transient, says: 'Bad Gateway' },
  'api-too-many-requests': transient,
  'api-too-many-requests-later': transient,
  'api-timeout': transient,
  'api-shutting-down': transient,
  'etcd-leader-changed': transient,
  'etcd-leader-changed-upgrade': transient,
  'etcd-timed-out': transient,
  'etcd-unavailable': transient,
  'etcd-full': { reason: 'ApplyRejected', ...creation, says: 'database space exceeded', next: /etcd\) is full/ },
  'connection-reset': { ...transient, says: 'connection reset' },
  'connection-reset-first': transient,
  'connection-ended': { ...transient, says: 'EOF' },
  'connection-ended-first': transient,
  'connection-ended-upgrade': transient,
  'answer-cut': transient,
  'http2-stream-error': transient,
  'http2-go-away': transient,
  'http2-connection-ended': transient,
  'server-gone': { reason: 'ClusterUnreachable', says: 'connection refused' },
  'tls-handshake-timeout': { ...transient, says: 'TLS handshake timeout' },
  'token-expired-meanwhile': { reason: 'CredentialsRejected' },
  'object-modified': { reason: 'Conflict', ...plain },
  'record-exists': { reason: 'Conflict' },
  'api-service-broken': { reason: 'KindNotServed', object: 'Meter/m', next: /kubectl get apiservices/ },

  'chart-lock-out-of-sync': { reason: 'ChartInvalid', next: /helm dependency update/ },
  'dependency-repository-unknown': { reason: 'ChartNotFound', next: /helm repo add/ },
  'dependency-repository-not-added': { reason: 'ChartNotFound', next: /helm repo add/ },
  'dependency-repository-unreachable': { reason: 'ChartNotFound', next: /helm repo add/ },
  'dependency-folder-missing': { reason: 'ChartNotFound', says: 'nosuch' },
  'dependency-oci-unreachable': { reason: 'ChartSourceUnreachable', says: 'charts.invalid' },

  'post-renderer-failed': { reason: 'PostRendererFailed' },
  'post-renderer-missing': { reason: 'InputInvalid', says: 'nosuch' },

  'record-too-large': recordTooLarge,
  'record-too-large-upgrade': recordTooLarge,
  'request-too-large': recordTooLarge,
  'object-too-large': { reason: 'ApplyRejected', next: /larger than the API server accepts/, ...plain },
  'object-request-too-large': { reason: 'ApplyRejected', next: /larger than the API server accepts/, ...creation },
  'annotations-too-large': { reason: 'ApplyRejected', next: /larger than the API server accepts/, ...plain },

  'exec-plugin-missing': { reason: 'CredentialsRejected', next: /^Install the credential plug-in/, says: 'kubelogin' },
  'exec-plugin-failed': { reason: 'CredentialsRejected', next: /^The credential plug-in named above failed/ },
  'auth-provider-gone': { reason: 'ConnectionInvalid', says: 'azure' },
};

describe('the recorded messages of all Helm lines', () => {
  const recorded = recordedFailures();

  for (const { name, versions, text } of recorded) {
    it(`${name}, Helm ${versions.join(', ')}`, () => {
      const meaning = meanings[name] ?? assert.fail('Nobody has said what it means.');
      const reason = helmFailureReason(text);
      const message = helmMessage(text);
      assert.equal(reason, meaning.reason, message);
      const isUnnamed = versions.every((version) => meaning.unnamedBy?.includes(version));
      assert.equal(blamedObject({ reason, message }, declared), isUnnamed ? '' : (meaning.object ?? ''), message);
      const next = adviceFor(reason, message);
      if (meaning.next === undefined) assert.equal(next, advice[reason]);
      else assert.match(next, meaning.next);
      assert.ok(message.includes(meaning.says ?? ''), message);
    });
  }

  it('each case of this table was recorded', () => {
    const met = new Set(recorded.map(({ name }) => name));
    assert.deepEqual(
      Object.keys(meanings).filter((name) => !met.has(name)),
      [],
    );
  });
});

describe('the advice', () => {
  it('is never chosen by the words of a webhook', () => {
    const denied = 'admission webhook "w" denied the request: ';
    const other = specialAdvice.filter(([reason]) => reason === 'ApplyRejected').map(([, pattern]) => pattern.source);
    for (const words of ['pods "a" already exists', 'exceeded quota: q', 'failed calling webhook "x": no', ...other]) {
      assert.match(adviceFor('ApplyRejected', `${denied}${words}`), /^A policy of the cluster/, words);
    }
  });

  it('for an object of another owner names the owner and the possible solutions', () => {
    const exists =
      'ConfigMap "a" in namespace "b" exists and cannot be imported into the current release: invalid ownership metadata; ';
    const of = (what: string): string => adviceFor('ApplyRejected', exists + what);
    assert.match(
      of('annotation validation error: key "meta.helm.sh/release-namespace" must equal "b": current value is "c"'),
      /release of the same name in namespace c\b/,
    );
    assert.match(
      of('label validation error: key "app.kubernetes.io/managed-by" must equal "Helm": current value is "argocd"'),
      /is managed by argocd, not by Helm/,
    );
  });

  it('for a missing credential plug-in is not to renew the credentials', () => {
    const missing = 'The credential plug-in kubelogin of the kubeconfig is not installed on this agent. Install it.';
    assert.match(adviceFor('CredentialsRejected', missing), /^Install the credential plug-in/);
    assert.equal(adviceFor('CredentialsRejected', 'The API server did not accept (401).'), advice.CredentialsRejected);
  });

  it('for an API server that is too busy is to run again', () => {
    const busy = 'Could not list Pods in namespace shop: the API server answered 429: too many requests';
    assert.equal(adviceFor('ClusterUnreachable', busy), advice.TransientFailure);
  });
});

describe('foreign words in a message', () => {
  for (const [text, own] of [
    ['admission webhook "a" denied the request: x509: y', 'admission webhook "a" denied the request: '],
    [
      "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
      "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ",
    ],
    ['execution error at (c/templates/a.yaml:1:2): EOF', 'execution error at (c/templates/a.yaml:1:2): '],
    ['nothing foreign: EOF', 'nothing foreign: EOF'],
  ] as const) {
    it(text, () => {
      assert.equal(ownWords(text), own);
    });
  }

  it('long hostile words are read quickly', () => {
    for (const part of [
      'execution error at (',
      'Post "https://a": ',
      'x exists and cannot be imported',
      '"sh.helm.release.v1.a" is invalid: ',
    ]) {
      const text = `Error: ${part.repeat(2500)}`;
      assert.equal(typeof adviceFor(helmFailureReason(text), helmMessage(text)), 'string');
    }
  }).timeout(5000);
});
