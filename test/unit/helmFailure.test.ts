import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { FailureReason } from '../../tasks/common/core/failure';
import { recordedFailures } from '../../scripts/helmFailures/recorded';
import { ownWords } from '../../tasks/common/core/text/foreignWords';
import {
  blamedObject,
  helmFailurePatterns,
  helmFailureReason,
  helmMessage,
} from '../../tasks/common/core/helm/helmFailure';

/**
 * The stderr of real Helm 3.17 and 4.2 as `<incident>.<major>.txt`. Only names and addresses were replaced. The output
 * of all Helm lines is in helmFailureRecorded.test.ts.
 */
const folder = path.join(import.meta.dirname, 'fixtures', 'helm');
const files = readdirSync(folder).sort();
const incidentOf = (file: string): string => file.replace(/\.[34]\.txt$/, '');
const textOf = (file: string): string => readFileSync(path.join(folder, file), 'utf8');

/** The reason, and the words that the message must contain. */
const incidents: Readonly<Record<string, readonly [FailureReason, ...string[]]>> = {
  'access-forbidden-cluster-scope': ['PermissionDenied', 'cannot get', 'clusterroles', 'at the cluster scope'],
  'access-forbidden-create': ['PermissionDenied', 'cannot get', 'configmaps', 'namespace "shop"'],
  'access-forbidden-create-only': ['PermissionDenied', 'configmaps', 'namespace "shop-test"'],
  'access-forbidden-lookup': ['PermissionDenied', 'cannot list', 'nodes'],
  'access-forbidden-patch': ['PermissionDenied', 'cannot patch', 'configmaps'],
  'access-hostunknown': ['ClusterUnreachable', 'cluster.invalid', 'no such host'],
  'access-kubeconfig-missing': ['ClusterUnreachable', 'localhost:8080', 'connection refused'],
  'access-nobody': ['PermissionDenied', 'cannot list', 'secrets'],
  'access-notkube': ['ClusterUnreachable', 'could not find the requested resource'],
  'access-notkubetls': ['ClusterUnreachable', 'an error on the server'],
  'access-refused': ['ClusterUnreachable', '192.0.2.9:8443', 'connection refused'],
  'access-untrusted': ['CertificateRejected', 'certificate signed by unknown authority'],
  'access-wrong': ['CredentialsRejected', 'asked for the client to provide credentials'],
  'admission-policy': ['ApplyRejected', "ValidatingAdmissionPolicy 'deny-shop'", 'no ConfigMap may be called plain'],
  'admission-webhook-unreachable': ['ApplyRejected', 'policy.example.com', 'connection refused'],
  'chart-bad-metadata': ['ChartInvalid', 'chart.metadata.name'],
  'chart-bare-name': ['ChartNotFound', 'demo'],
  'chart-dependency-download': ['ChartNotFound', 'sub chart not found'],
  'chart-dependency-missing': ['ChartInvalid', 'missing in charts/ directory: sub'],
  'chart-empty-folder': ['ChartNotFound', 'Chart.yaml'],
  'chart-folder-missing': ['ChartNotFound', './nosuch'],
  'chart-garbage-archive': ['ChartNotFound', 'garbage.tgz'],
  'chart-http-archive-missing': ['ChartNotFound', 'gone-1.0.0.tgz', '404'],
  'chart-http-host-unknown': ['ChartSourceUnreachable', 'charts.invalid', 'no such host'],
  'chart-http-login-needed': ['ChartAccessDenied', '401 Unauthorized'],
  'chart-http-name-missing': ['ChartNotFound', 'nosuch'],
  'chart-http-no-index': ['ChartNotFound', 'index.yaml', '404'],
  'chart-http-not-a-repo': ['ChartNotFound', 'is not a valid chart repository'],
  'chart-http-tls': ['ChartSourceUnreachable', 'x509'],
  'chart-http-unreachable': ['ChartSourceUnreachable', 'connection refused'],
  'chart-http-version-missing': ['ChartNotFound', 'demo', '9.9.9'],
  'chart-kube-version': ['ChartInvalid', '>=9.0.0'],
  'chart-library': ['ChartInvalid', 'library charts are not installable'],
  'chart-oci-denied': ['ChartAccessDenied', '403'],
  'chart-oci-login-needed': ['ChartAccessDenied', 'basic'],
  'chart-oci-missing': ['ChartNotFound', 'charts/demo:1.0.0', 'not found'],
  'chart-oci-range-missing': ['ChartNotFound', '>9'],
  'chart-oci-tags-missing': ['ChartNotFound', 'tags/list', '404'],
  'chart-oci-tls': ['ChartSourceUnreachable', 'x509'],
  'chart-oci-unreachable': ['ChartSourceUnreachable', 'connection refused'],
  'chart-oci-version-missing': ['ChartNotFound', 'withtags/demo:9.9.9'],
  'chart-protocol-unknown': ['ChartNotFound', 'ftp'],
  'chart-repo-name-missing': ['ChartNotFound', 'nosuch'],
  'chart-repo-unknown': ['ChartNotFound', 'myrepo'],
  'chart-repo-version-missing': ['ChartNotFound', 'demo-9.9.9'],
  'chart-url-missing': ['ChartNotFound', 'x-1.0.0.tgz', '404'],
  'chart-verify-changed': ['ChartNotVerified', 'does not match'],
  'chart-verify-folder': ['ChartNotVerified', 'unpacked charts'],
  'chart-verify-no-keyring': ['ChartNotVerified', 'gone.gpg'],
  'chart-verify-no-provenance': ['ChartNotVerified', '.prov'],
  'chart-verify-unknown-key': ['ChartNotVerified', 'unknown entity'],
  'chart-version-range-invalid': ['ChartNotFound', 'not a version'],
  'chart-without-chart-yaml': ['ChartNotFound', 'Chart.yaml'],
  'connection-lost': ['TimedOut', 'context deadline exceeded'],
  'flag-shorthand-unknown': ['InputInvalid', '-Q'],
  'flag-unknown': ['InputInvalid', '--no-such-flag'],
  'hook-invalid': ['HookFailed', 'failed pre-install', 'Bad_Hook'],
  'hook-post-install-failed': ['HookFailed', 'failed post-install', 'migrate'],
  'hook-post-upgrade-failed': ['HookFailed', 'post-upgrade hooks failed', 'migrate'],
  'hook-pre-delete-failed': ['HookFailed', 'migrate'],
  'hook-pre-install-failed': ['HookFailed', 'failed pre-install', 'migrate'],
  'hook-pre-upgrade-failed': ['HookFailed', 'pre-upgrade hooks failed', 'migrate'],
  'hook-rollback-failed': ['HookFailed', 'migrate'],
  'hook-timeout': ['HookFailed', 'failed pre-install'],
  'hook-upgrade-timeout': ['HookFailed', 'pre-upgrade hooks failed'],
  immutable: ['ApplyRejected', 'Deployment.apps "web"', 'spec.selector', '"app":"two"', 'field is immutable'],
  'immutable-cm': ['ApplyRejected', 'ConfigMap "imm"', 'field is immutable'],
  'immutable-debug': ['ApplyRejected', 'Deployment.apps "web"', 'field is immutable'],
  'immutable-job': ['ApplyRejected', 'Job.batch "j"', 'spec.template: Invalid value: {...}: field is immutable'],
  'immutable-service': ['ApplyRejected', 'Service "t"', 'may not change once set'],
  'immutable-sts': ['ApplyRejected', 'StatefulSet.apps "db"', 'updates to statefulset spec'],
  'many-errors': ['ApplyRejected', 'Bad_', 'more lines'],
  'namespace-missing': ['NamespaceMissing', 'nosuchns'],
  'namespace-missing-object': ['NamespaceMissing', 'nosuchns'],
  'namespace-terminating': ['ApplyRejected', 'because it is being terminated'],
  'object-data-invalid': ['ApplyRejected', 'ConfigMap', 'string'],
  'object-invalid': ['ApplyRejected', 'Deployment.apps "web"', '`selector` does not match', 'Web_1'],
  'object-name-invalid': ['ApplyRejected', 'Bad_Name'],
  'object-unknown-field': ['ApplyRejected', 'Deployment', 'replicas'],
  'object-without-kind': ['ChartInvalid', 'kind not set'],
  'owned-by-nobody': ['ApplyRejected', 'ConfigMap "plain"', 'cannot be imported', 'meta.helm.sh/release-name'],
  'owned-by-other': ['ApplyRejected', 'ConfigMap "plain"', 'current value is "other"'],
  'pod-security': ['ApplyRejected', 'pods "p"', 'violates PodSecurity "restricted:latest"'],
  // Helm succeeded here and only warned.
  'pod-security-warning': ['HelmFailed'],
  quota: ['ApplyRejected', 'exceeded quota: small', 'memory=1Gi'],
  'release-name-invalid': ['InputInvalid', 'Bad_Name'],
  'release-pending': ['ReleasePending', 'another operation'],
  'rollback-object-not-in-base': ['ApplyRejected', 'ConfigMap with the name "second"', 'found'],
  'rollback-release-missing': ['RollbackTargetMissing', 'release: not found'],
  'rollback-revision-missing': ['RollbackTargetMissing', '7'],
  schema: ['ValuesInvalid', 'image', 'replicas', 'integer'],
  'set-broken': ['ValuesInvalid', '--set'],
  'set-file-missing': ['ValuesInvalid', 'nosuch.txt'],
  'set-index': ['ValuesInvalid', '-1 index'],
  'set-json-broken': ['ValuesInvalid', '--set-json'],
  'set-no-value': ['ValuesInvalid', 'justakey'],
  'ssa-conflict': ['FieldConflict', 'shop/plain', 'conflict with "somebody"', '.data.a'],
  'template-error': ['ChartInvalid', 'templates/a.yaml:5:12', '.Values.a.b.c'],
  'template-fail': ['ChartInvalid', 'replicas must be odd'],
  'template-fail-debug': ['ChartInvalid', 'replicas must be odd'],
  'template-function-unknown': ['ChartInvalid', 'nosuchfunction'],
  'template-include-unknown': ['ChartInvalid', 'no template "nosuch"'],
  'template-required': ['ChartInvalid', 'image.tag is required'],
  'template-syntax': ['ChartInvalid', 'missing value for if'],
  'template-yaml-error': ['ChartInvalid', 'templates/a.yaml', 'line 3'],
  'test-job-failed': ['HookFailed', 'web-smoke'],
  'test-pod-failed': ['HookFailed', 'web-smoke'],
  'test-timeout': ['TimedOut'],
  'uninstall-release-missing': ['RollbackTargetMissing', 'nosuch'],
  'unknown-kind': ['KindNotServed', 'Rocket', 'example.com/v1'],
  'upgrade-owned-by-nobody': ['ApplyRejected', 'ConfigMap "other"', 'cannot be imported'],
  'values-file-broken': ['ValuesInvalid', 'bad-values.yaml', 'line 2'],
  'values-file-list': ['ValuesInvalid', 'list-values.yaml', 'array'],
  'values-file-missing': ['ValuesInvalid', 'nosuch.yaml'],
  'wait-interrupted': ['Cancelled', 'context canceled'],
  'wait-rate-limited': ['TimedOut', 'would exceed context deadline'],
  'wait-timeout': ['TimedOut', 'context deadline exceeded'],
};

describe('the messages of a real Helm that failed', () => {
  for (const file of files) {
    it(file, () => {
      const [reason, ...causes] = incidents[incidentOf(file)] ?? assert.fail('Nobody has said what it means.');
      const text = textOf(file);
      assert.equal(helmFailureReason(text), reason);
      const message = helmMessage(text);
      for (const cause of causes) assert.ok(message.includes(cause), `${cause} in: ${message}`);
      assert.ok(message.split('\n').length <= 9, message);
      assert.ok(message.split('\n').every((line) => line.length < 1010));
      assert.doesNotMatch(
        message,
        /^Error|UPGRADE FAILED|\[debug\]|^level=|helm\.go|\.go:\d|"TerminationMessagePath"|<title/m,
      );
    });
  }

  it('every row of the table decides for some real failure', () => {
    const texts = [...files.map(textOf), ...recordedFailures().map(({ text }) => text)];
    const deciding = new Set(
      texts.map((text) => {
        const said = ownWords(helmMessage(text));
        return helmFailurePatterns.find(([pattern]) => pattern.test(said));
      }),
    );
    const unused = helmFailurePatterns.filter((row) => !deciding.has(row)).map(([pattern]) => pattern.source);
    assert.deepEqual(unused, []);
  });

  it('every incident of this list has its recorded text', () => {
    const known = new Set(files.map(incidentOf));
    assert.deepEqual(
      Object.keys(incidents).filter((incident) => !known.has(incident)),
      [],
    );
  });
});

describe('the refused object', () => {
  const declared = [
    { kind: 'Service', name: 'p' },
    { kind: 'Pod', name: 'p' },
    { kind: 'NetworkPolicy', name: 'p' },
  ];
  const blamedIn = (file: string): string => {
    const text = textOf(file);
    return blamedObject({ reason: helmFailureReason(text), message: helmMessage(text) }, declared);
  };
  for (const [file, object] of [
    ['ssa-conflict.4.txt', 'ConfigMap/plain'],
    ['immutable.3.txt', 'Deployment/web'],
    ['immutable.4.txt', 'Deployment/web'],
    ['object-name-invalid.3.txt', 'ConfigMap/Bad_Name'],
    ['pod-security.4.txt', 'Pod/p'],
    ['owned-by-other.3.txt', 'ConfigMap/plain'],
    ['rollback-object-not-in-base.3.txt', 'ConfigMap/second'],
    ['unknown-kind.4.txt', 'Rocket/plain'],
    ['pod-security.3.txt', 'Pod/p'],
    // These messages name no object of the chart.
    ['namespace-terminating.3.txt', ''],
    ['access-forbidden-patch.4.txt', ''],
  ] as const) {
    it(`${file}: ${object || 'not named'}`, () => {
      assert.equal(blamedIn(file), object);
    });
  }

  for (const [message, object] of [
    ['failed to create resource: pods "p" is forbidden: violates PodSecurity', 'Pod/p'],
    ['1 error: networkpolicies.networking.k8s.io "p" is forbidden: exceeded quota: q', 'NetworkPolicy/p'],
    ['services "p" already exists', 'Service/p'],
    ['services "other" already exists', ''],
    ['podses "p" is forbidden: no', ''],
  ] as const) {
    it(`${message}: ${object || 'none of the chart'}`, () => {
      assert.equal(blamedObject({ reason: 'ApplyRejected', message }, declared), object);
    });
  }

  it('is named without a namespace when the message has none', () => {
    const message =
      'conflict occurred while applying object /reader rbac.authorization.k8s.io/v1, Kind=ClusterRole: Apply failed';
    assert.equal(blamedObject({ reason: 'ApplyRejected', message }), 'ClusterRole/reader');
  });
});

describe("Helm's last message", () => {
  it('a warning about certificates before the error does not decide', () => {
    const stderr =
      'level=WARN msg="x509: bad"\nW1121 05:23:21 17856 warnings.go:70] Unauthorized\nError: YAML parse error on a.yaml: x\n';
    assert.equal(helmFailureReason(stderr), 'ChartInvalid');
    assert.equal(helmMessage(stderr), 'YAML parse error on a.yaml: x');
  });

  it('a chart that fails with words of another failure is still an invalid chart', () => {
    const fail = 'Error: execution error at (c/templates/a.yaml:1:3): ';
    for (const words of ['connection refused', 'x509: unknown', 'namespaces "x" not found', 'is forbidden: quota']) {
      assert.equal(helmFailureReason(fail + words), 'ChartInvalid', words);
    }
  });

  it('an empty or unknown message gets no guessed reason', () => {
    assert.equal(helmFailureReason(''), 'HelmFailed');
    assert.equal(helmMessage(''), '');
    assert.equal(helmFailureReason('panic: runtime error: index out of range'), 'HelmFailed');
    assert.equal(helmMessage('Killed\r\n'), 'Killed');
  });

  it('Windows line ends leave no carriage return', () => {
    assert.equal(helmMessage('level=WARN msg=x\r\nError: UPGRADE FAILED: one\r\ntwo\r\n'), 'one\ntwo');
  });

  it('an object quoted as text is cut out, and the surrounding text stays', () => {
    const object = JSON.stringify({ spec: { a: 'x'.repeat(300), b: ['}', '"'] } });
    const spoken = `Error: cannot patch "w": W "w" is invalid: [spec: Invalid value: ${JSON.stringify(object)}: no, name: Invalid value: ${object}: neither]`;
    assert.equal(
      helmMessage(spoken),
      'cannot patch "w": W "w" is invalid: [spec: Invalid value: "{...}": no, name: Invalid value: {...}: neither]',
    );
  });

  it('the search for a quoted object that is cut off ends quickly', () => {
    const stderr = `Error: x is invalid: Invalid value: {"a":"${'\\"{'.repeat(20_000)}`;
    assert.ok(helmMessage(stderr).length < 1010);
  });

  it('a list of errors stays short and gives the number of the others', () => {
    const errors = Array.from({ length: 40 }, (_, at) => `\t* error ${at}`).join('\n');
    const lines = helmMessage(`Error: 40 errors occurred:\n${errors}\n\n`).split('\n');
    assert.equal(lines.length, 9);
    assert.equal(lines.at(-1), '... and 33 more lines');
  });
});
