import assert from 'node:assert/strict';
import { refusalOf } from '../../tasks/common/core/rollout/creationFindings';
import { eventRecord } from '../../tasks/common/core/rollout/events';
import { imageTrouble } from '../../tasks/common/core/rollout/imageFindings';
import { schedulingDetail } from '../../tasks/common/core/rollout/podFindings';

const image = 'registry.example/shop/web:2';
const resolve = `failed to pull and unpack image "${image}": failed to resolve reference "${image}":`;

/** [the author, the text, code and detail] */
const pulls: readonly (readonly [string, string, string])[] = [
  ['containerd', `rpc error: code = NotFound desc = ${resolve} ${image}: not found`, 'ImageNotFound'],
  [
    'containerd, back-off',
    `Back-off pulling image "${image}": ErrImagePull: rpc error: code = NotFound desc = ${resolve} ${image}: not found`,
    'ImageNotFound',
  ],
  [
    'containerd, wrong architecture',
    `failed to pull and unpack image "${image}": no match for platform in manifest: not found`,
    'ImageNotFound platform',
  ],
  [
    'containerd, 404',
    `${resolve} unexpected status from HEAD request to https://registry.example/v2/shop/web/manifests/2: 404 Not Found`,
    'ImageNotFound',
  ],
  ['cri-o', `reading manifest 2 in registry.example/shop/web: manifest unknown`, 'ImageNotFound'],
  [
    'cri-o, repository',
    `initializing source docker://${image}: reading manifest 2 in registry.example/shop/web: name unknown: repository not known to registry`,
    'ImageNotFound',
  ],
  ['docker', `manifest for ${image} not found: manifest unknown: manifest unknown`, 'ImageNotFound'],
  [
    'containerd, hub without login',
    `${resolve} pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed`,
    'ImagePullDenied',
  ],
  [
    'containerd, no credentials',
    `${resolve} pull access denied, repository does not exist or may require authorization: authorization failed: no basic auth credentials`,
    'ImagePullDenied',
  ],
  [
    'containerd 1.6',
    `${resolve} pulling from host registry.example failed with status code [manifests 2]: 401 Unauthorized`,
    'ImagePullDenied',
  ],
  [
    'containerd, 403',
    `${resolve} unexpected status from HEAD request to https://registry.example/v2/shop/web/manifests/2: 403 Forbidden`,
    'ImagePullDenied',
  ],
  [
    'containerd, token',
    `${resolve} failed to authorize: failed to fetch oauth token: unexpected status from GET request to https://auth.example/token: 401 Unauthorized`,
    'ImagePullDenied',
  ],
  [
    'a full disk of the node',
    'failed to extract layer sha256:ab: write /var/lib/containerd/x: no space left on device: unknown',
    'ImageRegistryUnreachable nodeDisk',
  ],
  [
    'an old format',
    'media type "application/vnd.docker.distribution.manifest.v1+prettyjws" is no longer supported since containerd v2.1',
    'ImageNotFound format',
  ],
  ['quay', `unauthorized: access to the requested resource is not authorized`, 'ImagePullDenied'],
  [
    'hub, rate limit',
    `${resolve} 429 Too Many Requests - Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.`,
    'ImagePullDenied rateLimited',
  ],
  [
    'refused',
    `${resolve} failed to do request: Head "https://registry.example/v2/shop/web/manifests/2": dial tcp 192.0.2.1:443: connect: connection refused`,
    'ImageRegistryUnreachable',
  ],
  [
    'no host',
    `${resolve} failed to do request: Head "https://registry.example/v2/": dial tcp: lookup registry.example on 10.0.0.10:53: no such host`,
    'ImageRegistryUnreachable',
  ],
  [
    'timeout',
    `${resolve} failed to do request: Head "https://registry.example/v2/": dial tcp 192.0.2.1:443: i/o timeout`,
    'ImageRegistryUnreachable',
  ],
  [
    'certificate',
    `${resolve} failed to do request: Head "https://registry.example/v2/": tls: failed to verify certificate: x509: certificate signed by unknown authority`,
    'ImageRegistryUnreachable',
  ],
  [
    'plain HTTP',
    `${resolve} failed to do request: Head "https://registry.example/v2/": http: server gave HTTP response to HTTPS client`,
    'ImageRegistryUnreachable',
  ],
  [
    '503',
    `${resolve} pulling from host registry.example failed with status code [manifests 2]: 503 Service Unavailable`,
    'ImageRegistryUnreachable',
  ],
  [
    '502 with a page that says not found',
    `${resolve} unexpected status from HEAD request: 502 Bad Gateway, upstream not found`,
    'ImageRegistryUnreachable',
  ],
  [
    'token server away',
    `${resolve} failed to authorize: failed to fetch anonymous token: Get "https://auth.example/token": dial tcp: lookup auth.example: no such host`,
    'ImageRegistryUnreachable',
  ],
  ['deadline', 'rpc error: code = DeadlineExceeded desc = context deadline exceeded', 'ImageRegistryUnreachable'],
  ['kubelet throttles', 'pull QPS exceeded', 'ImageRegistryUnreachable'],
  ['nobody knows', 'something else', 'ImageRegistryUnreachable'],
];

describe('the meaning of a message about a failed pull', () => {
  for (const [who, text, word] of pulls) {
    it(`${who}: ${word}`, () => {
      const trouble = imageTrouble('ErrImagePull', image, [text]);
      assert.equal([trouble.code, trouble.detail].filter(Boolean).join(' '), word);
      assert.equal(trouble.isCertain, trouble.code === 'ImageNotFound');
    });
  }

  it('the name of the image does not decide', () => {
    const name = 'not-found.example/access-denied/x509-503:429';
    const text = `Back-off pulling image "${name}": ErrImagePull: failed to resolve reference "${name}": ${name}: not found`;
    assert.equal(imageTrouble('ImagePullBackOff', name, [text]).code, 'ImageNotFound');
  });

  it('a back-off without a cause is explained by the event', () => {
    const texts = [`Back-off pulling image "${image}"`, `Failed to pull image "${image}": ${image}: not found`];
    assert.equal(imageTrouble('ImagePullBackOff', image, texts).code, 'ImageNotFound');
  });

  it('an invalid name is certain, but a missing image that must be on the node is not', () => {
    assert.deepEqual(imageTrouble('InvalidImageName', image, ['']), { code: 'ImageInvalidName', isCertain: true });
    assert.equal(imageTrouble('ErrImageNeverPull', image, ['']).isCertain, false);
    assert.equal(imageTrouble('SignatureValidationFailed', image, ['A signature was required']).detail, 'signature');
  });
});

/** [text, code and detail, certain] */
const refusals: readonly (readonly [string, string, boolean])[] = [
  [
    'pods "a" is forbidden: exceeded quota: q, requested: limits.memory=1Gi, used: limits.memory=1Gi, limited: limits.memory=1Gi',
    'QuotaExceeded',
    false,
  ],
  [
    'pods "a" is forbidden: failed quota: q: must specify limits.cpu for: app; limits.memory for: app',
    'QuotaExceeded mustSpecify',
    true,
  ],
  ['pods "a" is forbidden: maximum memory usage per Container is 64Mi, but limit is 128Mi', 'LimitRangeViolated', true],
  ['pods "a" is forbidden: minimum cpu usage per Pod is 100m, but request is 10m', 'LimitRangeViolated', true],
  [
    'pods "a" is forbidden: memory max limit to request ratio per Container is 2, but provided ratio is 4.000000',
    'LimitRangeViolated',
    true,
  ],
  [
    'persistentvolumeclaims "a" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi',
    'LimitRangeViolated',
    true,
  ],
  [
    'pods "a" is forbidden: violates PodSecurity "baseline:latest": hostPort (container "app" uses hostPort 80)',
    'PodSecurityDenied',
    true,
  ],
  ['admission webhook "guard.example.com" denied the request: no', 'AdmissionDenied webhook', true],
  [
    "pods \"a\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
    'AdmissionDenied policy',
    true,
  ],
  [
    'Internal error occurred: failed calling webhook "g.example.com": failed to call webhook: Post "https://g.ns.svc:443/": no endpoints available for service "g"',
    'AdmissionDenied webhookUnreachable',
    false,
  ],
  [
    'pods "a-" is forbidden: error looking up service account ns/app: serviceaccount "app" not found',
    'PermissionDenied serviceAccountMissing',
    false,
  ],
  [
    'pods is forbidden: User "system:serviceaccount:kube-system:replicaset-controller" cannot create resource "pods" in API group "" in the namespace "ns"',
    'PermissionDenied forbidden',
    false,
  ],
  ['pods "a" is forbidden: no PriorityClass with name high was found', 'AdmissionDenied classMissing', false],
  [
    'pods "a" is forbidden: unable to create new content in namespace shop because it is being terminated',
    'AdmissionDenied namespaceEnding',
    true,
  ],
  ['pods "a" is forbidden: pod rejected: RuntimeClass "gvisor" not found', 'AdmissionDenied classMissing', false],
  ['Pod "a" is invalid: spec.containers[0].image: Required value', 'AdmissionDenied invalid', true],
  ['pods "a" is forbidden: something of the future', 'AdmissionDenied forbidden', false],
];

describe('the meaning of a message about a refused pod', () => {
  for (const [text, word, isCertain] of refusals) {
    it(`${word}: ${text.slice(0, 70)}`, () => {
      const refusal = refusalOf(text);
      assert.equal([refusal?.code, refusal?.detail].filter(Boolean).join(' '), word);
      assert.equal(refusal?.isCertain, isCertain);
    });
  }

  it('a webhook that mentions a quota is still a webhook', () => {
    assert.equal(
      refusalOf('admission webhook "v.example" denied the request: exceeded quota: team')?.code,
      'AdmissionDenied',
    );
  });

  it('a message about something that the pod cannot repair is no refusal', () => {
    assert.equal(refusalOf('Timeout: request did not complete within requested timeout'), undefined);
  });
});

describe('the one reason why no node takes a pod', () => {
  const sentences: readonly (readonly [string, string])[] = [
    ['0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint(s). preemption: 0/3', 'resources'],
    ['0/1 nodes are available: 1 Too many pods. preemption: none', 'resources'],
    ['0/3 nodes are available: 3 node(s) had untolerated taint {gpu: true}. preemption: 0/3', 'taints'],
    [
      "0/3 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 2 node(s) had untolerated taint(s).",
      'affinity',
    ],
    ["0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.", 'affinity'],
    ["0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints.", 'affinity'],
    [
      '0/3 nodes are available: 1 node(s) had volume node affinity conflict, 2 node(s) had untolerated taint(s).',
      'volumeZone',
    ],
    ["0/3 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity.", 'volumeZone'],
    ["0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.", 'ports'],
    ['0/1 nodes are available: 1 node(s) were unschedulable. preemption: 0/1 nodes: 1 Insufficient cpu', 'cordoned'],
    ['no nodes available to schedule pods', 'other'],
  ];
  for (const [sentence, word] of sentences) {
    it(`${word}: ${sentence.slice(0, 70)}`, () => {
      assert.equal(schedulingDetail(sentence), word);
    });
  }
});

describe('events of both APIs', () => {
  const metadata = { name: 'e', namespace: 'shop', uid: 'u', creationTimestamp: '2026-03-01T12:00:00Z' };

  it('core/v1, counted', () => {
    const record = eventRecord({
      apiVersion: 'v1',
      kind: 'Event',
      metadata,
      involvedObject: { kind: 'Pod', namespace: 'shop', name: 'web', uid: 'p', fieldPath: 'spec.containers{app}' },
      type: 'Warning',
      reason: 'BackOff',
      message: 'Back-off',
      count: 7,
      firstTimestamp: '2026-03-01T12:00:01Z',
      lastTimestamp: '2026-03-01T12:00:09Z',
      source: { component: 'kubelet' },
    });
    assert.deepEqual(record, {
      uid: 'u',
      about: { kind: 'Pod', namespace: 'shop', name: 'web', uid: 'p' },
      fieldPath: 'spec.containers{app}',
      type: 'Warning',
      reason: 'BackOff',
      message: 'Back-off',
      source: 'kubelet',
      count: 7,
      firstAt: Date.parse('2026-03-01T12:00:01Z'),
      lastAt: Date.parse('2026-03-01T12:00:09Z'),
    });
  });

  it('events.k8s.io/v1, a series', () => {
    const record = eventRecord({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata,
      regarding: { kind: 'Pod', namespace: 'shop', name: 'web', uid: 'p' },
      type: 'Warning',
      reason: 'FailedScheduling',
      note: '0/3 nodes',
      eventTime: '2026-03-01T12:00:02.000000Z',
      series: { count: 4, lastObservedTime: '2026-03-01T12:00:30.000000Z' },
      reportingController: 'default-scheduler',
    });
    assert.equal(record.message, '0/3 nodes');
    assert.equal(record.source, 'default-scheduler');
    assert.equal(record.count, 4);
    assert.equal(record.about.uid, 'p');
    assert.equal(record.firstAt, Date.parse('2026-03-01T12:00:02Z'));
    assert.equal(record.lastAt, Date.parse('2026-03-01T12:00:30Z'));
  });

  it('an event without any field', () => {
    const record = eventRecord({ apiVersion: 'v1', kind: 'Event', metadata: { name: 'e' } });
    assert.deepEqual([record.count, record.lastAt, record.about.uid, record.reason], [1, 0, '', '']);
  });
});
