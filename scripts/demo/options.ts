import { parseArgs } from 'node:util';

export const usage = `Usage: npm run demo [-- OPTIONS]

Deploys a sample application with HelmSafeDeploy, then a version of it that never gets ready, while a client keeps asking
for the first one. Ends with exit code 0 if the second deploy was rolled back and the client noticed nothing.

Without options, on a cluster that it starts on this machine (npm run cluster -- down ends it):
  --cluster NAME     another one than "default"
  --no-node          without a real node: pods are simulated, and no client can ask them

On a cluster of yours, in a namespace of its own:
  --kubeconfig FILE  its current context is used
  --yes              do not ask, though the cluster is not on this machine
  --image IMAGE      any web server that the cluster can pull [${defaultImage().image}]
  --port PORT        where that web server listens, and answers GET / with 200 [${defaultImage().port}]

On either:
  --helm FILE        the Helm to use [Helm 4 of the cluster on this machine; with --kubeconfig: helm on PATH]
  --keep             leave the namespace as it is at the end, to look around
  --help`;

/** A small public web server that needs no account and no configuration, and is made for test deployments. */
export function defaultImage(): { image: string; port: number } {
  return { image: 'ghcr.io/stefanprodan/podinfo:6.7.1', port: 9898 };
}

/** A mistake in the command line. It is shown with the usage and without a stack. */
export class UsageError extends Error {}

interface CommonOptions {
  readonly helm: string | undefined;
  readonly keep: boolean;
}

export interface OwnClusterOptions extends CommonOptions {
  readonly where: 'own cluster';
  readonly kubeconfig: string;
  readonly yes: boolean;
  readonly image: string;
  readonly port: number;
}

export interface EmbeddedClusterOptions extends CommonOptions {
  readonly where: 'embedded cluster';
  readonly cluster: string;
  readonly realNode: boolean;
}

export type DemoOptions = OwnClusterOptions | EmbeddedClusterOptions;

/** Throws UsageError for invalid arguments. Returns undefined if only help is requested. */
export function demoOptions(args: readonly string[]): DemoOptions | undefined {
  const values = parsed(args);
  if (values.help === true) return undefined;
  const common = { helm: values.helm, keep: values.keep ?? false };
  const foreign = values.kubeconfig === undefined ? ownOnly : embeddedOnly;
  const misplaced = foreign.filter((name) => values[name] !== undefined);
  if (misplaced.length > 0) {
    const when = values.kubeconfig === undefined ? 'only together with --kubeconfig' : 'not together with --kubeconfig';
    throw new UsageError(`--${misplaced.join(', --')}: ${when}.`);
  }
  if (values.kubeconfig === undefined) {
    return {
      where: 'embedded cluster',
      cluster: values.cluster ?? 'default',
      realNode: values['no-node'] !== true,
      ...common,
    };
  }
  const { image, port } = defaultImage();
  if (values.image !== undefined && values.port === undefined) {
    throw new UsageError('--image needs --port: where does that web server listen?');
  }
  return {
    where: 'own cluster',
    kubeconfig: values.kubeconfig,
    yes: values.yes ?? false,
    image: values.image ?? image,
    port: values.port === undefined ? port : portNumber(values.port),
    ...common,
  };
}

const ownOnly = ['yes', 'image', 'port'] as const;
const embeddedOnly = ['cluster', 'no-node'] as const;

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        kubeconfig: { type: 'string' },
        helm: { type: 'string' },
        image: { type: 'string' },
        port: { type: 'string' },
        cluster: { type: 'string' },
        'no-node': { type: 'boolean' },
        keep: { type: 'boolean' },
        yes: { type: 'boolean', short: 'y' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function portNumber(text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new UsageError(`--port is "${text}"; a number from 1 to 65535 is expected.`);
}
