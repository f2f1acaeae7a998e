import { hookEnding, endingOfHelm } from '../../core/report/helmEnding';
import { endingFor, sentence, type Ending } from '../../core/report/ending';
import { objectName } from '../../core/kubernetes/manifest';
import type { HelmResult } from '../../core/ports';
import type { Hook, Revision } from '../../core/release/release';
import { isTestEvent, testPhases, testsToRun, unknownTests, type TestPhases } from '../../core/release/tests';
import type { Rendering } from '../../core/release/unchanged';
import { stopIfCancelled, type DeployContext } from '../../core/releaseContext';
import type { Cause } from '../../core/rollout/model';
import { TaskError } from '../../core/failure';
import { counted } from '../../core/text/counted';
import { someNames } from '../../core/text/someNames';
import type { SmokeTestRequest } from '../../core/inputs/smokeTestRequest';
import { hookRef, showHookEvidence, whileHooksRun, type HookEvidence } from '../rollout/hookLogs';
import type { DeployProgress } from '../release/deployProgress';
import { group, remindingWhile } from '../steps/phase';
import { inPhase, removeHopeless } from './failedDeploy';
import { cancelledWith } from './uninstall';

/** Tests of the chart (`helm test`) that did not pass. */
export interface FailedTests {
  ending: Ending;
  causes: readonly Cause[];
  hooks: HookEvidence;
}

/** Throws if the filter names a test that the chart does not have: Helm would run nothing, and succeed. */
export function checkTestNames({ request }: DeployContext, { hooks }: Rendering): void {
  const filter = request.smokeTest?.filter ?? [];
  const unknown = unknownTests(hooks, filter);
  if (unknown.length === 0) return;
  const known = testsToRun(hooks, []).map(({ name }) => name);
  const has = known.length === 0 ? 'no tests' : `the tests ${someNames(known, 10)}`;
  throw new TaskError(
    'InputInvalid',
    `Input smokeTestFilter names ${someNames(unknown, 10)}, and the chart has ${has}. Nothing was changed.`,
  );
}

/**
 * Runs the tests of a revision that is ready, if the inputs ask for them. Returns undefined if they have passed, or if
 * there are none. A cancelled run gives an ending too.
 */
export async function smokeTest(
  context: DeployContext,
  progress: DeployProgress,
  revision: Revision,
): Promise<FailedTests | undefined> {
  const asked = context.request.smokeTest;
  if (asked === undefined) return undefined;
  const tests = testsToRun(revision.hooks, asked.filter);
  if (tests.length === 0) {
    context.agent.log('The chart has no tests to run (helm test), so smokeTest checks nothing.');
    return undefined;
  }
  return inPhase(context, progress, 'Run the tests of the chart (helm test)', () =>
    runTests(context, progress, tests, asked),
  );
}

async function runTests(
  context: DeployContext,
  progress: DeployProgress,
  tests: readonly Hook[],
  { timeoutSeconds, filter }: SmokeTestRequest,
): Promise<FailedTests | undefined> {
  const { agent, helm, lease, signal } = context;
  const wish = { timeoutSeconds, filter, lost: lease.lost };
  stopIfCancelled(signal);
  agent.log(`Helm runs ${counted(tests.length, 'test', 'tests')}: ${someNames(tests.map(objectName), 10)}.`);
  const events = tests.flatMap((test) => test.events.filter(isTestEvent));
  const { result, hooks } = await whileHooksRun(context, tests, events, (hopeless) =>
    stoppedWhen(context, hopeless, (stop) => remindingWhile(context, helm.test(wish, AbortSignal.any([signal, stop])))),
  );
  const phases = testPhases(result.stdout);
  progress.tests = tests.map(({ kind, name }) => ({ kind, name, result: phases.get(name) ?? '' }));
  if (result.ok) {
    agent.log(
      `The chart passed ${counted(tests.length, 'test', 'tests')} in ${(result.durationMs / 1000).toFixed(1)} s.`,
    );
    return undefined;
  }
  return judgeTests(context, { tests, phases, result, hooks });
}

/** Helm sees a test that has ended by itself. Stopped, it would neither note the end nor apply the delete policy. */
const helmSeesWithinMs = 3_000;

async function stoppedWhen(
  { agent, clock }: DeployContext,
  hopeless: AbortSignal,
  run: (stop: AbortSignal) => Promise<HelmResult>,
): Promise<HelmResult> {
  const stop = new AbortController();
  const ended = new AbortController();
  const giveUp = async (): Promise<void> => {
    await clock.sleep(helmSeesWithinMs, ended.signal);
    if (ended.signal.aborted) return;
    agent.log('  This test can no longer succeed, so Helm is stopped.');
    stop.abort();
  };
  hopeless.addEventListener('abort', () => void giveUp(), { once: true });
  try {
    return await run(stop.signal);
  } finally {
    ended.abort();
  }
}

interface TestRun {
  tests: readonly Hook[];
  phases: TestPhases;
  result: HelmResult;
  hooks: HookEvidence;
}

async function judgeTests(context: DeployContext, { tests, phases, result, hooks }: TestRun): Promise<FailedTests> {
  if (context.signal.aborted) {
    return { ending: cancelledWith('The tests of the chart had not ended.'), causes: [], hooks };
  }
  const failure = result.failure ?? { reason: 'HelmFailed', message: 'Helm did not say why.' };
  const { hook, causes } = await blamedTest(tests, phases, hooks);
  const ending = ofTests(
    hookEnding({ failure, hopeless: hooks.hopeless, hook, cause: causes[0] }) ?? endingOfHelm(failure, ''),
  );
  const [cause] = causes;
  if (failure.reason !== 'TimedOut' || hook === undefined || cause === undefined) return { ending, causes, hooks };
  // Helm leaves a test running whose time is over.
  const hopeless = hooks.hopeless ?? { ref: hookRef(context, hook), cause };
  return { ending, causes, hooks: { ...hooks, hopeless } };
}

/** The test that Helm calls failed. A Helm that was stopped says nothing, so then the objects decide. */
async function blamedTest(
  tests: readonly Hook[],
  phases: TestPhases,
  hooks: HookEvidence,
): Promise<{ hook: Hook | undefined; causes: readonly Cause[] }> {
  const stopped = hooks.hopeless?.ref;
  const named =
    tests.find(({ kind, name }) => kind === stopped?.kind && name === stopped.name) ??
    tests.find(({ name }) => phases.get(name) === 'Failed');
  if (named !== undefined) return { hook: named, causes: await hooks.causesOf(named) };
  // Tests run one after the other, so those before the first one with a cause have passed.
  for (const hook of tests) {
    const causes = await hooks.causesOf(hook);
    if (causes.length > 0) return { hook, causes };
  }
  return { hook: undefined, causes: [] };
}

function ofTests(ending: Ending): Ending {
  const message = `A test of the chart failed: ${ending.message}`;
  if (ending.reason === 'HookFailed') return endingFor('failed', 'SmokeTestFailed', message, ending.failedWorkload);
  if (ending.reason !== 'TimedOut') return { ...ending, message };
  const advice = 'Raise smokeTestTimeout if the test was merely slow; its log above shows how far it came.';
  return { ...ending, message: `The tests of the chart had not ended in time: ${ending.message}`, advice };
}

/** Tests the serving revision, which this run did not change. A failure rolls nothing back. */
export async function smokeTestUnchanged(
  context: DeployContext,
  progress: DeployProgress,
  revision: Revision,
): Promise<Ending | undefined> {
  const failed = await smokeTest(context, progress, revision);
  if (failed === undefined) return undefined;
  const { ending, hooks } = failed;
  if (context.signal.aborted) return ending;
  progress.found = ending;
  await group(context, 'Why it failed', () => showHookEvidence(context, progress, hooks));
  await removeHopeless(context, revision, hooks);
  const message = `${sentence(ending.message)} This step has changed nothing, so nothing is rolled back.`;
  return { ...ending, message };
}
