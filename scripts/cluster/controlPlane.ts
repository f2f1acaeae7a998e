import { generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import type { PartCommand } from './processes';
import { nodeNetwork } from './network';
import type { ClusterState, Layout, Tokens } from './state';

export interface ControlPlanePaths {
  readonly etcd: string;
  readonly 'kube-apiserver': string;
  readonly 'kube-controller-manager': string;
  readonly 'kube-scheduler': string;
}

export function apiServerUrl(layout: Layout): string {
  return layout.kind === 'loopback'
    ? `https://127.0.0.1:${layout.apiPort}`
    : `https://${nodeNetwork(layout.index).nodeAddress}:6443`;
}

/** The API server makes its own certificate at its first start. The file also contains the issuer. */
export function caFile(folder: string): string {
  return path.join(folder, 'certificates', 'apiserver.crt');
}

export function auditFile(folder: string): string {
  return path.join(folder, 'audit.log');
}

interface User {
  readonly name: string;
  readonly groups: readonly string[];
}

const realNodeUserName = 'system:node:real-1';

const users: Readonly<Record<keyof Tokens, User>> = {
  admin: { name: 'admin', groups: ['system:masters'] },
  node: { name: realNodeUserName, groups: ['system:nodes'] },
  controllerManager: { name: 'system:kube-controller-manager', groups: [] },
  scheduler: { name: 'system:kube-scheduler', groups: [] },
  proxy: { name: 'system:kube-proxy', groups: [] },
  kwok: { name: 'system:kwok', groups: ['system:masters'] },
  dns: { name: 'system:coredns', groups: ['system:masters'] },
};

/** Writes the keys, tokens and the audit policy that the control plane reads. */
export function writeControlPlaneFiles(folder: string, tokens: Tokens): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  });
  const write = (name: string, content: string) => {
    fs.writeFileSync(path.join(folder, name), content, { mode: 0o600 });
  };
  write('service-account.key', privateKey);
  write('service-account.pub', publicKey);
  const rows = (Object.keys(users) as (keyof Tokens)[]).map((user) => {
    const { name, groups } = users[user];
    return `${tokens[user]},${name},${name},"${groups.join(',')}"\n`;
  });
  write('tokens.csv', rows.join(''));
  write('audit-policy.json', JSON.stringify(auditPolicy()));
  write(path.basename(authenticationFile(folder)), JSON.stringify(authenticationConfiguration([])));
}

/** The API server reads this file again when it changes. */
export function authenticationFile(folder: string): string {
  return path.join(folder, 'authentication.json');
}

/** `jwt` lists the issuers of tokens that the API server trusts (JWTAuthenticator). */
export function authenticationConfiguration(jwt: readonly unknown[]): unknown {
  return { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration', jwt };
}

/**
 * Records all writes, and the reads of users. The reads of the components are left out, because they would fill most of
 * the file.
 */
function auditPolicy(): unknown {
  const components = Object.entries(users)
    .filter(([user]) => user !== 'admin')
    .map(([, { name }]) => name);
  return {
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [
      { level: 'None', users: [...components, 'system:apiserver'], verbs: ['get', 'list', 'watch'] },
      { level: 'None', userGroups: ['system:serviceaccounts:kube-system'], verbs: ['get', 'list', 'watch'] },
      {
        level: 'None',
        resources: [{ group: 'coordination.k8s.io', resources: ['leases'] }],
        users: [...components, 'system:apiserver'],
      },
      { level: 'None', nonResourceURLs: ['/readyz*', '/livez*', '/healthz*'] },
      { level: 'Metadata' },
    ],
  };
}

/** A self-contained kubeconfig with the token of one user. */
export function kubeconfig(state: ClusterState, ca: string, user: keyof Tokens): unknown {
  const cluster = {
    server: apiServerUrl(state.layout),
    'certificate-authority-data': Buffer.from(ca).toString('base64'),
  };
  const name = `helm-safe-deploy-${state.name}`;
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster }],
    users: [{ name: user, user: { token: state.tokens[user] } }],
    contexts: [{ name, context: { cluster: name, user } }],
    'current-context': name,
    preferences: {},
  };
}

export function kubeconfigFile(folder: string, user: keyof Tokens): string {
  return path.join(folder, user === 'admin' ? 'kubeconfig' : `${user}.kubeconfig`);
}

export function etcdCommand(folder: string, layout: Layout, programs: ControlPlanePaths): PartCommand {
  const [client, peer] = layout.kind === 'loopback' ? [layout.etcdPort, layout.etcdPeerPort] : [2379, 2380];
  const clientUrl = `http://127.0.0.1:${client}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  return {
    part: 'etcd',
    file: programs.etcd,
    args: [
      '--name=default',
      `--data-dir=${folder}/etcd`,
      `--listen-client-urls=${clientUrl}`,
      `--advertise-client-urls=${clientUrl}`,
      `--listen-peer-urls=${peerUrl}`,
      `--initial-advertise-peer-urls=${peerUrl}`,
      `--initial-cluster=default=${peerUrl}`,
      '--unsafe-no-fsync',
      '--log-level=warn',
    ],
  };
}

export function apiServerCommand(folder: string, layout: Layout, programs: ControlPlanePaths): PartCommand {
  const etcdPort = layout.kind === 'loopback' ? layout.etcdPort : 2379;
  return {
    part: 'kube-apiserver',
    file: programs['kube-apiserver'],
    args: [
      `--etcd-servers=http://127.0.0.1:${etcdPort}`,
      ...apiServerAddressFlags(layout),
      `--cert-dir=${path.dirname(caFile(folder))}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${folder}/service-account.pub`,
      `--service-account-signing-key-file=${folder}/service-account.key`,
      `--token-auth-file=${folder}/tokens.csv`,
      `--authentication-config=${authenticationFile(folder)}`,
      '--authorization-mode=Node,RBAC',
      '--allow-privileged=true',
      // Without this flag "kubectl logs" looks up the node's name in DNS.
      '--kubelet-preferred-address-types=InternalIP',
      `--audit-policy-file=${folder}/audit-policy.json`,
      `--audit-log-path=${auditFile(folder)}`,
      // All events go into one file, so that a reader misses nothing.
      '--audit-log-maxsize=2000',
      '--profiling=false',
    ],
  };
}

function apiServerAddressFlags(layout: Layout): string[] {
  if (layout.kind === 'loopback') {
    return [
      '--bind-address=127.0.0.1',
      `--secure-port=${layout.apiPort}`,
      // A loopback address must not be advertised, and a machine without a network has no other address. This one is
      // reserved for documentation. No pod that could need it runs here.
      '--advertise-address=192.0.2.1',
      '--endpoint-reconciler-type=none',
      '--service-cluster-ip-range=10.97.0.0/22',
    ];
  }
  const { nodeAddress, serviceRange } = nodeNetwork(layout.index);
  return [
    `--bind-address=${nodeAddress}`,
    '--secure-port=6443',
    `--advertise-address=${nodeAddress}`,
    `--service-cluster-ip-range=${serviceRange}`,
  ];
}

/** The parts that need a ready API server. */
export function controllerCommands(folder: string, programs: ControlPlanePaths): PartCommand[] {
  return [
    {
      part: 'kube-controller-manager',
      file: programs['kube-controller-manager'],
      args: [
        `--kubeconfig=${kubeconfigFile(folder, 'controllerManager')}`,
        `--service-account-private-key-file=${folder}/service-account.key`,
        `--root-ca-file=${caFile(folder)}`,
        '--use-service-account-credentials',
        '--leader-elect=false',
        '--secure-port=0',
        '--enable-hostpath-provisioner',
        // With the default limits a release of 50 objects is delayed by seconds.
        '--kube-api-qps=200',
        '--kube-api-burst=400',
      ],
    },
    {
      part: 'kube-scheduler',
      file: programs['kube-scheduler'],
      args: [`--kubeconfig=${kubeconfigFile(folder, 'scheduler')}`, '--leader-elect=false', '--secure-port=0'],
    },
  ];
}

/** Simulates the kwok nodes. Needs a ready API server. */
export function kwokCommand(folder: string, file: string): PartCommand {
  return {
    part: 'kwok',
    file,
    args: [
      `--kubeconfig=${kubeconfigFile(folder, 'kwok')}`,
      '--manage-all-nodes=false',
      '--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake',
      '--node-lease-duration-seconds=40',
    ],
  };
}

/** Provides volumes for the claims of charts. The provisioner makes folders below /tmp/hostpath_pv. */
export const defaultStorageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: 'standard', annotations: { 'storageclass.kubernetes.io/is-default-class': 'true' } },
  provisioner: 'kubernetes.io/host-path',
  reclaimPolicy: 'Delete',
  volumeBindingMode: 'Immediate',
};

/** A node that kwok simulates. Its taint keeps away every pod without a matching toleration. */
export function kwokNode(name: string): unknown {
  const resources = { cpu: '64', memory: '256Gi', pods: '500' };
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      annotations: { 'kwok.x-k8s.io/node': 'fake', 'node.alpha.kubernetes.io/ttl': '0' },
      labels: {
        type: 'kwok',
        'kubernetes.io/arch': 'amd64',
        'kubernetes.io/os': 'linux',
        'kubernetes.io/hostname': name,
        'kubernetes.io/role': 'agent',
        'node-role.kubernetes.io/agent': '',
      },
    },
    spec: { taints: [{ key: 'kwok.x-k8s.io/node', value: 'fake', effect: 'NoSchedule' }] },
    status: { allocatable: resources, capacity: resources },
  };
}
