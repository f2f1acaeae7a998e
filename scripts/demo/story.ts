import { setTimeout as delay } from 'node:timers/promises';
import type { AgentLogLine, Job } from '../../test/support/agent';
import { repository } from '../build';
import { succeed } from '../cluster/command';
import { packageExtension } from '../package/index';
import { askDirectly, requestTimeoutMs, startClient, type Ask, type Client, type ClientFigures } from './client';
import { isLocalServer, localAddresses } from './locality';
import { createNamespace, namespaceReady, removeNamespace } from './namespace';
import type { DemoOptions } from './options';
import { createPipeline, releaseName, type Pipeline } from './pipeline';
import { openPlace, type Place } from './place';
import type { Screen } from './screen';
import { throughApiServer } from './throughApiServer';
import { checks, type HistoryLine, type StepEnd } from './verdict';
import { watchService, type ReplicaFigures, type ServiceWatch } from './watch';

export interface DemoContext {
  readonly screen: Screen;
  readonly namespace: string;
  /** Stores the package while the demo runs, and returns its path. */
  readonly writeVsix: (name: string, content: Uint8Array) => Promise<string>;
  readonly signal: AbortSignal;
}

/** The demo aims at 25 and promises 20. */
const requestsPerSecond = 25;
/** How long the client continues after the end of the pipeline, because requests may fail at the end of a rollback. */
const afterwardsMs = 3000;

/** Runs the demo. Resolves with true if it kept all its promises. Rejects if it cannot run. */
export async function runDemo(options: DemoOptions, context: DemoContext): Promise<boolean> {
  const { screen, signal, namespace } = context;
  screen.part('A cluster');
  const place = await openPlace(options, screen, signal);
  try {
    screen.say(placeSentence(place));
    screen.part('The extension, packaged as for the Marketplace');
    const vsix = await packaged(context);
    signal.throwIfAborted();
    await createNamespace(place.cluster, namespace);
    try {
      await namespaceReady(place.cluster, namespace, signal);
      return await play(context, place, vsix);
    } finally {
      await tidyUp(options, context, place);
    }
  } finally {
    place.cluster.close();
  }
}

function placeSentence(place: Place): string {
  const { server } = place.cluster;
  switch (place.kind) {
    case 'real node':
      return `The demo runs its own Kubernetes on this machine, with a real node: containers, probes and Services are real. It keeps running for the next demo; «npm run cluster -- down» ends it.`;
    case 'simulated nodes':
      return `The demo runs its own Kubernetes on this machine, but kwok simulates its nodes: pods get ready without a container, so a client would get no answer. The real node needs Linux and root.`;
    case 'own cluster':
      return `The demo uses your cluster at ${server}, in a namespace of its own.`;
  }
}

async function packaged({ screen, writeVsix }: DemoContext): Promise<string> {
  const content = await packageExtension(repository);
  const file = await writeVsix('helm-safe-deploy.vsix', content);
  screen.say(
    `${Math.ceil(content.length / 1024)} KiB, with the task HelmSafeDeploy@1. A stand-in for the Azure Pipelines agent unpacks it and runs a pipeline step with it, as the real agent does.`,
  );
  return file;
}

interface Watched {
  readonly replicas: ReplicaFigures;
  readonly client: ClientFigures | undefined;
}

async function play(context: DemoContext, place: Place, vsix: string): Promise<boolean> {
  const { screen, namespace } = context;
  let print: (line: AgentLogLine) => void = () => undefined;
  const pipeline = await createPipeline(vsix, place, namespace, (line) => {
    print(line);
  });
  const run = (timeout: string): Promise<StepEnd> => {
    print = screen.logPrinter();
    return runStep(pipeline, timeout, context.signal);
  };
  try {
    screen.part('Version 1 is deployed');
    screen.say('The pipeline has one step. Its author wrote:');
    screen.block(pipeline.yaml(place.timeouts.good));
    screen.say('This is the log of its run:');
    const good = await run(place.timeouts.good);
    context.signal.throwIfAborted();
    if (good.result !== 'Succeeded') return await report(context, place, { good, bad: nothing, watched: unwatched });

    screen.part('Version 2 never gets ready');
    const { bad, watched } = await whileWatched(context, place, async () => {
      screen.say(`The next commit creates version 2 of the application, with a mistake: ${place.mistakeSentence}`);
      await pipeline.edit({ file: 'shop/Chart.yaml', from: '1.0.0', to: '2.0.0' });
      await pipeline.edit(place.mistake);
      return run(place.timeouts.bad);
    });
    context.signal.throwIfAborted();
    return await report(context, place, { good, bad, watched });
  } finally {
    pipeline.dispose();
  }
}

const nothing: StepEnd = { result: 'not run', outputs: {} };
const closingSentence = (isAsked: boolean): string =>
  `All checks hold: the pipeline is red, its log says why, and ${isAsked ? 'the client of the application noticed nothing' : 'version 1 still serves'}.`;
const unwatched: Watched = { replicas: { wanted: 0, allowed: 0, lowestReady: 0 }, client: undefined };

/** Runs the step. An interruption cancels the job, as a user of the pipeline would, and lets the job clean up. */
async function runStep(pipeline: Pipeline, timeout: string, signal: AbortSignal): Promise<StepEnd> {
  const { job, end } = pipeline.start(timeout);
  const cancel = (): void => {
    cancelOnce(job);
  };
  signal.addEventListener('abort', cancel, { once: true });
  try {
    return await end;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

function cancelOnce(job: Job): void {
  job.cancel();
}

/** Runs the step while a client sends requests to the Service's endpoints, from before the step until after it. */
async function whileWatched(
  context: DemoContext,
  place: Place,
  step: () => Promise<StepEnd>,
): Promise<{ bad: StepEnd; watched: Watched }> {
  const watch = await watchService(place.cluster, context.namespace, releaseName);
  const started = await startAsking(context, place, watch);
  try {
    watch.startCounting();
    const bad = await step();
    await delay(afterwardsMs, undefined, { signal: context.signal });
    const client = await started?.client.stop();
    return { bad, watched: { replicas: watch.replicas(), client } };
  } finally {
    await started?.client.stop();
    started?.close();
    watch.stop();
  }
}

interface Asking {
  readonly client: Client;
  readonly close: () => void;
}

async function startAsking(context: DemoContext, place: Place, watch: ServiceWatch): Promise<Asking | undefined> {
  const { screen, namespace, signal } = context;
  await watch.complete(30_000);
  if (place.kind === 'simulated nodes') {
    screen.say('Simulated pods do not answer requests, so the demo only counts them.');
    return undefined;
  }
  const { ask, way, close } = await wayToPods(place, namespace, watch);
  const client = startClient(() => watch.endpoints(), ask, requestsPerSecond);
  // The first answers must belong to the time before version 2.
  await delay(2000, undefined, { signal });
  const pods = watch.endpoints().map(({ address, port }) => `${address}:${port}`);
  screen.say(
    `From now on a client sends ${requestsPerSecond} requests a second to the current endpoints of Service/${releaseName} (${pods.join(', ')}), ${way}. An answer that takes longer than ${requestTimeoutMs / 1000} s counts as failed. ${client.figures().requests} requests so far, ${client.figures().failed} failed.`,
  );
  return { client, close };
}

async function wayToPods(
  place: Place,
  namespace: string,
  watch: ServiceWatch,
): Promise<{ ask: Ask; way: string; close: () => void }> {
  const direct = { ask: askDirectly, way: 'each time over a new connection', close: () => undefined };
  if (place.kind === 'real node') return direct;
  // In a different network the pod's address may belong to another machine.
  const [first] = watch.endpoints();
  if (first !== undefined && isLocalServer(place.cluster.server, localAddresses())) {
    const status = await askDirectly(first).catch(() => 0);
    if (status >= 200 && status <= 299) return direct;
  }
  const through = throughApiServer(place.kubeconfig, namespace);
  return { ...through, way: 'through the API server, because this machine cannot reach the addresses of the pods' };
}

async function report(
  context: DemoContext,
  place: Place,
  { good, bad, watched }: { good: StepEnd; bad: StepEnd; watched: Watched },
): Promise<boolean> {
  const { screen, namespace } = context;
  screen.part('The result');
  const args = ['history', releaseName, '--namespace', namespace, '--kubeconfig', place.kubeconfig];
  screen.say('The history of the release, as Helm shows it:');
  screen.block(`$ helm history ${releaseName}\n${(await succeed(place.helm, args)).replaceAll('\t', '  ')}`);
  const history = JSON.parse(await succeed(place.helm, [...args, '--output', 'json'])) as HistoryLine[];
  sayClient(screen, watched.client);
  screen.say('The checks of this demo:');
  const results = checks({ good, bad, history, ...watched });
  for (const { isTrue, text } of results) screen.check(isTrue, text);
  const isAllTrue = results.every(({ isTrue }) => isTrue);
  screen.say(isAllTrue ? closingSentence(watched.client !== undefined) : 'Some checks failed: see the lines marked ✘.');
  return isAllTrue;
}

function sayClient(screen: Screen, client: ClientFigures | undefined): void {
  if (client === undefined) return;
  const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
  const rows: readonly [string, string][] = [
    ['requests', `${client.requests}, ${client.perSecond.toFixed(1)} a second for ${client.seconds.toFixed(1)} s`],
    ['failed requests', String(client.failed)],
    ['answers', `median ${ms(client.medianMs)}, slowest ${ms(client.slowestMs)}`],
    ['longest pause', `${ms(client.longestPauseMs)} between two requests`],
    ['pods asked', client.pods.join(', ')],
  ];
  screen.say('The client, from before version 2 until after the rollback:');
  screen.block(rows.map(([name, value]) => `${name.padEnd(18)}${value}`).join('\n'));
}

async function tidyUp(options: DemoOptions, context: DemoContext, place: Place): Promise<void> {
  const { screen, namespace } = context;
  if (!options.keep) {
    await removeNamespace(place.cluster, namespace, place.kind === 'own cluster');
    screen.say(`The namespace ${namespace} was removed. The option --keep keeps it.`);
    return;
  }
  screen.say('The namespace was kept. These commands show and remove it:');
  screen.block(
    `export KUBECONFIG=${place.kubeconfig}\n${place.helm} history ${releaseName} --namespace ${namespace}\nkubectl get all --namespace ${namespace}\nkubectl delete namespace ${namespace}`,
  );
}
