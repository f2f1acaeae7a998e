import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { newestHelm3, newestHelm4, oldestHelm, testedHelms } from '../../scripts/cluster/pins';
import { down } from '../../scripts/cluster/cluster';
import { command } from '../../scripts/cluster/command';
import { waitFor } from '../../scripts/cluster/wait';
import { createCluster, type ClusterConnection } from '../../tasks/common/adapters/kubernetes/cluster';
import { createReleaseStorage } from '../../tasks/common/adapters/helm/storage';
import type { Drift } from '../../tasks/common/core/release/drift';
import { manifestObjects } from '../../tasks/common/core/kubernetes/manifest';
import type { Cluster } from '../../tasks/common/core/ports';
import type { Revision } from '../../tasks/common/core/release/release';
import {
  driftFieldManager,
  driftOf,
  liveState,
  type DriftContext,
  type LiveState,
} from '../../tasks/common/flows/release/drift';
import { cluster as testCluster, type TestCluster } from '../support/cluster';

const clusterName = 'drift';

const definitions = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.drift.example.com}
spec:
  group: drift.example.com
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                size: {type: integer, default: 3}
                colour: {type: string, nullable: true}
                share: {type: number}
                mode: {type: string, default: plain}
                parts: {type: array, items: {type: string}}
                rooms:
                  type: array
                  x-kubernetes-list-type: map
                  x-kubernetes-list-map-keys: [id]
                  items: {type: object, required: [id], properties: {id: {type: string}, seats: {type: integer, default: 1}}}
            status: {type: object, x-kubernetes-preserve-unknown-fields: true}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: passings.drift.example.com}
spec:
  group: drift.example.com
  scope: Namespaced
  names: {kind: Passing, plural: passings}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`;

/** Objects of many kinds, written as charts write them and not as the API server stores them. */
const everyKind = `
{{- $own := printf "%s-%s" .Release.Namespace .Release.Name }}
{{- $more := .Values.more }}
apiVersion: v1
kind: ServiceAccount
metadata: {name: app, creationTimestamp: null}
automountServiceAccountToken: false
imagePullSecrets: [{name: pull}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app.kubernetes.io/managed-by: {{ .Release.Service }}, tier: "1.10"}
  annotations:
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  template:
    metadata:
      creationTimestamp: null
      labels: {app: web}
      annotations: {checksum/config: abc}
    spec:
      securityContext: {}
      nodeSelector:
      affinity: {}
      tolerations: []
      serviceAccount: app
      terminationGracePeriodSeconds: 1e1
      initContainers:
        - {name: one, image: example.com/one}
{{- if $more }}
        - {name: between, image: example.com/between}
{{- end }}
        - {name: two, image: example.com/two}
      containers:
        - name: web
          image: "example.com/web:{{ .Values.tag }}"
          command: [sh, -c]
          args: ["echo {{ .Values.tag }}", "b"]
          resources: {limits: {cpu: "0.5", memory: 1024Mi}, requests: {cpu: 100m, memory: "536870912", ephemeral-storage: 1e9}}
          ports:
            - {name: http, containerPort: 8080}
            - {name: dns, containerPort: 53, protocol: UDP}
            - {name: dns-tcp, containerPort: 53, protocol: TCP}
          env:
            - {name: A, value: "1"}
{{- if $more }}
            - {name: B, value: "$(A)"}
{{- end }}
            - {name: C, value: ""}
            - {name: D, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
            - {name: E, valueFrom: {secretKeyRef: {name: app, key: plain, optional: true}}}
            - {name: F, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}
          envFrom: [{configMapRef: {name: app}}]
          livenessProbe: {httpGet: {path: /, port: http}}
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 5}
          volumeMounts:
            - {name: config, mountPath: /config}
            - {name: config, mountPath: /config/one, subPath: one}
            - {name: scratch, mountPath: /scratch}
          securityContext: {}
        - {name: side, image: example.com/side, resources: {}}
      volumes:
        - {name: config, configMap: {name: app, defaultMode: 420}}
        - {name: scratch, emptyDir: {sizeLimit: 1.5Gi}}
        - name: projected
          projected: {sources: [{serviceAccountToken: {path: token}}, {configMap: {name: app}}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  serviceName: store
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      containers: [{name: store, image: example.com/store, volumeMounts: [{name: data, mountPath: /data}]}]
  volumeClaimTemplates:
    - metadata: {name: data, labels: {app: store}}
      spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 0.5Gi}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  updateStrategy: {type: OnDelete}
  template:
    metadata: {labels: {app: agent}}
    spec:
      tolerations: [{operator: Exists}, {key: a, effect: NoSchedule}]
      nodeSelector: {none: z}
      topologySpreadConstraints:
        - {maxSkew: 1, topologyKey: zone, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: agent}}}
      hostAliases: [{ip: 10.0.0.1, hostnames: [a, b]}]
      containers: [{name: agent, image: example.com/agent, ports: [{containerPort: 9100, hostPort: 9100}]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "@daily"
  suspend: true
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 0
      template:
        spec: {restartPolicy: Never, containers: [{name: report, image: "example.com/report:{{ .Values.tag }}"}]}
---
apiVersion: batch/v1
kind: Job
metadata: {name: once}
spec:
  suspend: true
  template: {spec: {restartPolicy: OnFailure, containers: [{name: once, image: example.com/once}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: ""
  selector: {app: web}
  ports:
    - {name: http, port: 80, targetPort: http}
{{- if $more }}
    - {name: admin, port: 81}
{{- end }}
    - {name: dns, port: 53, protocol: UDP}
    - {name: dns-tcp, port: 53, protocol: TCP}
---
apiVersion: v1
kind: Service
metadata: {name: headless}
spec: {clusterIP: None, selector: {app: store}, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: outside, annotations: {empty: ""}}
spec:
  type: LoadBalancer
  externalTrafficPolicy: Local
  loadBalancerSourceRanges: [10.0.0.0/8]
  selector: {app: web}
  ports: [{port: 443, targetPort: 8443, nodePort: 0}]
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: db.example.com}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - host: web.example.com
      http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {name: http}}}}
{{- if $more }}
          - {path: /admin, pathType: Exact, backend: {service: {name: web, port: {number: 81}}}}
{{- end }}
  tls: [{hosts: [web.example.com], secretName: tls}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: report}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: absent}
  maxReplicas: 5
  metrics:
    - {type: Resource, resource: {name: memory, target: {type: AverageValue, averageValue: 0.5Gi}}}
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {maxUnavailable: {{ if $more }}1{{ else }}50%{{ end }}, selector: {matchLabels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web}
spec:
  podSelector: {}
  ingress:
    - from: [{podSelector: {matchLabels: {role: front}}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]
      ports: [{port: 80}, {port: http, protocol: TCP}]
    - {}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: app}
data:
  one: "1.0"
  text: |
    line one

    line: three
  number: "1e3"
  empty: ""
binaryData:
  bytes: |
    AAEC
    AwQ=
---
apiVersion: v1
kind: ConfigMap
metadata: {name: fixed}
immutable: true
data: {a: b}
---
apiVersion: v1
kind: Secret
metadata: {name: app}
stringData: {plain: "{{ .Values.secret }}", both: from text, umlaut: "grün"}
data:
  both: bm90
  encoded: c2VjcmV0
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: app}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get, list]}
  - {apiGroups: [apps], resources: [deployments], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: app}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: app}
subjects: [{kind: ServiceAccount, name: app, namespace: {{ .Release.Namespace }}}, {kind: User, name: jane}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ $own }}-part", labels: {"{{ $own }}": "true"}}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ $own }}-whole"}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {"{{ $own }}": "true"}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "{{ $own }}"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "{{ $own }}-part"}
subjects: [{kind: Group, name: nobody}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: "things.{{ $own }}.example.com", creationTimestamp: null}
spec:
  group: "{{ $own }}.example.com"
  scope: Namespaced
  preserveUnknownFields: false
  names: {kind: Thing, listKind: ThingList, plural: things, singular: thing}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}}
      schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {a: {type: integer, default: 1}}}}}}
status:
  acceptedNames: {kind: "", plural: ""}
  conditions: []
  storedVersions: []
---
apiVersion: drift.example.com/v1
kind: Gadget
metadata: {name: gadget}
spec:
  size: {{ if $more }}7{{ else }}5{{ end }}
  share: 1.0
  colour: null
  parts: [a, b]
  rooms: [{id: b}, {id: a, seats: 2}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: "{{ $own }}"}
webhooks:
  - name: one.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Ignore
    clientConfig: {service: {name: web, namespace: {{ .Release.Namespace }}, path: /one}, caBundle: Cg==}
    namespaceSelector: {matchLabels: {none: z}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: "{{ $own }}"}
webhooks:
  - name: two.example.com
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: Ignore
    clientConfig: {url: "https://localhost:1/two"}
    objectSelector: {matchLabels: {none: z}}
    rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [pods]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: "{{ $own }}"}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [replicasets]}]}
  validations: [{expression: "true"}]
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: quota}
spec: {hard: {pods: 100, requests.cpu: "20", limits.memory: 0.5Ti}}
---
apiVersion: v1
kind: LimitRange
metadata: {name: limits}
spec: {limits: [{type: PersistentVolumeClaim, max: {storage: 2048Gi}}]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: "{{ $own }}"}
value: 1e3
---
apiVersion: v1
kind: List
items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: listed}, data: {a: b}}
{{- if not $more }}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: made-anew-by-a-rollback}
---
apiVersion: v1
kind: Secret
metadata: {name: made-anew-by-a-rollback}
stringData: {a: b}
{{- end }}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: outside, labels: {kubernetes.io/service-name: elsewhere}}
addressType: IPv4
endpoints: [{addresses: [10.9.9.9]}]
ports: [{port: 5432}]
`;

/** One object for each kind of drift. */
const targets = `
{{- range $name := list "edited" "image" "scaled" "held" "lost-env" "restarted" "added" "reordered" "drifting-ns" }}
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ $name }}, labels: {own: {{ $name }}}}
spec:
  replicas: 2
  selector: {matchLabels: {app: {{ $name }}}}
  template:
    metadata: {labels: {app: {{ $name }}}}
    spec:
      initContainers: [{name: first, image: example.com/first}, {name: second, image: example.com/second}]
      containers: [{name: main, image: "example.com/main:1", env: [{name: A, value: a}, {name: B, value: b}]}]
---
{{- end }}
{{- range $name := list "deleted" "ending" "data" "key-added" "unlabelled" "taken" "nobodys" }}
apiVersion: v1
kind: ConfigMap
metadata: {name: {{ $name }}, labels: {own: {{ $name }}}}
data: {a: "1"}
---
{{- end }}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: held}
spec: {minReplicas: 4, maxReplicas: 5, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: held}}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
stringData: {password: very-secret-one, user: u}
---
apiVersion: v1
kind: Service
metadata: {name: selector}
spec: {selector: {app: image}, ports: [{port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: opened}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {role: front}}}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: widened}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ .Release.Namespace }}-part", labels: {"{{ .Release.Namespace }}": "true"}}
rules: [{apiGroups: [""], resources: [nodes], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "{{ .Release.Namespace }}-whole"}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {"{{ .Release.Namespace }}": "true"}}]}
rules: []
---
apiVersion: drift.example.com/v1
kind: Gadget
metadata: {name: gadget}
spec: {size: 5, rooms: [{id: a}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], storageClassName: none, resources: {requests: {storage: 1Gi}}}
`;

const ways = [
  ...testedHelms.map((version) => [`Helm ${version}`, version, version] as const),
  [`Helm 4.1.4 on a release of Helm ${newestHelm3}`, newestHelm3, '4.1.4'],
  [`Helm ${newestHelm4} on a release of Helm ${oldestHelm}`, oldestHelm, newestHelm4],
] as const;

describe('drift on a real API server', function () {
  this.timeout(180_000);
  let server: TestCluster;
  let connection: ClusterConnection;
  let folder: string;

  before(async () => {
    // Nothing here needs a node, because drift depends only on what the API server stores.
    server = await testCluster({ name: clusterName, realNode: false, kwokNodes: 0 });
    connection = await createCluster(server.kubeconfig);
    await server.apply('default', definitions);
    await server.runKubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s');
    folder = await mkdtemp(path.join(tmpdir(), 'drift-'));
  });

  after(async () => {
    connection.close();
    await rm(folder, { recursive: true, force: true });
    await down(clusterName, () => undefined, new AbortController().signal);
  });

  /** Writes a chart with one template and returns its folder. */
  async function chart(name: string, template: string, values = ''): Promise<string> {
    const place = path.join(folder, name);
    await mkdir(path.join(place, 'templates'), { recursive: true });
    await writeFile(path.join(place, 'Chart.yaml'), `apiVersion: v2\nname: ${name}\nversion: 1.0.0\n`);
    await writeFile(path.join(place, 'values.yaml'), values);
    await writeFile(path.join(place, 'templates', 'all.yaml'), template);
    return place;
  }

  async function helm(version: string, namespace: string, ...args: string[]): Promise<void> {
    const binary = server.helms[version] ?? assert.fail(`no Helm ${version}`);
    const env = { ...process.env, KUBECONFIG: server.kubeconfig };
    const { code, stderr } = await command(binary, [...args, '--namespace', namespace], { env });
    assert.equal(code, 0, stderr);
  }

  function contextOf(cluster: Cluster): DriftContext {
    const agent = { log: () => undefined } as unknown as DriftContext['agent'];
    return { agent, cluster, signal: new AbortController().signal };
  }

  async function deployed(namespace: string): Promise<Revision> {
    const history = await createReleaseStorage(connection, { release: 'web', namespace, driver: undefined }).history();
    return history.findLast(({ status }) => status === 'deployed') ?? assert.fail('nothing is deployed');
  }

  async function state(namespace: string, cluster: Cluster = connection): Promise<LiveState> {
    const revision = await deployed(namespace);
    return liveState(contextOf(cluster), revision.manifest, revision);
  }

  const sentences = (drifts: readonly Drift[]): string[] => drifts.map(({ message }) => message);

  async function kubectl(namespace: string, ...args: string[]): Promise<string> {
    return server.runKubectl(...args, '--namespace', namespace);
  }

  for (const [name, first, second] of ways) {
    it(`${name}: right after an install, an upgrade and a rollback, no object of any kind has drifted`, async () => {
      const namespace = await server.namespace('drift-kinds');
      const kinds = await chart('kinds', everyKind, 'more: false\nreplicas: 2\ntag: one\nsecret: hidden-text\n');
      const look = async (): Promise<void> => {
        const { drifts, notes } = await state(namespace);
        assert.deepEqual(sentences(drifts), []);
        assert.deepEqual(notes, []);
      };
      await helm(first, namespace, 'install', 'web', kinds);
      await look();
      const objects = await deployed(namespace).then(({ manifest }) => manifestObjects(manifest).length);
      assert.ok(objects > 30, `${objects} objects`);
      await helm(second, namespace, 'upgrade', 'web', kinds, '--set', 'more=true,replicas=3,tag=two,secret=other');
      await look();
      await helm(second, namespace, 'rollback', 'web', '1');
      await look();
      await helm(second, namespace, 'uninstall', 'web');
      await server.cleanUp(namespace);
    });
  }

  for (const version of [newestHelm3, newestHelm4]) {
    describe(`after a deploy by Helm ${version}`, () => {
      let namespace: string;

      before(async () => {
        namespace = await server.namespace('drift-hands');
        await helm(version, namespace, 'install', 'web', await chart('targets', targets));
        await waitFor('the autoscaler to scale up', async () => {
          const replicas = await kubectl(namespace, 'get', 'deployment/held', '--output=jsonpath={.spec.replicas}');
          return replicas === '4';
        });
        await waitFor('the roles to be put together', async () => {
          const role = `clusterrole/${namespace}-whole`;
          return (await server.runKubectl('get', role, '--output=jsonpath={.rules}')).includes('nodes');
        });
      });

      after(() => server.cleanUp(namespace));

      /** The drifts of the object with this name. Other tests may have changed the other objects. */
      async function driftsOf(name: string): Promise<Drift[]> {
        return (await state(namespace)).drifts.filter(({ ref }) => ref.name === name);
      }

      async function fieldsOf(name: string): Promise<[path: string, message: string, managers: string][]> {
        const [drift] = await driftsOf(name);
        return (drift?.fields ?? []).map((field) => [
          field.path,
          field.message,
          [...new Set(field.owners.map(({ manager }) => manager))].join(),
        ]);
      }

      const patch = (what: string, json: unknown, ...more: string[]): Promise<string> =>
        kubectl(namespace, 'patch', what, '--type=merge', `--patch=${JSON.stringify(json)}`, ...more);

      it('nothing has drifted, and fields of an autoscaler or a controller are reported as theirs', async () => {
        const { drifts, held } = await state(namespace);
        assert.deepEqual(sentences(drifts), []);
        assert.deepEqual([...held].sort(), [
          `ClusterRole/${namespace}-whole: rules differs, which clusterrole-aggregation-controller may set.`,
          `Deployment/held in namespace ${namespace}: spec.replicas is 4, not 2, which kube-controller-manager may set.`,
        ]);
      });

      it('replicas changed with kubectl scale are drift', async () => {
        await kubectl(namespace, 'scale', 'deployment/scaled', '--replicas=5');
        assert.deepEqual(await fieldsOf('scaled'), [['spec.replicas', 'is 5, not 2', 'kubectl']]);
        const { drifts } = await state(namespace);
        const [sentence] = sentences(drifts.filter(({ ref }) => ref.name === 'scaled'));
        assert.equal(
          sentence,
          `Deployment/scaled in namespace ${namespace}: spec.replicas is 5, not 2 (set by kubectl).`,
        );
      });

      it('an image changed with kubectl set image is drift', async () => {
        await kubectl(namespace, 'set', 'image', 'deployment/image', 'main=example.com/main:hot');
        assert.deepEqual(await fieldsOf('image'), [
          [
            'spec.template.spec.containers[name=main].image',
            'is example.com/main:hot, not example.com/main:1',
            'kubectl-set',
          ],
        ]);
      });

      it('an environment variable changed with kubectl edit is drift, reported without its value', async () => {
        const editor = path.join(folder, 'editor');
        await writeFile(editor, '#!/bin/sh\nsed -i "s/value: a$/value: hot-secret/" "$1"\n', { mode: 0o700 });
        const env = { ...process.env, KUBE_EDITOR: editor };
        const args = ['--kubeconfig', server.kubeconfig, 'edit', 'deployment/edited', '--namespace', namespace];
        const { code, stderr } = await command(server.kubectl, args, { env });
        assert.equal(code, 0, stderr);
        assert.deepEqual(await fieldsOf('edited'), [
          ['spec.template.spec.containers[name=main].env[name=A].value', 'differs', 'kubectl-edit'],
        ]);
      });

      it('an environment variable removed by hand is drift', async () => {
        const path = '/spec/template/spec/containers/0/env/0';
        const patch = `--patch=${JSON.stringify([{ op: 'remove', path }])}`;
        await kubectl(namespace, 'patch', 'deployment/lost-env', '--type=json', patch);
        assert.deepEqual(await fieldsOf('lost-env'), [
          ['spec.template.spec.containers[name=main].env[name=A]', 'is gone', ''],
        ]);
      });

      it('init containers in another order are drift', async () => {
        const first = '/spec/template/spec/initContainers/0';
        const patch = [{ op: 'move', from: first, path: '/spec/template/spec/initContainers/1' }];
        await kubectl(namespace, 'patch', 'deployment/reordered', '--type=json', `--patch=${JSON.stringify(patch)}`);
        assert.deepEqual(await fieldsOf('reordered'), [
          ['spec.template.spec.initContainers', 'is in another order', ''],
        ]);
      });

      it('fields that no manifest declares are no drift: a restart, a sidecar, a variable, an annotation, a key', async () => {
        await kubectl(namespace, 'rollout', 'restart', 'deployment/restarted');
        await kubectl(namespace, 'annotate', 'deployment/restarted', 'note=by-hand');
        await kubectl(namespace, 'set', 'env', 'deployment/added', 'Z=z');
        const side = [{ op: 'add', path: '/spec/template/spec/containers/0', value: { name: 'a', image: 'x/y' } }];
        await kubectl(namespace, 'patch', 'deployment/added', '--type=json', `--patch=${JSON.stringify(side)}`);
        await patch('configmap/key-added', { data: { b: '2' } });
        for (const name of ['restarted', 'added', 'key-added']) assert.deepEqual(await driftsOf(name), []);
      });

      it('a changed text of a ConfigMap is drift', async () => {
        await patch('configmap/data', { data: { a: 'by hand' } });
        assert.deepEqual(await fieldsOf('data'), [['data.a', 'differs', 'kubectl-patch']]);
      });

      it('a changed Secret is reported as changed, without any part of its values', async () => {
        await patch('secret/secret', { stringData: { password: 'very-secret-two' } });
        const drifts = await driftsOf('secret');
        assert.deepEqual(await fieldsOf('secret'), [['data.password', 'differs', 'kubectl-patch']]);
        assert.doesNotMatch(JSON.stringify(drifts), /very-secret|dmVyeS1zZWNyZX/);
      });

      it('a removed label is drift', async () => {
        await kubectl(namespace, 'label', 'configmap/unlabelled', 'own-');
        assert.deepEqual(await fieldsOf('unlabelled'), [['metadata.labels.own', 'is gone', '']]);
      });

      it('additions to a field that is declared as a whole are drift: a selector, rules of a NetworkPolicy and of a Role', async () => {
        await patch('service/selector', { spec: { selector: { version: 'blue' } } });
        await patch('networkpolicy/opened', { spec: { ingress: [{}] } });
        const rule = {
          op: 'add',
          path: '/rules/-',
          value: { apiGroups: [''], resources: ['secrets'], verbs: ['get'] },
        };
        await kubectl(namespace, 'patch', 'role/widened', '--type=json', `--patch=${JSON.stringify([rule])}`);
        assert.deepEqual(await fieldsOf('selector'), [['spec.selector.version', 'was added', 'kubectl-patch']]);
        assert.deepEqual(await fieldsOf('opened').then((all) => all.map(([, , manager]) => manager)), [
          'kubectl-patch',
        ]);
        assert.deepEqual(await fieldsOf('widened').then((all) => all.map(([, , manager]) => manager)), [
          'kubectl-patch',
        ]);
      });

      it('a changed custom resource is drift', async () => {
        await patch('gadget/gadget', { spec: { size: 9, mode: 'free' } });
        assert.deepEqual(await fieldsOf('gadget'), [['spec.size', 'is 9, not 5', 'kubectl-patch']]);
      });

      it('a field that another manager has applied belongs to that manager, and a plain update does not change the owner', async () => {
        const replicas = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'drifting-ns' } };
        const applied = path.join(folder, 'applied.json');
        const main = (image: string) => [{ name: 'main', image }];
        const wish = { ...replicas, spec: { template: { spec: { containers: main('example.com/main:operated') } } } };
        await writeFile(applied, JSON.stringify(wish));
        const how = ['--server-side', '--force-conflicts', '--field-manager=image-operator'];
        await kubectl(namespace, 'apply', ...how, `--filename=${applied}`);
        assert.deepEqual(await driftsOf('drifting-ns'), []);
        await patch('deployment/drifting-ns', { spec: { minReadySeconds: 1, replicas: 7 } }, '--field-manager=scaler');
        assert.deepEqual(await driftsOf('drifting-ns'), []);
        await patch('deployment/drifting-ns', { metadata: { labels: { own: 'z' } } }, '--field-manager=scaler');
        assert.deepEqual(await fieldsOf('drifting-ns'), [['metadata.labels.own', 'differs', 'scaler']]);
      });

      it('a deleted object and an object being deleted are reported', async () => {
        await kubectl(namespace, 'delete', 'configmap/deleted');
        await patch('configmap/ending', { metadata: { finalizers: ['example.com/wait'] } });
        await kubectl(namespace, 'delete', 'configmap/ending', '--wait=false');
        for (const [name, end] of [
          ['deleted', 'does not exist.'],
          ['ending', 'is being deleted.'],
        ] as const) {
          const drifts = await driftsOf(name);
          assert.deepEqual(
            drifts.map(({ drift, message }) => [drift, message]),
            [['missing', `ConfigMap/${name} in namespace ${namespace} ${end}`]],
          );
        }
        await patch('configmap/ending', { metadata: { finalizers: null } });
      });

      it("an object that another release has taken and an object that lost Helm's labels are reported", async () => {
        await kubectl(namespace, 'annotate', '--overwrite', 'configmap/taken', 'meta.helm.sh/release-name=other');
        await kubectl(namespace, 'annotate', 'configmap/nobodys', 'meta.helm.sh/release-name-');
        assert.deepEqual(await driftsOf('taken').then((all) => all.map(({ drift, message }) => [drift, message])), [
          ['foreign', `ConfigMap/taken in namespace ${namespace} belongs to release other in namespace ${namespace}.`],
        ]);
        assert.deepEqual(await driftsOf('nobodys').then((all) => all.map(({ drift, message }) => [drift, message])), [
          ['foreign', `ConfigMap/nobodys in namespace ${namespace} belongs to no Helm release.`],
        ]);
      });

      it('an object recreated by hand differs in a field that cannot be changed in place', async () => {
        const claim = (storage: string): string =>
          `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteMany], ` +
          `storageClassName: none, resources: {requests: {storage: ${storage}}}}}`;
        await kubectl(namespace, 'delete', 'persistentvolumeclaim/data');
        await server.apply(namespace, claim('1Gi'));
        await kubectl(namespace, 'label', 'persistentvolumeclaim/data', 'app.kubernetes.io/managed-by=Helm');
        const marks = ['meta.helm.sh/release-name=web', `meta.helm.sh/release-namespace=${namespace}`];
        await kubectl(namespace, 'annotate', 'persistentvolumeclaim/data', ...marks);
        const [drift] = (await state(namespace)).drifts.filter(({ ref }) => ref.kind === 'PersistentVolumeClaim');
        assert.equal(drift?.drift, 'changed');
        assert.deepEqual(
          drift.fields.map(({ path }) => path),
          ['spec.accessModes[0]'],
        );
        assert.match(drift.message, /spec is immutable/);
      });

      it('looking for drift writes nothing', async () => {
        const objects = await kubectl(
          namespace,
          'get',
          'all,configmap,gadget',
          '--output=json',
          '--show-managed-fields',
        );
        assert.ok(objects.includes('"manager": "'));
        assert.ok(!objects.includes(driftFieldManager));
      });
    });
  }

  const odd = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: odd}
spec:
  replica: 3
  selector: {matchLabels: {app: odd}}
  template:
    metadata: {labels: {app: odd}}
    spec:
      containers:
        - {name: main, image: example.com/main, imagePullpolicy: Always, resources: {limits: {cpu: "0.5"}}}
        - {name: side, image: example.com/side, restart: never}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: twice}
spec:
  selector: {matchLabels: {app: twice}}
  template:
    metadata: {labels: {app: twice}}
    spec:
      containers:
        - {name: main, image: example.com/main, env: [{name: A, value: "1"}, {name: A, value: "2"}], resources: {limits: {cpu: "0.5"}}}
`;

  it('unknown fields and a variable that is declared twice, which Helm 3 accepts, are no drift', async () => {
    const namespace = await server.namespace('drift-odd');
    await helm(newestHelm3, namespace, 'install', 'web', await chart('odd', odd));
    const { drifts, notes } = await state(namespace);
    assert.deepEqual(sentences(drifts), []);
    assert.ok(
      notes.includes('Deployment/odd declares spec.replica, which the API server does not know.'),
      notes.join(),
    );
    assert.match(notes.join('\n'), /Deployment\/twice was compared by its declared fields alone/);
    await kubectl(namespace, 'set', 'image', 'deployment/odd', 'main=example.com/hot');
    await kubectl(namespace, 'scale', 'deployment/twice', '--replicas=2');
    const path = '/spec/template/spec/containers/0/env/1/value';
    const patch = `--patch=${JSON.stringify([{ op: 'replace', path, value: '3' }])}`;
    await kubectl(namespace, 'patch', 'deployment/twice', '--type=json', patch);
    assert.deepEqual(
      (await state(namespace)).drifts.map(({ ref, fields }) => [ref.name, ...fields.map(({ path }) => path)]),
      [
        ['odd', 'spec.template.spec.containers[name=main].image'],
        ['twice', 'spec.template.spec.containers[name=main].env[1].value'],
      ],
    );
    await server.cleanUp(namespace);
  });

  it('objects of a kind that the API server no longer serves are reported as missing', async () => {
    const namespace = await server.namespace('drift-kind');
    const passing = '{apiVersion: drift.example.com/v1, kind: Passing, metadata: {name: one}, spec: {a: 1}}';
    await helm(newestHelm3, namespace, 'install', 'web', await chart('passing', passing));
    assert.deepEqual((await state(namespace)).drifts, []);
    await server.runKubectl('delete', 'crd/passings.drift.example.com');
    const fresh = await createCluster(server.kubeconfig);
    try {
      const { drifts } = await state(namespace, fresh);
      assert.deepEqual(
        drifts.map(({ drift, message }) => [drift, message]),
        [
          [
            'missing',
            `Passing/one in namespace ${namespace} does not exist: the API server serves no Passing of drift.example.com/v1.`,
          ],
        ],
      );
    } finally {
      fresh.close();
    }
    await server.cleanUp(namespace);
  });

  const plain = `
apiVersion: v1
kind: ConfigMap
metadata: {name: plain}
data: {a: "1"}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: plain}
spec:
  selector: {matchLabels: {app: plain}}
  template:
    metadata: {labels: {app: plain}}
    spec: {containers: [{name: main, image: example.com/main, resources: {limits: {cpu: "0.5", memory: 1024Mi}}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: plain}
stringData: {password: very-secret}
`;

  /** A connection with only these rights in one namespace. Each rule has verbs and resources. */
  async function connectionOf(namespace: string, rules: readonly (readonly [string, string, string])[]) {
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'limited' },
      rules: rules.map(([verbs, group, resources]) => ({
        verbs: verbs.split(','),
        apiGroups: [group],
        resources: resources.split(','),
      })),
    };
    const binding = {
      ...role,
      kind: 'RoleBinding',
      rules: undefined,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'limited' },
      subjects: [{ kind: 'ServiceAccount', name: 'default', namespace }],
    };
    await server.apply(namespace, `${JSON.stringify(role)}\n---\n${JSON.stringify(binding)}`);
    const token = (await kubectl(namespace, 'create', 'token', 'default')).trim();
    const kubeconfig = path.join(folder, `${namespace}.yaml`);
    const admin = JSON.parse(await server.runKubectl('config', 'view', '--raw', '--minify', '--output=json')) as Record<
      string,
      unknown
    >;
    const [context] = admin['contexts'] as { context: object }[];
    const limited = {
      ...admin,
      users: [{ name: 'limited', user: { token } }],
      contexts: [{ name: 'limited', context: { ...context?.context, user: 'limited' } }],
      'current-context': 'limited',
    };
    await writeFile(kubeconfig, JSON.stringify(limited));
    return createCluster(kubeconfig);
  }

  it('a connection that may not patch compares the declared fields only, and the report says so', async () => {
    const namespace = await server.namespace('drift-rights');
    await helm(newestHelm3, namespace, 'install', 'web', await chart('plain', plain));
    const limited = await connectionOf(namespace, [
      ['get', '', 'configmaps,secrets'],
      ['get', 'apps', 'deployments'],
    ]);
    try {
      const unharmed = await state(namespace, limited);
      assert.deepEqual(sentences(unharmed.drifts), []);
      // The ConfigMap is exactly as declared, so it needs no dry run.
      assert.equal(unharmed.notes.length, 2);
      assert.match(unharmed.notes.join('\n'), /Deployment\/plain was compared .* cannot patch resource/);
      await kubectl(namespace, 'patch', 'configmap/plain', '--type=merge', '--patch={"data":{"a":"2"}}');
      await kubectl(namespace, 'patch', 'secret/plain', '--type=merge', '--patch={"stringData":{"password":"new"}}');
      const { drifts } = await state(namespace, limited);
      assert.deepEqual(
        drifts.map(({ ref, drift, fields }) => [ref.kind, drift, ...fields.map(({ path }) => path)]),
        [
          ['Secret', 'changed', 'data.password'],
          ['ConfigMap', 'changed', 'data.a'],
        ],
      );
      assert.doesNotMatch(JSON.stringify(drifts), /very-secret|dmVyeS1zZWNyZX/);
    } finally {
      limited.close();
    }
    await server.cleanUp(namespace);
  });

  it('a connection that may not read reports unknown objects as unknown, never as free of drift', async () => {
    const namespace = await server.namespace('drift-blind');
    await helm(newestHelm3, namespace, 'install', 'web', await chart('plain', plain));
    const limited = await connectionOf(namespace, [['get,patch', '', 'configmaps,secrets']]);
    try {
      const { drifts } = await state(namespace, limited);
      assert.deepEqual(
        drifts.map(({ ref, drift }) => [ref.kind, drift]),
        [['Deployment', 'unknown']],
      );
      assert.match(
        sentences(drifts).join(),
        /^It is not known whether Deployment\/plain .* is as declared: .*cannot get resource/,
      );
    } finally {
      limited.close();
    }
    await server.cleanUp(namespace);
  });

  const many = `
{{- range $i := until 250 }}
apiVersion: v1
kind: ConfigMap
metadata: {name: "many-{{ $i }}"}
data: {a: "{{ $i }}"}
---
apiVersion: v1
kind: Service
metadata: {name: "many-{{ $i }}"}
spec: {selector: {app: "many-{{ $i }}"}, clusterIP: None, ports: [{port: 80}]}
---
{{- end }}
`;

  it('500 objects need one list per kind, one dry run per object that may differ, and no other request', async () => {
    const namespace = await server.namespace('drift-many');
    await helm(newestHelm4, namespace, 'install', 'web', await chart('many', many));
    await kubectl(namespace, 'delete', 'configmap/many-3');
    const revision = await deployed(namespace);
    const since = new Date();
    const drifts = await driftOf(contextOf(connection), revision.manifest, revision);
    const tookMs = Date.now() - since.getTime();
    assert.deepEqual(sentences(drifts), [`ConfigMap/many-3 in namespace ${namespace} does not exist.`]);
    const events = await server.auditEvents({ since, userAgent: /^helm-safe-deploy/, namespace });
    const count = (verb: string): number => events.filter((event) => event.verb === verb).length;
    assert.deepEqual(
      { list: count('list'), get: count('get'), patch: count('patch') },
      { list: 2, get: 1, patch: 250 },
    );
    console.log(`      500 objects compared in ${tookMs} ms`);
    await server.cleanUp(namespace);
  });
});
