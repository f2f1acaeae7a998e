import { constants } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import {
  clusterNames,
  type ClusterDescription,
  down,
  killKubelet,
  load,
  startApiServer,
  startKubelet,
  status,
  stopApiServer,
  up,
} from './cluster';

/*
 * The embedded cluster: a real Kubernetes on this machine, without Docker. Only the nodes of kwok are simulated.
 *
 * Its programs are pinned in pins.ts and in the go.sum of each folder in go/. They are built once, into
 * ~/.cache/helm-safe-deploy/tools (or XDG_CACHE_HOME), in about 10 minutes. After that a start takes seconds. The
 * state, logs and audit log of a cluster are in ~/.cache/helm-safe-deploy/clusters/NAME. The command "down" removes
 * that folder.
 *
 * As root on Linux the cluster has a real node. Then the whole cluster lives in its own network, mount and process
 * namespace, joined to the machine by one pair of virtual interfaces, hsdN. The machine reaches the API server, pods,
 * Services and node ports by their addresses: the node has 10.244.255.(4N+1), this machine's end 10.244.255.(4N+2),
 * pods 10.244.N.0/24, Services 10.97.4N.0/22. Pods reach the API server, each other, and this machine. They reach
 * nothing else, so no image is ever pulled. Up to 64 such clusters run side by side and share nothing, not even
 * iptables. The command "down" kills the init process of the namespaces, and the kernel then ends every process in
 * them.
 *
 * Without a real node the parts listen on free ports of 127.0.0.1, and pods run only on kwok's nodes. These nodes are
 * tainted: a pod needs a toleration and the node selector type=kwok to run there.
 *
 * Each process has the state folder of its cluster in its environment and is found by that. So the next "up" or "down"
 * also removes processes that a killed "up" left behind. Behind a proxy, add the address of the API server to NO_PROXY.
 */

const usage = `Usage: npm run cluster -- up     [--name NAME] [--json] [--no-node] [--kwok-nodes N]
       npm run cluster -- down   [--name NAME | --all]
       npm run cluster -- status [--name NAME] [--json]
       npm run cluster -- load FILE.tar [--name NAME] [--json]
       npm run cluster -- stop-api-server | start-api-server | kill-kubelet | start-kubelet  [--name NAME]`;

/** A mistake in the command line. It is shown with the usage and without a stack. */
class UsageError extends Error {}

interface Options {
  readonly name: string;
  readonly json: boolean;
  readonly all: boolean;
  readonly realNode: boolean;
  readonly kwokNodes: number;
  readonly dns: boolean;
  readonly verb: string;
  readonly operands: readonly string[];
}

function parse(args: readonly string[]): Options {
  const { values, positionals } = parseArguments(args);
  const [verb = '', ...operands] = positionals;
  const kwokNodes = Number(values['kwok-nodes'] ?? '2');
  if (!Number.isInteger(kwokNodes) || kwokNodes < 0 || kwokNodes > 1000) {
    throw new UsageError(`--kwok-nodes is "${values['kwok-nodes'] ?? ''}"; a number from 0 to 1000 is expected.`);
  }
  if (verb !== 'load' && operands.length > 0) throw new UsageError(`"${operands.join(' ')}" is not understood.`);
  return {
    name: values.name ?? 'default',
    json: values.json ?? false,
    all: values.all ?? false,
    realNode: !values['no-node'],
    kwokNodes,
    dns: true,
    verb,
    operands,
  };
}

function parseArguments(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        name: { type: 'string' },
        json: { type: 'boolean' },
        all: { type: 'boolean' },
        'no-node': { type: 'boolean' },
        'kwok-nodes': { type: 'string' },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function log(line: string): void {
  process.stderr.write(`${line}\n`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function run(options: Options, signal: AbortSignal): Promise<void> {
  switch (options.verb) {
    case 'up':
      return runUp(options, signal);
    case 'down':
      return runDown(options, signal);
    case 'status':
      runStatus(options);
      return;
    case 'load':
      return runLoad(options);
    case 'stop-api-server':
      return stopApiServer(options.name);
    case 'start-api-server':
      return startApiServer(options.name);
    case 'kill-kubelet':
      return killKubelet(options.name);
    case 'start-kubelet':
      return startKubelet(options.name);
    default:
      throw new UsageError(options.verb === '' ? 'A command is missing.' : `There is no command "${options.verb}".`);
  }
}

async function runUp(options: Options, signal: AbortSignal): Promise<void> {
  const started = Date.now();
  const description = await up({ ...options, log, signal });
  log(`The cluster ${options.name} is ready after ${((Date.now() - started) / 1000).toFixed(1)} s.`);
  print(options.json ? JSON.stringify(description) : forPeople(description));
}

function forPeople(description: ClusterDescription): string {
  const nodes = description.nodes.map(({ name, kind }) => `${name} (${kind})`).join(', ');
  return [
    `Kubernetes ${description.kubernetesVersion}; nodes: ${nodes || 'none'}`,
    `Images on the real node: ${Object.values(description.images).join(', ') || 'none'}`,
    `export KUBECONFIG=${description.kubeconfig}`,
    `export PATH=${path.dirname(description.kubectl)}:${path.dirname(description.helm4)}:$PATH`,
  ].join('\n');
}

async function runDown(options: Options, signal: AbortSignal): Promise<void> {
  for (const name of options.all ? clusterNames() : [options.name]) await down(name, log, signal);
}

function runStatus(options: Options): void {
  const found = status(options.name);
  if (options.json) print(JSON.stringify(found));
  switch (found.kind) {
    case 'absent':
      log(`There is no cluster ${options.name}.`);
      process.exitCode = 1;
      return;
    case 'incomplete':
      log(`The cluster ${options.name} is being brought up, or was left incomplete; "up" or "down" tidies up.`);
      process.exitCode = 1;
      return;
    case 'present':
      if (!options.json) {
        for (const { part, running } of found.parts) print(`${part}: ${running ? 'running' : 'stopped'}`);
        print(forPeople(found.description));
      }
      if (found.parts.some(({ running }) => !running)) process.exitCode = 1;
  }
}

async function runLoad(options: Options): Promise<void> {
  const [archive, ...others] = options.operands;
  if (archive === undefined || others.length > 0) throw new UsageError('load takes exactly one image archive.');
  // npm runs scripts in the folder of the package, but a relative path refers to the caller's folder.
  const names = await load(options.name, path.resolve(process.env.INIT_CWD ?? '', archive));
  print(options.json ? JSON.stringify({ images: names }) : names.join('\n'));
}

async function main(): Promise<void> {
  const interruption = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (interruption.signal.aborted) return;
      log(`${signal}: stopping and tidying up`);
      process.exitCode = 128 + constants.signals[signal];
      interruption.abort();
    });
  }
  try {
    await run(parse(process.argv.slice(2)), interruption.signal);
  } catch (error) {
    if (interruption.signal.aborted && isAbort(error)) return;
    process.exitCode ??= 1;
    log(withCauses(error));
    if (error instanceof UsageError) log(usage);
  }
}

function withCauses(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}\nbecause: ${withCauses(error.cause)}`;
}

/** Returns true if an interruption caused the error. Errors during the cleanup are different and are shown. */
function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

await main();
