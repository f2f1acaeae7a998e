import { extensionProblems, fileProblems, sizeProblems } from './packageRules';
import { packagedTasks } from './packageUnderCheck';
import type { CheckContext } from './packageUnderCheck';
import { taskProblems } from './taskRules';
import { readVsix } from './vsix';
import type { Parts } from './vsix';

/**
 * Everything that is wrong with a package, one sentence each, naming the file; an empty list for a package that may be published.
 * Pure: what it has to know about the source comes with `context`.
 */
export function packageProblems(vsix: Uint8Array, context: CheckContext): string[] {
  return [...partsProblems(readVsix(vsix), context), ...sizeProblems(vsix.length)];
}

/** As `packageProblems`, but for the size of the whole. */
export function partsProblems(parts: Parts, context: CheckContext): string[] {
  const { tasks, problems } = packagedTasks(parts);
  return [
    ...problems,
    ...(tasks.length === 0 ? ['the package holds no task'] : []),
    ...taskProblems(tasks, parts, context),
    ...extensionProblems(tasks, parts, context),
    ...fileProblems(parts, context),
  ];
}
