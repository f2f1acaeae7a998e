import assert from 'node:assert/strict';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import type { RehearsedWrite } from '../../tasks/common/core/helm/rehearsal';
import { allowableCodes } from '../../tasks/common/core/rollbackPlan/model/findings';
import {
  codes,
  deployment,
  fatesOf,
  helm,
  hook,
  live,
  object,
  objectOf,
  plan,
  rehearsal,
  revision,
  strict,
  verified,
  web,
  write,
  type Scene,
} from '../support/rollbackScene';

const config = object('ConfigMap', 'settings', { data: { mode: 'a' } });
const extra = object('ConfigMap', 'extra', { data: { a: '1' } });
const quota = object('ResourceQuota', 'limits', { spec: { hard: { pods: '1' } } });
const claim = object('PersistentVolumeClaim', 'data', { spec: { resources: { requests: { storage: '1Gi' } } } });

/** Revision 1 was healthy and revision 2 serves. `targetObjects` and `lastObjects` are their manifests. */
function scene(targetObjects: readonly KubeObject[], lastObjects: readonly KubeObject[], more: Scene = {}): Scene {
  return {
    history: [
      revision(1, 'superseded', [...targetObjects], { labels: verified(1) }),
      revision(2, 'deployed', [...lastObjects]),
    ],
    ...more,
  };
}

/** The usual case: the live objects are those of the last revision, and Helm patches them to those of the target. */
function usual(): Scene {
  return scene([web('app:1'), config], [web('app:2'), config, extra], {
    live: [live(web('app:2')), live(config), live(extra)],
    writes: [write('changed', live(web('app:1'))), write('deleted', live(extra))],
  });
}

describe('the fate of an object in a rollback', () => {
  it('is given for each: patched, kept, deleted by the task when the target is healthy', () => {
    const made = plan(usual());
    assert.deepEqual(fatesOf(made), {
      'Deployment/web': 'patched',
      'ConfigMap/settings': 'kept',
      'ConfigMap/extra': 'deleted',
    });
    assert.deepEqual(codes(made), []);
    assert.deepEqual([made.risk, made.deletions, made.target?.revision, made.present?.revision], ['low', 1, 1, 2]);
    const gone = objectOf(made, 'ConfigMap/extra');
    assert.deepEqual(
      [gone.deletedBy, gone.uid, gone.reason],
      ['task', 'uid-ConfigMap-extra', 'The present revision declares it, the target does not.'],
    );
  });

  it('shows the difference between live and target, and that the pods restart', () => {
    const changed = objectOf(plan(usual()), 'Deployment/web');
    assert.ok(changed.diff.includes('-        - image: app:2'), changed.diff.join('\n'));
    assert.ok(changed.diff.includes('+        - image: app:1'));
    assert.ok(changed.diff.every((line) => !/uid|resourceVersion|last-applied/.test(line)));
    assert.deepEqual([changed.restartsPods, changed.isRehearsed, changed.resource], [true, true, 'deployments']);
  });

  it('is created if somebody deleted the object by hand', () => {
    const made = plan(scene([config], [config], { writes: [write('created', live(config))] }));
    assert.deepEqual(fatesOf(made), { 'ConfigMap/settings': 'created' });
    assert.equal(
      objectOf(made, 'ConfigMap/settings').reason,
      'The present revision declares it too, but it does not exist.',
    );
  });

  it('is left to Helm if the object only restrains others', () => {
    const made = plan(scene([], [quota], { live: [live(quota)], writes: [write('deleted', live(quota))] }));
    assert.equal(objectOf(made, 'ResourceQuota/limits').deletedBy, 'helm');
  });

  it('is orphaned if an older failed revision made the object', () => {
    const history = [
      revision(1, 'superseded', [config], { labels: verified(1) }),
      revision(2, 'failed', [config, extra]),
      revision(3, 'deployed', [config]),
    ];
    const made = plan({ history, live: [live(config), live(extra)] });
    assert.deepEqual(fatesOf(made), { 'ConfigMap/settings': 'kept', 'ConfigMap/extra': 'orphaned' });
    assert.deepEqual([codes(made), made.risk], [['Orphaned'], 'none']);
  });

  it('is not given for an object that is gone, or that another release made under the same name', () => {
    const history = [
      revision(1, 'superseded', [config], { labels: verified(1) }),
      revision(2, 'failed', [config, extra]),
      revision(3, 'deployed', [config, object('ConfigMap', 'gone')]),
    ];
    const made = plan({ history, live: [live(config), live(extra, { owner: 'other' })] });
    assert.deepEqual(fatesOf(made), { 'ConfigMap/settings': 'kept' });
  });

  it('is kept because of its resource policy', () => {
    const kept = live(claim, { annotations: { 'helm.sh/resource-policy': 'keep' } });
    const made = plan(scene([], [claim], { live: [kept] }));
    assert.deepEqual(
      [fatesOf(made), made.risk, made.deletions],
      [{ 'PersistentVolumeClaim/data': 'keptByPolicy' }, 'none', 0],
    );
  });

  it('is taken over from another release only if that is allowed', () => {
    const theirs = live(extra, { owner: 'other' });
    const taking = scene([extra], [], { live: [theirs], writes: [write('changed', live(extra))] });
    const refused = plan(taking);
    assert.deepEqual([codes(refused, 'refusal'), refused.risk], [['OwnedByAnother'], 'refused']);
    assert.equal(objectOf(refused, 'ConfigMap/extra').owner, 'release other in namespace shop');
    const allowed = plan({ ...taking, policy: { ...strict, allow: ['OwnedByAnother'] } });
    assert.deepEqual([fatesOf(allowed), allowed.risk], [{ 'ConfigMap/extra': 'takenOver' }, 'high']);
    assert.equal(allowed.findings[0]?.allowedBy, 'allow');
  });

  it('is refused if the object to delete belongs to another release now', () => {
    const made = plan(
      scene([], [extra], { live: [live(extra, { owner: 'other' })], writes: [write('deleted', live(extra))] }),
    );
    assert.deepEqual(codes(made, 'refusal'), ['OwnedByAnother']);
  });

  it('is a warning if the object has no owner, but an own object that lost its labels is still its own', () => {
    const unmarked = live(extra, { owner: null });
    const taken = plan(scene([extra], [], { live: [unmarked], writes: [write('changed', live(extra))] }));
    assert.deepEqual([fatesOf(taken), codes(taken)], [{ 'ConfigMap/extra': 'takenOver' }, ['TakesOverUnowned']]);
    const own = plan(scene([extra], [extra], { live: [unmarked], writes: [write('changed', live(extra))] }));
    assert.deepEqual([fatesOf(own), codes(own)], [{ 'ConfigMap/extra': 'patched' }, []]);
  });

  it('ignores the replicas that an autoscaler has set', () => {
    const autoscaler = live(
      object(
        'HorizontalPodAutoscaler',
        'any',
        { spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' } } },
        'autoscaling/v2',
      ),
    );
    const scaledTo = (replicas: number): ChangePlan =>
      plan(
        scene([web('app:1', { replicas: 1 })], [web('app:1', { replicas: 1 })], {
          live: [live(web('app:1', { replicas }))],
          writes: [write('changed', live(web('app:1', { replicas: 1 })))],
          autoscalers: [autoscaler],
        }),
      );
    const [one, seven] = [scaledTo(1), scaledTo(7)];
    assert.deepEqual(
      [fatesOf(one), codes(one), one.risk],
      [{ 'Deployment/web': 'kept' }, ['ReplicasUnderAutoscaler'], 'none'],
    );
    assert.deepEqual([codes(seven), seven.risk], [['ScalesDown', 'ReplicasUnderAutoscaler'], 'high']);
    assert.match(seven.findings[0]?.message ?? '', /has set 7 replicas, and the rollback sets 1/);
    assert.equal(seven.digest, one.digest);
  });

  it('ignores fields that the API server and its controllers write by themselves', () => {
    const before = live(web('app:1'), { annotations: { 'deployment.kubernetes.io/revision': '4' } });
    const after = { ...live(web('app:1')), status: { replicas: 3 } };
    const made = plan(scene([web('app:1')], [web('app:1')], { live: [before], writes: [write('changed', after)] }));
    assert.deepEqual(fatesOf(made), { 'Deployment/web': 'kept' });
  });

  it('has no namespace for cluster-scoped objects', () => {
    const role = object('ClusterRole', 'reader', { rules: [] }, 'rbac.authorization.k8s.io/v1');
    const made = plan(scene([], [role], { live: [live(role)], writes: [write('deleted', live(role))] }));
    const gone = objectOf(made, 'ClusterRole/reader');
    assert.deepEqual([gone.fate, gone.namespace, gone.isInLast], ['deleted', '', true]);
  });

  it('follows the rules of the Helm without a rehearsal', () => {
    const made = plan({ ...usual(), writes: null });
    assert.deepEqual(fatesOf(made), {
      'Deployment/web': 'patched',
      'ConfigMap/settings': 'kept',
      'ConfigMap/extra': 'deleted',
    });
    assert.deepEqual([codes(made), made.risk], [['RehearsalMissing'], 'refused']);
    const { isRehearsed, diff, restartsPods } = objectOf(made, 'Deployment/web');
    assert.deepEqual([isRehearsed, restartsPods], [false, true]);
    assert.ok(diff.includes('+        - image: app:1'));
  });
});

describe('a Secret in a plan', () => {
  const secret = (data: Record<string, string>): KubeObject => object('Secret', 'login', { type: 'Opaque', data });
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const before = secret({ password: base64('hunter2-of-now'), user: base64('admin'), old: base64('gone-with-it') });
  const after = secret({ password: base64('correct-horse'), user: base64('admin'), token: base64('newly-made-token') });
  const made = plan(scene([after], [before], { live: [live(before)], writes: [write('changed', live(after))] }));

  it('is described by key: changed, added, removed', () => {
    assert.deepEqual(objectOf(made, 'Secret/login').secretKeys, [
      { name: 'old', change: 'removed' },
      { name: 'password', change: 'changed' },
      { name: 'token', change: 'added' },
    ]);
  });

  it('shows no value, in clear or in base64', () => {
    const text = JSON.stringify(made);
    for (const value of ['hunter2-of-now', 'correct-horse', 'newly-made-token', 'gone-with-it']) {
      assert.ok(!text.includes(value), value);
      assert.ok(!text.includes(base64(value)), value);
    }
    assert.ok(objectOf(made, 'Secret/login').diff.some((line) => line.startsWith('-  password: (value ')));
  });

  it('is the same in stringData and in data', () => {
    const plain = object('Secret', 'login', { stringData: { password: 'hunter2-of-now' } });
    const stored = live(secret({ password: base64('hunter2-of-now') }));
    const same = plan(scene([plain], [plain], { live: [stored], writes: [write('changed', stored)] }));
    assert.deepEqual([fatesOf(same), objectOf(same, 'Secret/login').secretKeys], [{ 'Secret/login': 'kept' }, []]);
  });

  it('that was read as metadata only was not compared, and the plan says so', () => {
    const { data: _, type: __, ...metadataAlone } = live(before);
    const unread = plan(scene([after], [before], { live: [metadataAlone], writes: [write('changed', live(after))] }));
    assert.deepEqual(objectOf(unread, 'Secret/login').secretKeys[0], { name: 'password', change: 'notCompared' });
    assert.equal(objectOf(unread, 'Secret/login').fate, 'patched');
  });

  it("is not quoted by any other part: arguments, descriptions, Helm's messages", () => {
    const leaking = (image: string): KubeObject =>
      deployment('web', { containers: [{ name: 'web', image, args: ['--password=correct-horse'] }] });
    const history = [
      revision(1, 'superseded', [after, leaking('app:1')], { labels: verified(1) }),
      revision(2, 'failed', [before, leaking('app:2')], {
        description: 'Upgrade "web" failed: bad password hunter2-of-now',
      }),
    ];
    const failing = rehearsal([write('changed', live(leaking('app:1')))], {
      outcome: 'failed',
      message: `cannot patch Secret with {"password":"${base64('correct-horse')}"}`,
    });
    const text = JSON.stringify(plan({ history, live: [live(before), live(leaking('app:2'))], rehearsal: failing }));
    assert.match(text, /--password=\*\*\*/);
    assert.match(text, /bad password \*\*\*/);
    assert.ok(
      !text.includes('correct-horse') && !text.includes(base64('correct-horse')) && !text.includes('hunter2-of-now'),
    );
  });

  it('with an everyday word as its value does not make the plan unreadable', () => {
    const words = secret({ user: base64('web'), file: base64('replicas: 1\nimage: app\n') });
    const quoting = plan(
      scene([words, web('app:1')], [words, web('app:2')], {
        live: [live(words), live(web('app:2'))],
        writes: [write('changed', live(web('app:1')))],
      }),
    );
    assert.ok(!JSON.stringify(quoting).includes('***'));
  });
});

describe('manual changes that a rollback undoes', () => {
  const declared = web('app:1', { replicas: 2 });

  it('are listed by field, with the live and the new value', () => {
    const edited = live(web('app:hotfix', { replicas: 5 }));
    const made = plan(scene([declared], [declared], { live: [edited], writes: [write('changed', live(declared))] }));
    assert.deepEqual(objectOf(made, 'Deployment/web').drift, [
      { path: 'spec.replicas', live: '5', becomes: '2' },
      { path: 'spec.template.spec.containers[name=web].image', live: '"app:hotfix"', becomes: '"app:1"' },
    ]);
    assert.deepEqual([codes(made), made.risk], [['DriftUndone'], 'high']);
  });

  it('are listed also where the revisions differ in that field', () => {
    const edited = live(web('app:hotfix'));
    const made = plan(
      scene([web('app:1')], [web('app:2')], { live: [edited], writes: [write('changed', live(web('app:1')))] }),
    );
    assert.deepEqual(objectOf(made, 'Deployment/web').drift, [
      { path: 'spec.template.spec.containers[name=web].image', live: '"app:hotfix"', becomes: '"app:1"' },
    ]);
  });

  it("do not include differences between revisions or the API server's spelling", () => {
    const limited = (cpu: unknown, image: string): KubeObject =>
      deployment('web', { containers: [{ name: 'web', image, resources: { limits: { cpu, memory: '1024Mi' } } }] });
    const before = live(limited('1', 'app:2'));
    const made = plan(
      scene([limited('500m', 'app:1')], [limited('1000m', 'app:2')], {
        live: [before],
        writes: [write('changed', live(limited('500m', 'app:1')))],
      }),
    );
    assert.deepEqual([objectOf(made, 'Deployment/web').drift, made.risk], [[], 'low']);
  });

  it('do not include fields that only others declare and the rollback leaves', () => {
    const edited = live(
      deployment('web', { containers: [{ name: 'web', image: 'app:1', env: [{ name: 'X', value: '1' }] }] }),
    );
    const made = plan(scene([web('app:1')], [web('app:1')], { live: [edited] }));
    assert.deepEqual([fatesOf(made), codes(made)], [{ 'Deployment/web': 'kept' }, []]);
  });
});

describe('a target object that is being deleted', () => {
  it('is a warning, because a deletion cannot be stopped', () => {
    const going = {
      ...live(claim),
      metadata: {
        ...live(claim).metadata,
        deletionTimestamp: '2026-08-20T11:00:00Z',
        finalizers: ['kubernetes.io/pvc-protection'],
      },
    };
    const made = plan(scene([claim], [], { live: [going], writes: [write('changed', live(claim))] }));
    assert.deepEqual([codes(made), made.risk], [['BeingDeleted'], 'high']);
    assert.match(
      made.findings[0]?.message ?? '',
      /its deletion began at 2026-08-20T11:00:00Z \(it waits for kubernetes.io\/pvc-protection\)/,
    );
  });

  it('does not count if the target does not declare it', () => {
    const going = { ...live(claim), metadata: { ...live(claim).metadata, deletionTimestamp: '2026-08-20T11:00:00Z' } };
    assert.deepEqual(codes(plan(scene([], [], { live: [going] }))), []);
  });
});

describe('a rehearsal that fails at an object that only the target declares', () => {
  const failed = (version: string): string => {
    const message = 'no ConfigMap with the name "kept" found';
    const kept = object('ConfigMap', 'kept');
    const made = plan({
      ...scene([kept], [], { live: [live(kept)] }),
      helm: helm(version),
      rehearsal: rehearsal([], { outcome: 'failed', message, exitCode: 1 }),
    });
    assert.deepEqual(codes(made), ['RehearsalFailed']);
    return made.findings[0]?.message ?? '';
  };

  it('names the Helm that can continue', () => {
    assert.match(
      failed('v3.17.3'),
      /ConfigMap\/kept exists, but the present revision does not declare it\. Helm v3\.17\.3 stops there; Helm from 3\.22 and from 4\.2 on does not\./,
    );
    assert.ok(!failed('v4.2.3').includes('stops at'));
  });
});

describe('a rollback is refused', () => {
  function deleting(one: KubeObject): Scene {
    return scene([], [one], { live: [live(one)], writes: [write('deleted', live(one))] });
  }

  for (const [code, one] of [
    ['DeletesPersistentVolumeClaim', claim],
    ['DeletesPersistentVolume', object('PersistentVolume', 'disk')],
    ['DeletesNamespace', object('Namespace', 'other')],
    [
      'DeletesCustomResourceDefinition',
      object('CustomResourceDefinition', 'things.example.com', {}, 'apiextensions.k8s.io/v1'),
    ],
    ['DeletesCustomResource', object('Thing', 'one', {}, 'example.com/v1')],
    [
      'DeletesPersistentVolumeClaim',
      object(
        'StatefulSet',
        'db',
        { spec: { persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete' } } },
        'apps/v1',
      ),
    ],
  ] as const) {
    it(`if it deletes ${one.kind}, unless ${code} is allowed`, () => {
      const refused = plan(deleting(one));
      assert.deepEqual([codes(refused), refused.risk], [[code], 'refused']);
      const allowed = plan({ ...deleting(one), policy: { ...strict, allow: [code] } });
      assert.deepEqual([codes(allowed, 'warning'), allowed.risk], [[code], 'high']);
    });
  }

  it('if it deletes more objects than maxDeletions', () => {
    const many = Array.from({ length: 3 }, (_, index) => object('ConfigMap', `c${index}`));
    const gone = scene([], many, {
      live: many.map((one) => live(one)),
      writes: many.map((one) => write('deleted', live(one))),
    });
    assert.deepEqual(codes(plan({ ...gone, policy: { ...strict, maxDeletions: 3 } })), []);
    const refused = plan({ ...gone, policy: { ...strict, maxDeletions: 2 } });
    assert.deepEqual([codes(refused), refused.deletions], [['TooManyDeletions'], 3]);
    assert.equal(plan({ ...gone, policy: { ...strict, maxDeletions: 2, allow: ['TooManyDeletions'] } }).risk, 'high');
  });

  it('if Helm deletes an object of the target, whatever is allowed', () => {
    const tampered: Scene = {
      ...usual(),
      writes: [write('changed', live(web('app:1'))), write('deleted', live(web('app:1')))],
    };
    const made = plan({ ...tampered, policy: { ...strict, allow: allowableCodes } });
    assert.deepEqual(codes(made, 'refusal'), ['DeletesTargetObject']);
    assert.match(made.findings[0]?.message ?? '', /^The target declares Deployment\/web, but Helm deletes it/);
  });

  it('if Helm deletes an object of the target under another group', () => {
    const old = object('Ingress', 'front', {}, 'extensions/v1beta1');
    const now = object('Ingress', 'front', {}, 'networking.k8s.io/v1');
    const made = plan(
      scene([now], [old], {
        helm: helm('v3.17.3'),
        live: [live(old, { uid: 'same' }), live(now, { uid: 'same' })],
        writes: [write('deleted', live(old, { uid: 'same' }))],
      }),
    );
    assert.ok(codes(made, 'refusal').includes('DeletesTargetObject'));
  });

  it('if Helm deletes and recreates an object', () => {
    const made = plan({
      ...usual(),
      writes: [
        write('deleted', live(web('app:2'))),
        write('created', live(web('app:1'))),
        write('deleted', live(extra)),
      ],
    });
    assert.deepEqual(codes(made, 'refusal'), ['DeletesTargetObject']);
    assert.equal(objectOf(made, 'Deployment/web').fate, 'patched');
  });

  it('if Helm writes to an object that is in none of its revisions', () => {
    const stranger = live(object('Deployment', 'billing', {}, 'apps/v1'));
    const made = plan({
      ...usual(),
      writes: [...(usual().writes ?? []), write('deleted', stranger, { client: 'kubectl/v1.35.2' })],
    });
    assert.deepEqual(codes(made, 'refusal'), ['UnforeseenDeletion']);
    assert.match(
      made.findings[0]?.message ?? '',
      /kubectl\/v1\.35\.2 tried to delete Deployment\/billing in namespace shop/,
    );
  });

  it('but not for a write that the API server refused', () => {
    const record = object('Secret', '');
    const refused = (status: number): RehearsedWrite =>
      write('refused', record, { verb: 'create', refusal: { status, reason: '', message: 'no' } });
    const made = (status: number): ChangePlan =>
      plan({ ...usual(), writes: [...(usual().writes ?? []), refused(status)] });
    assert.deepEqual(codes(made(403)), ['WriteRefused']);
    // Helm tries a request again after 429.
    assert.deepEqual(codes(made(429)), []);
    const stranger = live(object('ConfigMap', 'audit'));
    const told = plan({ ...usual(), writes: [...(usual().writes ?? []), write('created', stranger)] });
    assert.deepEqual(codes(told, 'refusal'), ['UnforeseenWrite']);
  });

  it("if Helm's own needed records are deleted, but not if it prunes old ones", () => {
    const pruning = (name: string): Scene => ({
      ...usual(),
      rehearsal: rehearsal(usual().writes ?? [], { storage: [{ verb: 'delete', name }] }),
    });
    assert.deepEqual(codes(plan(pruning('sh.helm.release.v1.web.v1'))), ['UnforeseenDeletion']);
    const { history = [], ...rest } = pruning('sh.helm.release.v1.web.v1');
    const longer = history.map((one) => ({ ...one, revision: one.revision + 1, labels: verified(one.revision + 1) }));
    assert.deepEqual(codes(plan({ ...rest, history: longer })), []);
  });

  it("if the rehearsal fails, with Helm's message", () => {
    const failing = rehearsal([], { outcome: 'failed', message: 'no ConfigMap with the name "extra" found' });
    const made = plan({ ...usual(), rehearsal: failing });
    assert.deepEqual([codes(made, 'refusal'), made.helm?.rehearsal], [['RehearsalFailed'], 'failed']);
    assert.match(made.findings[0]?.message ?? '', /no ConfigMap with the name "extra" found/);
  });

  it('if the API server no longer serves a kind of the target, with the kind', () => {
    const old = object('CronJob', 'nightly', {}, 'batch/v1beta1');
    const made = plan(
      scene([old, config], [config], {
        live: [live(config)],
        unserved: ['batch/v1beta1/CronJob'],
        rehearsal: rehearsal([], { outcome: 'failed', message: 'resource mapping not found' }),
      }),
    );
    assert.deepEqual(codes(made, 'refusal'), ['RemovedApi', 'RehearsalFailed']);
    assert.match(made.findings[0]?.message ?? '', /CronJob of batch\/v1beta1 is not served.*CronJob\/nightly/);
  });

  it('if Helm cannot read the present manifest because of a removed API', () => {
    const old = object('CronJob', 'nightly', {}, 'batch/v1beta1');
    const failing = rehearsal([], { outcome: 'failed', message: 'resource mapping not found' });
    const made = plan(
      scene([config], [config, old], { live: [live(config)], unserved: ['batch/v1beta1/CronJob'], rehearsal: failing }),
    );
    assert.deepEqual(codes(made, 'refusal'), ['RemovedApiInPresent', 'RehearsalFailed']);
  });

  it('if a manifest is not YAML', () => {
    const broken = revision(1, 'superseded', [], { labels: verified(1), manifest: 'a: [' });
    const made = plan({ history: [broken, revision(2, 'deployed', [])] });
    assert.deepEqual([codes(made, 'refusal'), made.objects], [['ManifestUnreadable'], []]);
  });

  for (const [incident, from, severity, code] of [
    [
      'is not a known release',
      { ...helm('v4.1'), from: 'unknown', problem: 'it was built without a git commit' },
      'refusal',
      'HelmUnknown',
    ],
    [
      'is not the binary that helmSha256 pins',
      { ...helm(), from: 'otherThanPinned', problem: 'its SHA-256 is another' },
      'refusal',
      'HelmNotPinned',
    ],
    [
      'is newer than the versions that this task knows',
      { ...helm('v5.0.0'), from: 'newerRelease', predecessor: 'v4.2.4' },
      'warning',
      'HelmNewer',
    ],
  ] as const) {
    it(`or gives a warning if Helm ${incident}`, () => {
      const made = plan({ ...usual(), helm: from });
      assert.deepEqual(codes(made, severity), [code]);
    });
  }

  it('but not for an unknown Helm if allowUnknownHelm is set', () => {
    const unknown = { ...helm('v4.1'), from: 'unknown', problem: 'it says nothing' } as const;
    assert.equal(plan({ ...usual(), helm: unknown, policy: { ...strict, allowUnknownHelm: true } }).risk, 'high');
  });

  it('with a plan without objects if there is no target', () => {
    const made = plan({ history: [revision(1, 'deployed', [config])], live: [live(config)] });
    assert.deepEqual([made.risk, made.target, made.objects, made.present?.revision], ['refused', null, [], 1]);
  });
});

describe('an irreversible step', () => {
  const mark = {
    metadata: { name: 'migrate', annotations: { 'helm-safe-deploy/irreversible': 'drops column price' } },
  };

  function passing(more: Parameters<typeof revision>[3]): Scene {
    return {
      history: [
        revision(1, 'superseded', [config], { labels: verified(1) }),
        revision(2, 'superseded', [config], more),
        revision(3, 'deployed', [config]),
      ],
      live: [live(config)],
    };
  }

  for (const [incident, more] of [
    ['the chart', { chartAnnotations: { 'helm-safe-deploy/irreversible': 'drops column price' } }],
    ['a hook', { hooks: [hook('Job', 'migrate', ['post-upgrade'], 'Succeeded', mark)] }],
    ['an object', { manifest: JSON.stringify({ ...object('Job', 'migrate', {}, 'batch/v1'), ...mark }) }],
  ] as const) {
    it(`is reported if ${incident} of a revision in between says so`, () => {
      const refused = plan(passing(more));
      assert.ok(codes(refused, 'refusal').includes('IrreversibleStep'));
      assert.match(refused.findings[0]?.message ?? '', /Revision 2 was an irreversible step \(.*drops column price\)/);
      assert.equal(plan({ ...passing(more), policy: { ...strict, allowIrreversible: [1, 3] } }).risk, 'refused');
      const allowed = plan({ ...passing(more), policy: { ...strict, allowIrreversible: [2] } });
      assert.equal(allowed.risk, 'high');
      assert.equal(allowed.findings.find(({ code }) => code === 'IrreversibleStep')?.allowedBy, 'allowIrreversible');
    });
  }

  it('does not count in the target revision itself', () => {
    const more = { chartAnnotations: { 'helm-safe-deploy/irreversible': 'x' }, labels: verified(2) };
    assert.deepEqual(codes(plan(passing(more))), []);
  });

  it('is not a mark with the value false', () => {
    assert.deepEqual(codes(plan(passing({ chartAnnotations: { 'helm-safe-deploy/irreversible': 'false' } }))), []);
  });

  it('may be in the Jobs of upgrade hooks that ran in between', () => {
    const made = plan(passing({ hooks: [hook('Job', 'migrate', ['pre-upgrade'])] }));
    assert.deepEqual([codes(made), made.risk], [['PossibleMigration'], 'high']);
    assert.match(made.findings[0]?.message ?? '', /Revision 2 ran Job\/migrate \(pre-upgrade\)/);
  });

  for (const [incident, more] of [
    ['that never ran', { hooks: [hook('Job', 'migrate', ['pre-upgrade'], '')] }],
    ['that is no Job', { hooks: [hook('ConfigMap', 'settings', ['pre-upgrade'])] }],
    [
      'of a rollback, which copies them',
      { description: 'Rollback to 1', hooks: [hook('Job', 'migrate', ['pre-upgrade'])] },
    ],
    ['of the install alone', { hooks: [hook('Job', 'migrate', ['pre-install'])] }],
  ] as const) {
    it(`is not the work of a hook ${incident}`, () => {
      assert.deepEqual(codes(plan(passing(more))), []);
    });
  }
});

describe('the hooks of a rollback', () => {
  it('are those of the target, not those of the present revision', () => {
    const history = [
      revision(1, 'superseded', [config], {
        labels: verified(1),
        hooks: [hook('Job', 'drain', ['pre-rollback']), hook('Job', 'seed', ['pre-upgrade'])],
      }),
      revision(2, 'deployed', [config], {
        hooks: [hook('Job', 'drain', ['pre-rollback']), hook('Job', 'warm', ['post-rollback'])],
      }),
    ];
    const made = plan({ history, live: [live(config)] });
    assert.deepEqual(
      made.hooks.map(({ name, event, willRun, revision: of }) => [name, event, willRun, of]),
      [
        ['drain', 'pre-rollback', true, 1],
        ['warm', 'post-rollback', false, 2],
        ['seed', 'pre-upgrade', false, 1],
      ],
    );
    assert.deepEqual([codes(made), made.risk], [['HooksNotRehearsed'], 'low']);
    assert.deepEqual(
      [made.hooks[0]?.apiVersion, made.hooks[0]?.resource, made.hooks[0]?.namespace],
      ['batch/v1', 'jobs', 'shop'],
    );
  });
});

const onDelete = { updateStrategy: { type: 'OnDelete' } };
function partition(number: number): object {
  return { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: number } } };
}

describe('pods that would keep the template of the present revision', () => {
  const template = (image: string): object => ({ template: { spec: { containers: [{ name: 'main', image }] } } });
  const workload = (kind: string, image: string, spec: object): KubeObject =>
    object(kind, 'db', { spec: { ...template(image), ...spec } }, 'apps/v1');
  const holds: readonly [string, string, object, RegExp][] = [
    ['a paused Deployment', 'Deployment', { paused: true }, /Deployment\/db: it is paused: its pods keep the template/],
    ['a StatefulSet with a partition', 'StatefulSet', partition(2), /its partition is 2/],
    ['a StatefulSet that updates on delete', 'StatefulSet', onDelete, /\(OnDelete\)/],
    ['a DaemonSet that updates on delete', 'DaemonSet', onDelete, /\(OnDelete\)/],
  ];
  const heldScene = (kind: string, hold: object, byHand: boolean): Scene => {
    const declared = byHand ? {} : hold;
    return scene([workload(kind, 'db:1', declared)], [workload(kind, 'db:2', declared)], {
      live: [live(workload(kind, 'db:2', hold))],
      writes: [write('changed', live(workload(kind, 'db:1', hold)))],
    });
  };

  for (const [what, kind, hold, words] of holds) {
    it(`${what}, by the chart: refused, and with allow the task waits for a person`, () => {
      const refused = plan(heldScene(kind, hold, false));
      assert.deepEqual([codes(refused), refused.risk], [['PodsHeldBack'], 'refused']);
      assert.match(refused.findings[0]?.message ?? '', words);
      assert.match(refused.findings[0]?.message ?? '', /add PodsHeldBack to the input allow/);
      const allowed = plan({ ...heldScene(kind, hold, false), policy: { ...strict, allow: ['PodsHeldBack'] } });
      assert.deepEqual([allowed.risk, allowed.findings[0]?.allowedBy], ['high', 'allow']);
      assert.match(allowed.findings[0]?.message ?? '', /waits until somebody has replaced the pods, and fails/);
    });

    it(`${what}, by hand: refused, and with allow the task undoes it`, () => {
      const refused = plan(heldScene(kind, hold, true));
      assert.deepEqual(codes(refused, 'refusal'), ['PodsHeldBack']);
      assert.match(refused.findings[0]?.message ?? '', /This was set by hand; the target does not declare it/);
      const allowed = plan({ ...heldScene(kind, hold, true), policy: { ...strict, allow: ['PodsHeldBack'] } });
      assert.match(allowed.findings[0]?.message ?? '', /The task undoes that after the rollback/);
    });
  }

  it('do not matter if there are none, or if the rollback removes the hold', () => {
    const none = { paused: true, replicas: 0 };
    assert.deepEqual(codes(plan(heldScene('Deployment', none, false))), []);
    const resumed = scene([workload('Deployment', 'db:1', {})], [workload('Deployment', 'db:2', { paused: true })], {
      live: [live(workload('Deployment', 'db:2', { paused: true }))],
      writes: [write('changed', live(workload('Deployment', 'db:1', {})))],
    });
    assert.deepEqual(codes(plan(resumed)), []);
  });

  it('do not restart in a workload that is wholly held, and partly restart with a partition', () => {
    const restarts = (kind: string, hold: object): boolean =>
      objectOf(plan(heldScene(kind, hold, false)), `${kind}/db`).restartsPods;
    assert.deepEqual(
      holds.map(([, kind, hold]) => restarts(kind, hold)),
      [false, true, false, false],
    );
  });

  it('are reported where the template stays but pods have an earlier one, as temporary information', () => {
    const same = workload('DaemonSet', 'db:1', onDelete);
    const status = { desiredNumberScheduled: 3, updatedNumberScheduled: 1 };
    const made = plan(scene([same], [same], { live: [{ ...live(same), status }] }));
    assert.match(made.findings[0]?.message ?? '', /2 of its pods have an earlier template and keep it/);
    assert.deepEqual([codes(made), made.findings[0]?.isMomentary], [['PodsHeldBack'], true]);
    const settled = { ...status, updatedNumberScheduled: 3 };
    assert.deepEqual(codes(plan(scene([same], [same], { live: [{ ...live(same), status: settled }] }))), []);
  });
});

describe('a StatefulSet in a rollback', () => {
  const database = (image: string, more: object = {}): KubeObject =>
    object(
      'StatefulSet',
      'db',
      { spec: { template: { spec: { containers: [{ name: 'db', image }] } }, ...more } },
      'apps/v1',
    );
  const templates = (storage: string): object => ({
    volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { resources: { requests: { storage } } } }],
  });
  const pod = (name: string, hash: string, ready: string): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace: 'shop',
      labels: { 'controller-revision-hash': hash },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-StatefulSet-db', controller: true },
      ],
    },
    status: { conditions: [{ type: 'Ready', status: ready }] },
  });
  const statefulScene = (more: object, pods: readonly KubeObject[]): Scene =>
    scene([database('db:1', more)], [database('db:2', more)], {
      live: [{ ...live(database('db:2', more)), status: { currentRevision: 'old', updateRevision: 'bad' } }],
      writes: [write('changed', live(database('db:1', more)))],
      pods,
    });

  it('keeps its stuck pod for ever (kubernetes#67250)', () => {
    const made = plan(statefulScene({}, [pod('db-0', 'old', 'True'), pod('db-1', 'bad', 'False')]));
    assert.deepEqual([made.trappedPods, codes(made)], [['db-1'], ['StatefulSetTrap']]);
    assert.match(made.findings[0]?.message ?? '', /db-1; set allowPodDelete/);
    const allowed = plan({
      ...statefulScene({}, [pod('db-1', 'bad', 'False')]),
      policy: { ...strict, allowPodDelete: true },
    });
    assert.match(allowed.findings[0]?.message ?? '', /are deleted after the rollback/);
    assert.equal(allowed.allowPodDelete, true);
  });

  for (const [incident, more, stuck] of [
    ['pods are made in parallel', { podManagementPolicy: 'Parallel' }, pod('db-1', 'bad', 'False')],
    ['pods are replaced on delete', { updateStrategy: { type: 'OnDelete' } }, pod('db-1', 'bad', 'False')],
    [
      'the pod is below the partition',
      { updateStrategy: { rollingUpdate: { partition: 2 } } },
      pod('db-1', 'bad', 'False'),
    ],
    ['the pod is ready', {}, pod('db-1', 'bad', 'True')],
  ] as const) {
    it(`traps no pod where ${incident}`, () => {
      assert.deepEqual(plan(statefulScene(more, [stuck])).trappedPods, []);
    });
  }

  it('traps a pod only if it is of the serving revision, not of an earlier one', () => {
    assert.deepEqual(plan(statefulScene({}, [pod('db-1', 'old', 'False')])).trappedPods, []);
    const settled = statefulScene({}, [pod('db-1', 'bad', 'False')]);
    const [set] = settled.live ?? [];
    assert.ok(set);
    const calm = { ...set, status: { currentRevision: 'bad', updateRevision: 'bad' } };
    assert.deepEqual(plan({ ...settled, live: [calm] }).trappedPods, ['db-1']);
  });

  it('cannot get other claim templates', () => {
    const made = plan(
      scene([database('db:1', templates('1Gi'))], [database('db:1', templates('2Gi'))], {
        live: [live(database('db:1', templates('2Gi')))],
        rehearsal: rehearsal([], { outcome: 'failed', message: 'updates to statefulset spec are forbidden' }),
      }),
    );
    assert.ok(codes(made, 'warning').includes('ClaimTemplatesDiffer'));
    assert.ok(codes(made, 'refusal').includes('RehearsalFailed'));
  });

  it('leaves its claims unchanged', () => {
    const grown = {
      ...object('PersistentVolumeClaim', 'data-db-0', {
        spec: { resources: { requests: { storage: '5Gi' } }, storageClassName: 'fast' },
      }),
      metadata: { name: 'data-db-0', namespace: 'shop' },
    };
    const same = scene([database('db:1', templates('1Gi'))], [database('db:1', templates('1Gi'))], {
      live: [live(database('db:1', templates('1Gi')))],
    });
    const made = plan({
      ...same,
      claims: [grown, { ...grown, metadata: { ...grown.metadata, name: 'data-other-0' } }],
    });
    assert.deepEqual(codes(made), ['ClaimsDiffer']);
    assert.match(made.findings[0]?.message ?? '', /data-db-0 of StatefulSet\/db .*storage 1Gi, is 5Gi/);
  });
});

describe('the rules of a Helm compared with its rehearsal', () => {
  const v2 = object('HorizontalPodAutoscaler', 'web', {}, 'autoscaling/v2');
  const v1 = object('HorizontalPodAutoscaler', 'web', {}, 'autoscaling/v1');

  function bumped(version: string, writes: Scene['writes']): Scene {
    return scene([v1], [v2], { helm: helm(version), live: [live(v1)], ...(writes === undefined ? {} : { writes }) });
  }

  it('Helm 4.1.0 deletes an object with a new version, which is predicted and refused', () => {
    const made = plan(bumped('v4.1.0', [write('changed', live(v1)), write('deleted', live(v2))]));
    assert.deepEqual(
      [fatesOf(made), codes(made)],
      [{ 'HorizontalPodAutoscaler/web': 'deleted' }, ['DeletesTargetObject']],
    );
    assert.match(
      objectOf(made, 'HorizontalPodAutoscaler/web').reason,
      /another API version; this Helm takes that for another object/,
    );
  });

  it('Helm 4.1.0 creates and deletes the object even if its own upgrade already deleted it', () => {
    const { live: _, ...rest } = bumped('v4.1.0', [write('created', live(v1)), write('deleted', live(v2))]);
    assert.deepEqual(codes(plan(rest)), ['DeletesTargetObject']);
  });

  it('the prediction without a rehearsal is the same', () => {
    assert.ok(codes(plan(bumped('v4.1.0', null))).includes('DeletesTargetObject'));
    assert.ok(!codes(plan(bumped('v3.17.3', null))).includes('DeletesTargetObject'));
  });

  it('a Helm 3.17.3 that deletes the object is not a real 3.17.3', () => {
    const made = plan(bumped('v3.17.3', [write('changed', live(v1)), write('deleted', live(v2))]));
    assert.deepEqual(codes(made), ['DeletesTargetObject', 'PredictionDiffers']);
  });

  it('a Helm that does not delete what it should is reported', () => {
    const made = plan({ ...usual(), writes: [write('changed', live(web('app:1')))] });
    assert.deepEqual(
      [codes(made), objectOf(made, 'ConfigMap/extra').fate],
      [['PredictionDiffers', 'Orphaned'], 'orphaned'],
    );
  });

  it('a Helm that does not create a missing object is reported', () => {
    const made = plan(scene([config], [], {}));
    assert.deepEqual([codes(made), fatesOf(made)], [['PredictionDiffers'], { 'ConfigMap/settings': 'created' }]);
  });

  it('an object that was gone before its deletion is not reported', () => {
    const refusal = { status: 404, reason: 'NotFound', message: 'not found' };
    const made = plan({
      ...usual(),
      writes: [...(usual().writes ?? []), write('refused', live(extra), { verb: 'delete', refusal })],
    });
    assert.deepEqual(codes(made), []);
  });

  it('a Helm that accepts a removed API of the present revision is not refused', () => {
    const old = object('CronJob', 'nightly', {}, 'batch/v1beta1');
    const made = plan(scene([config], [config, old], { live: [live(config)], unserved: ['batch/v1beta1/CronJob'] }));
    assert.deepEqual(codes(made), []);
  });

  it('a refusal that the API server gave to Helm is reported', () => {
    const refusal = { status: 403, reason: 'Forbidden', message: 'deployments.apps "web" is forbidden' };
    const made = plan({
      ...usual(),
      writes: [write('refused', live(web('app:1')), { refusal }), write('deleted', live(extra))],
    });
    assert.ok(codes(made).includes('WriteRefused'));
  });

  it("the object at which Helm stopped is reported once, without the API server's quote, with the solution", () => {
    const quoted = `{"labels":{"a":"${'x'.repeat(300)}"}}`;
    const answer = (value: string): string =>
      `Job.batch "m" is invalid: spec.template: Invalid value: ${value}: field is immutable`;
    const refusal = { status: 422, reason: 'Invalid', message: answer(quoted) };
    const migration = object('Job', 'm', {}, 'batch/v1');
    const made = plan(
      scene([migration], [migration], {
        live: [live(migration)],
        rehearsal: rehearsal([write('refused', live(migration), { refusal })], {
          outcome: 'failed',
          message: `cannot patch "m" with kind Job: ${answer('{...}')}`,
        }),
      }),
    );
    assert.deepEqual(
      made.findings.map(({ code, message }) => `${code}: ${message}`),
      [
        `RehearsalFailed: The rehearsal of the rollback failed, and the real rollback would fail too: cannot patch "m" with kind Job: ${answer('{...}')}. This field cannot be changed in place. If the object may be deleted, delete it by hand first.`,
      ],
    );
  });
});

describe('a variable that only moved', () => {
  it('is a change, because variables may refer to earlier ones', () => {
    const ordered = (...names: string[]): KubeObject =>
      deployment('web', { containers: [{ name: 'web', env: names.map((name) => ({ name, value: 'x' })) }] });
    const made = plan(
      scene([ordered('A', 'B')], [ordered('B', 'A')], {
        live: [live(ordered('B', 'A'))],
        writes: [write('changed', live(ordered('A', 'B')))],
      }),
    );
    assert.deepEqual(fatesOf(made), { 'Deployment/web': 'patched' });
  });
});

describe('the risk of a rollback', () => {
  it('is none if nothing changes', () => {
    assert.equal(plan(scene([config], [config], { live: [live(config)] })).risk, 'none');
  });

  it('is not high only because nobody saw the target healthy, since plain Helm sets no marks', () => {
    const { history = [], ...rest } = usual();
    const unmarked = history.map((one) => ({ ...one, labels: {} }));
    const made = plan({ ...rest, history: unmarked });
    assert.deepEqual([codes(made), made.risk, made.target?.proof], [['UnverifiedTarget'], 'low', 'unproven']);
  });

  it('mentions that a Job that removes itself may run again', () => {
    const job = object('Job', 'once', { spec: { ttlSecondsAfterFinished: 60 } }, 'batch/v1');
    const made = plan(scene([job], [job], { writes: [write('created', live(job))] }));
    assert.deepEqual([codes(made), made.risk], [['JobMayRunAgain'], 'low']);
  });
});
