import { objectName } from '../kubernetes/manifest';
import { brokenBy, brokenLabel, brokenMark } from '../release/history';
import type { Revision } from '../release/release';
import { causes, stepOf, type CauseCode } from '../rollout/causes';
import type { RolloutVerdict } from '../rollout/verdict';
import { endingFor, type Ending } from './ending';

/**
 * The failure for which a run of this task has judged the revision unhealthy, as the ending of a check that sees no
 * failure now. Undefined if the object that had failed is healthy by now. An object that is gone proves nothing: a
 * failed Job may have removed itself, and a failed hook is not among the objects of a revision.
 */
export function recordedFailure(
  revision: Revision,
  { workloads }: Pick<RolloutVerdict, 'workloads'>,
): Ending | undefined {
  const word = brokenBy(revision);
  const code = Object.keys(causes).find((each): each is CauseCode => each === word);
  if (code === undefined) return undefined;
  const mark = revision.labels[brokenLabel];
  const failed = workloads.find(({ ref }) => brokenMark(revision, code, objectName(ref)) === mark);
  if (failed?.health === 'healthy' && failed.status.reason !== 'Removed') return undefined;
  const name = failed === undefined ? '' : objectName(failed.ref);
  const message = `Revision ${revision.revision} was judged unhealthy (${code}), and nothing has changed since then that shows the opposite.`;
  return {
    ...endingFor('failed', 'Internal', message, name),
    reason: code,
    reasonGroup: causes[code].group,
    advice: stepOf(code, undefined).nextStep,
  };
}
