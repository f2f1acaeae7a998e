import { pathText } from '../../kubernetes/fieldPath';
import { hookObject, objectName } from '../../kubernetes/manifest';
import type { Hook, Revision } from '../../release/release';
import { canonicalJson, comparable } from '../model/comparable';
import { finding, type PlanFinding } from '../model/findings';
import { hidden } from './hiddenSecrets';
import { placed, pluralOf } from '../model/places';
import type { PlannedHook, ReleasePlanInputs } from '../model/types';
import { withoutGenerated } from './generated';

const rollbackEvents = ['pre-rollback', 'post-rollback'];
const upgradeEvents = ['pre-upgrade', 'post-upgrade'];

type HookInputs = Pick<ReleasePlanInputs, 'namespace' | 'served' | 'sha256' | 'deploy'>;

/** A deploy that changes nothing runs no hooks. */
export function deployHooks(target: Revision, inputs: HookInputs, isUnchanged: boolean): PlannedHook[] {
  const reason = isUnchanged ? 'nothing changes, so a healthy release gets no new revision' : '';
  return hooksFor(target, inputs.deploy?.hookEvents ?? [], inputs, reason);
}

/** Includes hooks that a person might expect but that do not run. */
export function plannedHooks(target: Revision, present: Revision | undefined, inputs: HookInputs): PlannedHook[] {
  const running = hooksFor(target, rollbackEvents, inputs, '');
  const known = new Set(running.map(nameOf));
  const missed =
    present === undefined
      ? []
      : hooksFor(
          present,
          rollbackEvents,
          inputs,
          `only revision ${present.revision} has it, and Helm takes the hooks of a rollback from the target`,
        ).filter((hook) => !known.has(nameOf(hook)));
  const upgrades = hooksFor(target, upgradeEvents, inputs, 'a rollback runs no upgrade hooks');
  return [...running, ...missed, ...upgrades];
}

function nameOf({ kind, name, event }: PlannedHook): string {
  return `${event} ${kind}/${name}`;
}

function hooksFor(revision: Revision, events: readonly string[], inputs: HookInputs, reason: string): PlannedHook[] {
  return events.flatMap((event) =>
    revision.hooks
      .filter((hook) => hook.events.includes(event))
      .map((hook) => ({
        ...placeOf(hook, inputs),
        event,
        revision: revision.revision,
        willRun: reason === '',
        reason,
      })),
  );
}

type Place = Pick<
  PlannedHook,
  'apiVersion' | 'kind' | 'resource' | 'namespace' | 'name' | 'generated' | 'contentDigest'
>;

function placeOf({ kind, name, manifest }: Hook, { namespace, served, sha256, deploy }: HookInputs): Place {
  const object = hookObject(manifest);
  if (object === undefined) {
    return {
      apiVersion: '',
      kind,
      resource: '',
      namespace,
      name,
      generated: [],
      contentDigest: sha256(manifest ?? ''),
    };
  }
  const { key, ref } = placed(object, namespace, served);
  const generated = deploy?.generated.hooks.get(key) ?? [];
  const lasting = withoutGenerated(comparable(object, false), generated);
  return {
    apiVersion: ref.apiVersion,
    kind,
    resource: pluralOf(ref, served),
    namespace: ref.namespace ?? '',
    name,
    generated: generated.map(pathText),
    contentDigest: sha256(canonicalJson(hidden({ target: lasting }).target)),
  };
}

export function hookFindings(hooks: readonly PlannedHook[]): PlanFinding[] {
  const running = hooks.filter(({ willRun }) => willRun);
  if (running.length === 0) return [];
  const names = running.map((hook) => `${objectName(hook)} (${hook.event})`).join(', ');
  return [finding('HooksNotRehearsed', `These hooks run and could not be rehearsed: ${names}.`)];
}
