/** The results of a step or a job, in the agent's order from best to worst. */
export const taskResults = ['Succeeded', 'SucceededWithIssues', 'Failed', 'Canceled', 'Skipped', 'Abandoned'] as const;

export type TaskResult = (typeof taskResults)[number];

/** Only exact names count. The agent does not know `Cancelled` or `succeeded`. */
export function isTaskResult(text: string): text is TaskResult {
  return taskResults.some((result) => result === text);
}

/** The worse of two results. A step that is Canceled, Skipped or Abandoned stays so. */
export function worstResult(current: TaskResult | undefined, coming: TaskResult): TaskResult {
  if (current === undefined) return coming;
  const rank = taskResults.indexOf(current);
  if (rank > taskResults.indexOf('Failed')) return current;
  return taskResults.indexOf(coming) >= rank ? coming : current;
}
