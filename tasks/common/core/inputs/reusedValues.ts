import { someNames } from '../text/someNames';
import type { DeployRequest } from './deployRequest';
import { leafPaths, type ValuePath } from './strvals';

type GivenValues = Pick<DeployRequest, 'extraArguments' | 'valueFiles' | 'secretValues' | 'values'>;

/** Helm reuses values of the last revision if a flag says so, or if the inputs give no values. */
export function reusesValues(given: GivenValues): boolean {
  return reusingFlag(given) !== undefined || (givesNone(given) && !hasFlag(given, /^--reset-values(=true)?$/));
}

function reusingFlag(given: GivenValues): string | undefined {
  return hasFlag(given, /^--(reuse-values|reset-then-reuse-values)(=true)?$/);
}

function hasFlag({ extraArguments }: GivenValues, flag: RegExp): string | undefined {
  return extraArguments.find((argument) => flag.test(argument));
}

function givesNone({ valueFiles, secretValues, values }: GivenValues): boolean {
  if (secretValues !== undefined) return false;
  const { argv, privateTexts, privateValues } = values;
  return valueFiles.length === 0 && argv.length === 0 && privateTexts.length === 0 && privateValues === undefined;
}

const mostNamed = 10;

/**
 * A sentence that names values of the new revision that this run does not give. Helm takes them from the last revision.
 * `givenPaths` is undefined if not all given values are known.
 */
export function reusedValuesSentence(
  given: GivenValues,
  givenPaths: readonly ValuePath[] | undefined,
  config: Readonly<Record<string, unknown>>,
): string | undefined {
  if (givenPaths === undefined || !reusesValues(given)) return undefined;
  const kept = leafPaths(config).filter(
    (path) => !givenPaths.some((each) => each.every((name, at) => name === path[at])),
  );
  if (kept.length === 0) return undefined;
  const names = kept.map((path) => path.join('.'));
  const why = reusingFlag(given) ?? 'it gives none';
  return (
    `Helm takes ${kept.length} value${kept.length === 1 ? '' : 's'} from the last revision that this run does not give ` +
    `(${why}): ${someNames(names, mostNamed)}. A value that was removed from the pipeline stays until --reset-values is given.`
  );
}
