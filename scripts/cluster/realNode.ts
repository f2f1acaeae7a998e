import fs from 'node:fs';
import path from 'node:path';
import { cgroupName } from './cgroups';
import { command } from './command';
import { kubeconfigFile } from './controlPlane';
import { pauseImage } from './images';
import { type NodeNetwork, nodeNetwork } from './network';
import { enterFlags, partProcesses, type PartCommand } from './processes';
import { waitFor } from './wait';

/*
 * The real node, and with it the whole cluster, lives in its own network, mount and process namespace. When the init
 * process of the namespace is killed, the kernel ends every process in it, containers included, and removes mounts,
 * interfaces and iptables rules. So nothing must be cleaned up one by one, and two clusters cannot disturb each other.
 */

export const realNodeName = 'real-1';

export interface RealNodePaths {
  readonly kubelet: string;
  readonly 'kube-proxy': string;
  readonly coredns: string;
  readonly 'sample-app': string;
}

// Kernel settings that the kubelet requires. They are simulated, so that the kubelet does not change those of the
// machine.
const kernelSettings: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'vm/panic_on_oom': '0',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
  'kernel/keys/root_maxkeys': '1000000',
  'kernel/keys/root_maxbytes': '25000000',
};

const containerdSocket = '/run/containerd/containerd.sock';

// Folders whose path is fixed in third-party programs are replaced by folders of the cluster. /run is empty, so every
// socket has its usual path.
const initScript = `set -e
folder=$1
mount --make-rshared /
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/containerd /run/netns /run/lock
mkdir -p /var/lib/kubelet
mount --bind "$folder/kubelet" /var/lib/kubelet
mount -t tmpfs -o mode=755 tmpfs /var/log
mkdir -p "$folder/volumes" /tmp/hostpath_pv
mount --bind "$folder/volumes" /tmp/hostpath_pv
mkdir /run/kernel
shift
for setting in "$@"; do
  file=/run/kernel/$(echo "\${setting%=*}" | tr / .)
  echo "\${setting#*=}" >"$file"
  mount --bind "$file" "/proc/sys/\${setting%=*}"
done
touch "$folder/init-ready"
trap 'exit 0' TERM
while :; do sleep 86400 & wait $!; done`;

/** The init process of the namespaces. It only waits, and so also reaps orphaned processes. */
export function initCommand(folder: string): PartCommand {
  fs.mkdirSync(path.join(folder, 'kubelet'), { recursive: true });
  fs.rmSync(path.join(folder, 'init-ready'), { force: true });
  const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const settings = Object.entries(kernelSettings).map(([setting, value]) => `${setting}=${value}`);
  return { part: 'init', file: 'unshare', args: [...namespaces, 'sh', '-c', initScript, 'sh', folder, ...settings] };
}

/** The process id of the namespaces' init process on the machine. Returns undefined if it does not run. */
export function initProcess(folder: string): number | undefined {
  return partProcesses(folder).find(({ part, pid }) => part === 'init' && isInit(pid))?.pid;
}

function isInit(pid: number): boolean {
  try {
    const numbers = /^NSpid:\s+(.*)$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]?.split(/\s+/) ?? [];
    return numbers.length > 1 && numbers.at(-1) === '1';
  } catch {
    return false;
  }
}

export async function waitForInit(folder: string, signal: AbortSignal): Promise<number> {
  await waitFor('the namespaces of the real node', () => fs.existsSync(path.join(folder, 'init-ready')), {
    signal,
    timeoutSeconds: 10,
    intervalMilliseconds: 20,
  });
  const pid = initProcess(folder);
  if (pid === undefined) throw new Error('The namespaces of the real node ended as soon as they began.');
  return pid;
}

export async function writeNodeFiles(folder: string, index: number): Promise<void> {
  const network = nodeNetwork(index);
  const snapshots = await snapshotter(folder);
  const write = (name: string, content: string) => {
    const file = path.join(folder, name);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, content);
  };
  write('containerd.toml', containerdConfig(folder, snapshots));
  write('cni/10-pods.conflist', JSON.stringify(cniConfig(folder, network), undefined, 2));
  write('resolv.conf', `nameserver ${network.nodeAddress}\n`);
  write('kubelet.json', JSON.stringify(kubeletConfig(folder, network, snapshots), undefined, 2));
  write('Corefile', corefile(folder, network));
}

type Snapshotter = 'overlayfs' | 'native';

/**
 * Tests if an overlay can be mounted. If the state folder is itself on an overlay, as in a container, it cannot, and
 * images are copied instead.
 */
async function snapshotter(folder: string): Promise<Snapshotter> {
  const script =
    'cd "$1" && mkdir -p lower upper work merged && mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged';
  const trial = path.join(folder, 'overlay-trial');
  fs.mkdirSync(trial);
  const result = await command('unshare', ['--mount', 'sh', '-c', script, 'sh', trial]);
  fs.rmSync(trial, { recursive: true });
  return result.code === 0 ? 'overlayfs' : 'native';
}

function containerdConfig(folder: string, snapshots: Snapshotter): string {
  return `version = 2
root = "${folder}/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "${containerdSocket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Machines exist where root lacks CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "${snapshots}"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "${folder}/cni"
`;
}

/**
 * Each pod has its own routed link. So traffic from a pod to a Service and back always passes iptables, even to the pod
 * itself.
 */
function cniConfig(folder: string, network: NodeNetwork): unknown {
  const ipam = {
    type: 'host-local',
    ranges: [[{ subnet: network.podRange }]],
    routes: [{ dst: '0.0.0.0/0' }],
    dataDir: `${folder}/cni-addresses`,
  };
  return {
    cniVersion: '0.4.0',
    name: 'pods',
    plugins: [
      { type: 'ptp', ipMasq: false, ipam },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  };
}

function kubeletConfig(folder: string, network: NodeNetwork, snapshots: Snapshotter): unknown {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: network.nodeAddress,
    authentication: { anonymous: { enabled: true }, webhook: { enabled: false } },
    authorization: { mode: 'AlwaysAllow' },
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${cgroupName(folder)}`,
    clusterDNS: [network.nodeAddress],
    clusterDomain: 'cluster.local',
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    enforceNodeAllocatable: [],
    // Has no limit for disk space, because a full disk is a problem of the machine, not of the cluster.
    evictionHard: { 'memory.available': '50Mi' },
    failCgroupV1: false,
    failSwapOn: false,
    imageGCHighThresholdPercent: 100,
    // The kubelet cannot find the disk below an overlay, and would not start with this setting.
    localStorageCapacityIsolation: snapshots === 'overlayfs',
    maxPods: 200,
    podLogsDir: `${folder}/pod-logs`,
    resolvConf: `${folder}/resolv.conf`,
    serializeImagePulls: false,
    volumePluginDir: `${folder}/volume-plugins`,
  };
}

function corefile(folder: string, network: NodeNetwork): string {
  // There are two blocks, because within one block CoreDNS would ask "template" before "kubernetes", whatever their
  // order here.
  return `cluster.local in-addr.arpa ip6.arpa {
  bind ${network.nodeAddress}
  errors
  ready ${network.nodeAddress}:8181
  kubernetes {
    kubeconfig ${kubeconfigFile(folder, 'dns')}
    pods insecure
    ttl 1
  }
  loadbalance
}
. {
  bind ${network.nodeAddress}
  errors
  template ANY ANY {
    rcode NXDOMAIN
  }
}
`;
}

export function containerdCommand(folder: string): PartCommand {
  return { part: 'containerd', file: 'containerd', args: ['--config', `${folder}/containerd.toml`] };
}

export function kubeletCommand(folder: string, index: number, programs: RealNodePaths): PartCommand {
  return {
    part: 'kubelet',
    file: programs.kubelet,
    args: [
      `--config=${folder}/kubelet.json`,
      `--kubeconfig=${kubeconfigFile(folder, 'node')}`,
      `--cert-dir=${folder}/kubelet-pki`,
      '--root-dir=/var/lib/kubelet',
      `--hostname-override=${realNodeName}`,
      `--node-ip=${nodeNetwork(index).nodeAddress}`,
    ],
  };
}

export function proxyCommand(folder: string, index: number, programs: RealNodePaths): PartCommand {
  const { nodeAddress, podRange } = nodeNetwork(index);
  const leaveConntrackAlone = [
    '--conntrack-max-per-core=0',
    '--conntrack-min=0',
    '--conntrack-tcp-timeout-established=0s',
    '--conntrack-tcp-timeout-close-wait=0s',
  ];
  return {
    part: 'kube-proxy',
    file: programs['kube-proxy'],
    args: [
      `--kubeconfig=${kubeconfigFile(folder, 'proxy')}`,
      '--proxy-mode=iptables',
      '--iptables-min-sync-period=100ms',
      `--hostname-override=${realNodeName}`,
      `--cluster-cidr=${podRange}`,
      '--metrics-bind-address=127.0.0.1:10249',
      `--healthz-bind-address=${nodeAddress}:10256`,
      ...leaveConntrackAlone,
    ],
  };
}

export function dnsCommand(folder: string, programs: RealNodePaths): PartCommand {
  return { part: 'coredns', file: programs.coredns, args: ['-conf', `${folder}/Corefile`] };
}

/** Imports an archive (of `docker save` or OCI) into the node and returns the names of its images. */
export async function importImages(folder: string, archive: string, signal?: AbortSignal): Promise<string[]> {
  const init = initProcess(folder);
  if (init === undefined) throw new Error('The real node does not run.');
  const ctr = ['nsenter', ...enterFlags(init), '--', 'ctr', '--namespace=k8s.io'];
  // The node may see a different file system at the path of the archive, so the archive goes through a pipe.
  const script = 'file=$1; shift; exec "$@" - <"$file"';
  const result = await command(
    'sh',
    ['-c', script, 'sh', archive, ...ctr, 'images', 'import'],
    signal ? { signal } : {},
  );
  if (result.code !== 0) {
    throw new Error(`${archive} cannot be imported into the real node: ${`${result.stdout}${result.stderr}`.trim()}`);
  }
  return [...result.stdout.matchAll(/^unpacking (\S+)/gm)].map(([, name = '']) => name);
}

export async function waitForContainerd(init: number, signal: AbortSignal): Promise<void> {
  await waitFor(
    'containerd of the real node to answer',
    async () => (await command('nsenter', [...enterFlags(init), '--', 'ctr', 'version'])).code === 0,
    { signal, timeoutSeconds: 30, intervalMilliseconds: 100 },
  );
}

/** Tests if root may create namespaces. Returns the error message, or undefined if root may. */
export async function canHaveNamespaces(): Promise<string | undefined> {
  const tried = await command('unshare', ['--mount', '--net', '--pid', '--fork', '--mount-proc', 'true']).catch(
    (error: unknown) => ({ code: 1, stdout: '', stderr: String(error) }),
  );
  return tried.code === 0 ? undefined : tried.stderr.trim();
}
