import type { Revision } from '../../core/release/release';
import type { ReportedPhase } from '../../core/report/report';

/** Helm notes whole seconds in some versions. */
const toleranceMs = 1000;

/** The hooks and tests that Helm has run since a moment, as its records of the release tell it. */
export function hookRuns(history: readonly Revision[], since: Date): ReportedPhase[] {
  const runs = history.flatMap(({ hooks }) =>
    hooks.flatMap(({ kind, name, events, lastPhase, startedAt, completedAt }): ReportedPhase[] => {
      if (startedAt === undefined || Date.parse(startedAt) < since.getTime() - toleranceMs) return [];
      const start = new Date(startedAt).toISOString();
      const end = completedAt === undefined ? start : new Date(completedAt).toISOString();
      const title = `${kind}/${name} (${events.join(', ')})`;
      return [{ kind: 'hook', name: title, result: lastPhase, startedAt: start, finishedAt: end }];
    }),
  );
  // A record that Helm has copied for a rollback tells of the same run once more.
  return [...new Map(runs.map((run) => [`${run.name} ${run.startedAt}`, run])).values()];
}

/** The field of a report. Hooks come after the parts of the step. */
export function phasesOf(
  phases: readonly ReportedPhase[] = [],
  hooks: readonly ReportedPhase[] = [],
): { phases?: readonly ReportedPhase[] } {
  const all = [...phases, ...hooks];
  return all.length === 0 ? {} : { phases: all };
}
