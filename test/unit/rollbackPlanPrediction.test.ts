import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { RehearsedWrite } from '../../tasks/common/core/helm/rehearsal';
import { codes, helm, live, object, plan, revision, strict, verified, write } from '../support/rollbackScene';

/*
 * A simulated Helm that does the writes of a rollback by the rule in that version's isMatchingInfo. The plan's
 * prediction without a rehearsal is compared with this Helm, and so is the plan's verdict on its rehearsal.
 */

/** The fields that are compared besides name and namespace. */
const rules = {
  'v3.17.0': ({ kind }: KubeObject) => kind,
  'v3.17.1': ({ kind, apiVersion }: KubeObject) => `${group(apiVersion)} ${kind}`,
  'v3.21.4': ({ kind, apiVersion }: KubeObject) => `${group(apiVersion)} ${kind}`,
  'v4.0.0': ({ kind, apiVersion }: KubeObject) => `${apiVersion} ${kind}`,
  'v4.1.0': ({ kind, apiVersion }: KubeObject) => `${apiVersion} ${kind}`,
  'v4.1.1': ({ kind, apiVersion }: KubeObject) => `${group(apiVersion)} ${kind}`,
  'v4.2.3': ({ kind, apiVersion }: KubeObject) => `${group(apiVersion)} ${kind}`,
} as const;

type Version = keyof typeof rules;

function group(apiVersion: string): string {
  return apiVersion.includes('/') ? (apiVersion.split('/')[0] ?? '') : '';
}

/** The fields by which the API server identifies an object. */
function identity({ apiVersion, kind, metadata }: KubeObject): string {
  return `${group(apiVersion)}/${kind}/${metadata.name}`;
}

function there(one: KubeObject, more: object = {}): KubeObject {
  return live(one, { uid: identity(one), ...more });
}

interface Story {
  version: Version;
  target: readonly KubeObject[];
  last: readonly KubeObject[];
  alive: readonly KubeObject[];
}

function helmWrites({ version, target, last, alive }: Story): RehearsedWrite[] {
  const same = (one: KubeObject, other: KubeObject): boolean =>
    one.metadata.name === other.metadata.name && rules[version](one) === rules[version](other);
  const isAmong = (objects: readonly KubeObject[], one: KubeObject): boolean =>
    objects.some((other) => identity(other) === identity(one));
  const isKept = (one: KubeObject): boolean =>
    alive.some(
      (other) =>
        identity(other) === identity(one) && other.metadata.annotations?.['helm.sh/resource-policy'] === 'keep',
    );
  return [
    ...target.map((one) => write(isAmong(alive, one) ? 'changed' : 'created', there(one))),
    ...last
      .filter((one) => !target.some((other) => same(one, other)) && isAmong([...alive, ...target], one) && !isKept(one))
      .map((one) => write('deleted', there(one))),
  ];
}

const kinds = [
  ['v1', 'ConfigMap'],
  ['v1', 'Service'],
  ['apps/v1', 'Deployment'],
  ['autoscaling/v1', 'HorizontalPodAutoscaler'],
  ['autoscaling/v2', 'HorizontalPodAutoscaler'],
  ['events.k8s.io/v1', 'Event'],
  ['v1', 'Event'],
] as const;

const thing = fc
  .record({ kind: fc.constantFrom(...kinds), name: fc.constantFrom('a', 'b'), value: fc.constantFrom('1', '2') })
  .map(({ kind, name, value }) => object(kind[1], name, { data: { value } }, kind[0]));

const things = fc.uniqueArray(thing, { selector: identity, maxLength: 6 });

/** The last revision or an older one made the live objects. Some may be missing, and some must be kept. */
const story = fc
  .record({
    version: fc.constantFrom(...(Object.keys(rules) as Version[])),
    target: things,
    last: things,
    gone: fc.nat(),
    kept: fc.nat(),
  })
  .map(({ version, target, last, gone, kept }): Story => {
    const alive = last
      .filter((_, index) => index !== gone % 7)
      .map((one, index) =>
        there(one, index === kept % 7 ? { annotations: { 'helm.sh/resource-policy': 'keep' } } : {}),
      );
    return { version, target, last, alive };
  });

/** The final state of each object, by the API server's identity: `gone` or `there`. */
function endOf({ alive }: Story, writes: readonly RehearsedWrite[]): Map<string, string> {
  const end = new Map(alive.map((one) => [identity(one), 'there']));
  for (const { ref, effect } of writes) {
    end.set(`${group(ref.apiVersion)}/${ref.kind}/${ref.name}`, effect === 'deleted' ? 'gone' : 'there');
  }
  return end;
}

function planOf(
  { version, target, last, alive }: Story,
  writes: readonly RehearsedWrite[] | null,
): ReturnType<typeof plan> {
  return plan({
    history: [revision(1, 'superseded', [...target], { labels: verified(1) }), revision(2, 'deployed', [...last])],
    live: alive,
    helm: helm(version),
    writes,
    policy: { ...strict, maxDeletions: 100 },
  });
}

function foretold(made: ReturnType<typeof plan>): Map<string, string> {
  return new Map(
    made.objects.map((one) => [
      `${group(one.apiVersion)}/${one.kind}/${one.name}`,
      one.fate === 'deleted' ? 'gone' : 'there',
    ]),
  );
}

describe('the prediction of a plan', () => {
  it('is what a Helm of that version does, object by object, with and without a rehearsal', () => {
    fc.assert(
      fc.property(story, (told) => {
        const writes = helmWrites(told);
        const done = [...endOf(told, writes)].sort();
        assert.deepEqual([...foretold(planOf(told, writes))].sort(), done);
        assert.deepEqual([...foretold(planOf(told, null))].sort(), done);
      }),
      { numRuns: 150 },
    );
  });

  it('follows the rules of that version, so no genuine Helm is suspected', () => {
    fc.assert(
      fc.property(story, (told) => {
        const found = codes(planOf(told, helmWrites(told)));
        assert.ok(
          !found.includes('PredictionDiffers') && !found.some((code) => code.startsWith('Unforeseen')),
          found.join(),
        );
      }),
      { numRuns: 150 },
    );
  });

  it('refuses exactly when an object of the target is gone at the end', () => {
    fc.assert(
      fc.property(story, (told) => {
        const writes = helmWrites(told);
        const end = endOf(told, writes);
        const isLost = told.target.some((one) => end.get(identity(one)) === 'gone');
        assert.equal(codes(planOf(told, writes)).includes('DeletesTargetObject'), isLost);
      }),
      { numRuns: 150 },
    );
  });

  it('refuses when a tampered Helm deletes any one object more', () => {
    fc.assert(
      fc.property(story, thing, (told, extra) => {
        const honest = helmWrites(told);
        const isDeleted = endOf(told, honest).get(identity(extra)) === 'gone';
        const isTargets = told.target.some((one) => identity(one) === identity(extra));
        fc.pre(!isDeleted);
        const found = codes(planOf(told, [...honest, write('deleted', there(extra))]));
        if (isTargets) assert.ok(found.includes('DeletesTargetObject'), found.join());
        else assert.ok(found.includes('UnforeseenDeletion') || found.includes('PredictionDiffers'), found.join());
      }),
      { numRuns: 150 },
    );
  });
});
