import { extensionProblems, fileProblems, sizeProblems } from './packageRules';
import { packagedTasks } from './packageUnderCheck';
import type { CheckContext } from './packageUnderCheck';
import { billProblems } from './softwareBill';
import { taskProblems } from './taskRules';
import { readVsix } from './vsix';
import type { Parts } from './vsix';

/**
 * All problems of a package, one sentence each with the name of the file. The list is empty for a package that may be
 * published. Pure: facts about the source come from `context`.
 */
export function packageProblems(vsix: Uint8Array, context: CheckContext): string[] {
  return [...partsProblems(readVsix(vsix), context), ...sizeProblems(vsix.length)];
}

/** Like `packageProblems`, but without the check of the whole size. */
export function partsProblems(parts: Parts, context: CheckContext): string[] {
  const { tasks, problems } = packagedTasks(parts);
  return [
    ...problems,
    ...(tasks.length === 0 ? ['the package holds no task'] : []),
    ...taskProblems(tasks, parts, context),
    ...extensionProblems(tasks, parts, context),
    ...fileProblems(parts, context),
    ...billProblems(parts),
  ];
}
