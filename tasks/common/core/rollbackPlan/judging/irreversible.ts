import { isOfRollback } from '../../release/history';
import { hookObject, manifestObjects, objectName } from '../../kubernetes/manifest';
import type { Hook, Revision } from '../../release/release';
import { finding, type PlanFinding } from '../model/findings';
import type { ManifestReader } from '../model/places';
import { shortened } from '../model/target';

/** An annotation of the chart or of an object. Its value says why a rollback cannot undo the revision. */
const irreversibleAnnotation = 'helm-safe-deploy/irreversible';

export interface IrreversibleMark {
  revision: number;
  /** `the chart`, or `Kind/name`. */
  where: string;
  reason: string;
}

/** A revision, or a rendering that becomes one. */
export interface Carrier {
  revision: number;
  manifest: string;
  hooks: readonly { manifest?: string }[];
  chartAnnotations?: Readonly<Record<string, string>>;
}

export function irreversibleMarks(revision: Carrier, read: ManifestReader = manifestObjects): IrreversibleMark[] {
  const objects = [...read(revision.manifest), ...revision.hooks.flatMap(({ manifest }) => hookObject(manifest) ?? [])];
  const carriers: [string, unknown][] = [
    ['the chart', revision.chartAnnotations?.[irreversibleAnnotation]],
    ...objects.map((object): [string, unknown] => [
      objectName({ kind: object.kind, name: object.metadata.name }),
      object.metadata.annotations?.[irreversibleAnnotation],
    ]),
  ];
  return carriers.flatMap(([where, value]) => {
    // A mark with an empty value counts.
    if (value === undefined || value === null || value === false || value === 'false') return [];
    return [{ revision: revision.revision, where, reason: shortened(typeof value === 'string' ? value : '') }];
  });
}

export function irreversibleSteps(
  passed: readonly Revision[],
  allowed: readonly number[],
  read?: ManifestReader,
): PlanFinding[] {
  return passed.flatMap((revision) => {
    const marks = irreversibleMarks(revision, read);
    if (marks.length === 0) return [];
    const reasons = [...new Set(marks.map(({ where, reason }) => `${where}: ${reason || 'no reason given'}`))];
    const message = `Revision ${revision.revision} was an irreversible step (${shortened(reasons.join('; '), 600)}).`;
    const way = `To roll back past it, add ${revision.revision} to allowIrreversible.`;
    return [finding('IrreversibleStep', message, { way, allowed: allowed.includes(revision.revision) })];
  });
}

const upgradeEvents = ['pre-upgrade', 'post-upgrade'];

export function possibleMigrations(passed: readonly Revision[]): PlanFinding[] {
  return passed.flatMap((revision) => {
    const jobs = revision.hooks.filter((hook) => isMigration(hook, revision));
    if (jobs.length === 0) return [];
    const names = jobs.map((hook) => `${objectName(hook)} (${migrationEvents(hook).join(', ')})`);
    const message = `Revision ${revision.revision} ran ${shortened(names.join(', '), 600)}: if that migrated data, the rollback does not migrate it back.`;
    return [finding('PossibleMigration', message)];
  });
}

/** A hook without a phase never ran, unless Helm died. The record of a rollback has copies of hooks that ran earlier. */
function isMigration(hook: Hook, revision: Revision): boolean {
  if (hook.kind !== 'Job' || migrationEvents(hook).length === 0 || isOfRollback(revision)) return false;
  return hook.lastPhase !== '' || revision.status.startsWith('pending-');
}

function migrationEvents(hook: Hook): string[] {
  return hook.events.filter((event) => upgradeEvents.includes(event));
}
