import assert from 'node:assert/strict';
import fc from 'fast-check';
import { redactor } from '../../tasks/common/core/text/secrets';
import { holderOf, runWords, type Holder } from '../../tasks/common/core/lock/holder';
import type { KubeObject } from '../../tasks/common/core/kubernetes/object';
import {
  inherited,
  isAbandoned,
  isHeldBy,
  leaseName,
  leaseObject,
  leaseRecord,
  leaseRef,
  nextTransitions,
  sightOf,
  turn,
  type LeaseContent,
  type LeaseRecord,
  type Turn,
  type Work,
} from '../../tasks/common/core/lock/lease';
import {
  lostMessage,
  refusedMessage,
  reminderText,
  unusableMessage,
  waitingText,
} from '../../tasks/common/core/lock/leaseWords';
import type { Revision, RevisionStatus } from '../../tasks/common/core/release/release';

const me: Holder = {
  identity: 'fabrikam/Shop, run 7',
  link: 'https://dev.azure.com/fabrikam/7',
  process: 'agent/12/99',
  run: '',
};
const ref = leaseRef('prod', 'shop');
const noon = new Date('2026-01-01T12:00:00.000Z');

function content(more: Partial<LeaseContent> = {}): LeaseContent {
  return { holder: me, acquiredAt: noon, renewedAt: noon, transitions: 3, work: undefined, left: [], ...more };
}

function lease(spec: object = {}, annotations: Record<string, unknown> = {}, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata: { name: 'x', resourceVersion: '41', annotations, ...metadata } as KubeObject['metadata'],
    spec: { holderIdentity: 'other', leaseDurationSeconds: 30, leaseTransitions: 2, ...spec },
  };
}

function record(spec: object = {}, annotations: Record<string, unknown> = {}, metadata: object = {}): LeaseRecord {
  return leaseRecord(lease(spec, annotations, metadata));
}

describe('a Lease as an object', () => {
  it('is named after its release, so that releases with other names do not wait', () => {
    assert.equal(leaseName('shop'), 'helm-safe-deploy.shop');
    assert.deepEqual(ref, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      namespace: 'prod',
      name: 'helm-safe-deploy.shop',
    });
  });

  it('holds holder, time, link and work, in the form that the API server accepts', () => {
    const left = [{ action: 'rollback' as const, revision: 6, until: new Date('2026-01-01T11:00:00.000Z') }];
    const object = leaseObject(ref, undefined, content({ work: { action: 'upgrade', revision: 7 }, left }));
    assert.deepEqual(object, {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: 'helm-safe-deploy.shop',
        namespace: 'prod',
        labels: { 'app.kubernetes.io/managed-by': 'helm-safe-deploy' },
        annotations: {
          'helm-safe-deploy/link': me.link,
          'helm-safe-deploy/process': 'agent/12/99',
          'helm-safe-deploy/work': 'upgrade 7',
          'helm-safe-deploy/left': 'rollback 6 until 2026-01-01T11:00:00.000Z',
        },
      },
      spec: {
        holderIdentity: me.identity,
        leaseDurationSeconds: 30,
        acquireTime: '2026-01-01T12:00:00.000000Z',
        renewTime: '2026-01-01T12:00:00.000000Z',
        leaseTransitions: 3,
      },
    });
    assert.deepEqual(leaseRecord(object), {
      holder: me.identity,
      link: me.link,
      process: me.process,
      durationSeconds: 30,
      acquiredAt: '2026-01-01T12:00:00.000000Z',
      renewedAt: '2026-01-01T12:00:00.000000Z',
      transitions: 3,
      resourceVersion: '',
      work: { action: 'upgrade', revision: 7 },
      left,
      writtenAt: undefined,
    });
  });

  it('keeps foreign fields, and its uid and resourceVersion, so that a slower write is refused', () => {
    const notes = { 'team/note': 'ours', 'helm-safe-deploy/work': 'upgrade 2', 'helm-safe-deploy/left': 'x' };
    const found = lease({ strategy: 'OldestEmulationVersion' }, notes, { uid: 'u1', labels: { team: 'a' } });
    const object = leaseObject(ref, found, content());
    assert.equal(object.metadata.uid, 'u1');
    assert.equal(object.metadata.resourceVersion, '41');
    assert.deepEqual(object.metadata.labels, { team: 'a' });
    assert.deepEqual(object.metadata.annotations, {
      'team/note': 'ours',
      'helm-safe-deploy/link': me.link,
      'helm-safe-deploy/process': me.process,
    });
    assert.equal((object['spec'] as Record<string, unknown>)['strategy'], 'OldestEmulationVersion');
  });

  it('when released it has no holder, but unfinished work and the last run stay readable', () => {
    const held = leaseObject(ref, undefined, content());
    const released = leaseRecord(
      leaseObject(ref, held, content({ holder: undefined, work: { action: 'rollback', revision: 8 } })),
    );
    assert.equal(released.holder, '');
    assert.equal(released.link, me.link);
    assert.deepEqual(released.work, { action: 'rollback', revision: 8 });
  });

  it('is read with any foreign content, which is bounded and can be no command of the agent', () => {
    const hostile = record(
      {
        holderIdentity: `evil\n##vso[task.setvariable variable=x]y\u001b[31m\u200b${'x'.repeat(100_000)}`,
        leaseDurationSeconds: -1,
        leaseTransitions: 'many',
        acquireTime: '2026-01-01T12:00:00Z\n##vso[task.complete]',
        renewTime: 5,
      },
      {
        'helm-safe-deploy/link': 'javascript:alert(1)',
        'helm-safe-deploy/process': '\r\n##[error]p',
        'helm-safe-deploy/work': 'upgrade 7; rm -rf',
        'helm-safe-deploy/left': 'upgrade 0 until never; upgrade 3 until 2026-99-99T00:00:00.000Z',
      },
    );
    assert.ok(hostile.holder.startsWith('evil # #vso[task.setvariable variable=x]y'), hostile.holder.slice(0, 80));
    assert.equal(hostile.holder.length, 1024);
    assert.equal(hostile.link, '');
    assert.equal(hostile.process, '# #[error]p');
    assert.equal(hostile.acquiredAt, '');
    assert.equal(hostile.renewedAt, '');
    assert.equal(hostile.transitions, 0);
    assert.equal(hostile.work, undefined);
    assert.deepEqual(hostile.left, []);
  });

  const durations: [unknown, number][] = [
    [30, 30],
    [60, 60],
    [300, 300],
    [301, 300],
    [2_147_483_647, 300],
    // The holder trusts the lease for longer than these durations.
    [1, 30],
    [0, 30],
    [-5, 30],
    [30.5, 30],
    ['60', 30],
    [null, 30],
    [undefined, 30],
    [NaN, 30],
  ];
  for (const [given, seconds] of durations) {
    it(`a lease of ${String(given)} (${typeof given}) seconds counts as ${seconds}`, () => {
      assert.equal(record({ leaseDurationSeconds: given }).durationSeconds, seconds);
    });
  }

  it('a link leads only to a web page and contains no credentials and no command', () => {
    const link = (text: unknown): string => record({}, { 'helm-safe-deploy/link': text }).link;
    assert.equal(link('https://u:p@dev.azure.com/a?b=c'), 'https://dev.azure.com/a?b=c');
    assert.equal(link('https://dev.azure.com/a b\n##vso[x]'), 'https://dev.azure.com/a%20b# #vso[x]');
    assert.equal(link('file:///etc/passwd'), '');
    assert.equal(link('not a link'), '');
    assert.equal(link(7), '');
    assert.equal(link(`https://dev.azure.com/${'ä'.repeat(1000)}`), '');
  });

  it('the last write is that of the newest manager, by the clock of the API server', () => {
    const managedFields = [{ time: '2026-01-01T10:00:00Z' }, null, { time: '2026-01-01T11:00:07Z' }, { time: 3 }, {}];
    const metadata = { creationTimestamp: '2026-01-01T09:00:00Z', managedFields };
    assert.equal(
      record({ renewTime: '2030-01-01T00:00:00Z' }, {}, metadata).writtenAt?.toISOString(),
      '2026-01-01T11:00:07.000Z',
    );
    assert.equal(record({}, {}, { managedFields: 'x' }).writtenAt, undefined);
  });

  it('reading never throws, whatever the content', () => {
    const anything = fc.anything({ withNullPrototype: true, withBigInt: true, withDate: true });
    const close = fc.record(
      {
        metadata: fc.oneof(
          anything,
          fc.record({ annotations: anything, managedFields: fc.array(anything), resourceVersion: anything }),
        ),
        spec: fc.oneof(anything, fc.record({ holderIdentity: anything, leaseDurationSeconds: anything })),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(anything, close), (value) => {
        const read = leaseRecord(value as KubeObject);
        assert.ok(read.durationSeconds >= 30 && read.durationSeconds <= 300);
      }),
    );
  });

  it('is read from the API server as it was written, whatever the name of a job', () => {
    const name = fc.string({ unit: 'binary', maxLength: 300 });
    const names = fc.record({ project: name, job: name, number: name, process: name });
    fc.assert(
      fc.property(names, ({ project, job, number, process }) => {
        const holder = holderOf(
          variables({ 'System.TeamProject': project, 'System.JobDisplayName': job, 'Build.BuildNumber': number }),
          process,
        );
        const stored = JSON.parse(JSON.stringify(leaseObject(ref, undefined, content({ holder })))) as KubeObject;
        const read = leaseRecord(stored);
        assert.ok(isHeldBy(read, holder, 3));
        assert.equal(read.link, holder.link);
        assert.ok(holder.identity.length <= 1024 && !/[\p{Cc}\p{Cf}]/u.test(holder.identity));
        assert.ok(holder.identity.includes('job-guid') && holder.identity.includes('4711'), holder.identity);
      }),
    );
  });

  it('the number of holder changes stays a value that the API server accepts', () => {
    assert.equal(nextTransitions(record({ leaseTransitions: 2 })), 3);
    assert.equal(nextTransitions(record({ leaseTransitions: 2_147_483_647 })), 0);
  });
});

describe('deciding whose turn it is', () => {
  const seen = record({}, { 'helm-safe-deploy/process': 'elsewhere/1/1' });
  const own = record({ holderIdentity: me.identity }, { 'helm-safe-deploy/process': 'agent/7/1' });
  const since = (firstSeenMs: number) => ({ resourceVersion: '41', firstSeenMs });
  const rows: [string, Turn, Parameters<typeof turn>][] = [
    ['no lease yet: it is created', { turn: 'create' }, [undefined, undefined, { me, isOwnProcessGone: false }, 0]],
    [
      'released: taken at once',
      { turn: 'take', because: 'released' },
      [record({ holderIdentity: '' }), since(0), { me, isOwnProcessGone: false }, 0],
    ],
    [
      'without a holder: taken at once',
      { turn: 'take', because: 'released' },
      [record({ holderIdentity: undefined }), since(0), { me, isOwnProcessGone: false }, 0],
    ],
    [
      'another holder, just seen: the whole lease is waited for',
      { turn: 'wait', milliseconds: 30_000 },
      [seen, since(5000), { me, isOwnProcessGone: false }, 5000],
    ],
    [
      'another holder, unchanged for 29.9 s: not yet',
      { turn: 'wait', milliseconds: 100 },
      [seen, since(0), { me, isOwnProcessGone: false }, 29_900],
    ],
    [
      'another holder, unchanged for 30 s: it is dead',
      { turn: 'take', because: 'expired' },
      [seen, since(0), { me, isOwnProcessGone: false }, 30_000],
    ],
    [
      'renewed meanwhile: the wait begins again',
      { turn: 'wait', milliseconds: 30_000 },
      [seen, { resourceVersion: '40', firstSeenMs: 0 }, { me, isOwnProcessGone: false }, 60_000],
    ],
    [
      'never seen before: nothing is known of its age',
      { turn: 'wait', milliseconds: 30_000 },
      [seen, undefined, { me, isOwnProcessGone: false }, 60_000],
    ],
    [
      'a clock that went back makes nothing longer',
      { turn: 'wait', milliseconds: 30_000 },
      [seen, since(90_000), { me, isOwnProcessGone: false }, 60_000],
    ],
    [
      'a longer lease is respected',
      { turn: 'wait', milliseconds: 20_000 },
      [record({ leaseDurationSeconds: 60 }), since(0), { me, isOwnProcessGone: false }, 40_000],
    ],
    [
      'this job, its process has ended: taken at once',
      { turn: 'take', because: 'own' },
      [own, since(0), { me, isOwnProcessGone: true }, 0],
    ],
    [
      'this job, its process may live: waited for as for any other',
      { turn: 'wait', milliseconds: 30_000 },
      [own, since(0), { me, isOwnProcessGone: false }, 0],
    ],
    [
      'this process itself, whose answer was lost: taken at once',
      { turn: 'take', because: 'own' },
      [{ ...own, process: me.process }, since(0), { me, isOwnProcessGone: false }, 0],
    ],
    [
      'this job, no process is known of either: waited for',
      { turn: 'wait', milliseconds: 30_000 },
      [{ ...own, process: '' }, since(0), { me: { ...me, process: '' }, isOwnProcessGone: false }, 0],
    ],
    [
      'another job on this machine with an ended process: waited for',
      { turn: 'wait', milliseconds: 30_000 },
      [seen, since(0), { me, isOwnProcessGone: true }, 0],
    ],
  ];
  for (const [title, expected, given] of rows) {
    it(title, () => {
      assert.deepEqual(turn(...given), expected);
    });
  }

  it('times in the Lease do not count: neither next year nor last year changes a turn', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), fc.nat(60_000), (date, unchangedMs) => {
        const times = { renewTime: date.toISOString(), acquireTime: date.toISOString() };
        assert.deepEqual(
          turn(record(times), since(0), { me, isOwnProcessGone: false }, unchangedMs),
          turn(record(), since(0), { me, isOwnProcessGone: false }, unchangedMs),
        );
      }),
    );
  });

  it('a lease counts as seen at its answer, and as new with each version', () => {
    const first = sightOf(seen, undefined, 100);
    assert.deepEqual(first, { resourceVersion: '41', firstSeenMs: 100 });
    assert.deepEqual(sightOf(seen, first, 900), first);
    assert.deepEqual(sightOf({ ...seen, resourceVersion: '42' }, first, 900), {
      resourceVersion: '42',
      firstSeenMs: 900,
    });
  });
});

describe('deciding whether a lease is still ours', () => {
  const ours = leaseRecord(leaseObject(ref, undefined, content()));
  const rows: [string, LeaseRecord | undefined, boolean][] = [
    ['as we wrote it', ours, true],
    ['with a note of somebody and renewed', { ...ours, resourceVersion: '99', renewedAt: '' }, true],
    ['deleted', undefined, false],
    ['released: it was taken meanwhile', { ...ours, holder: '' }, false],
    ['held by another job', { ...ours, holder: 'other' }, false],
    ['held by the post-job phase of this job', { ...ours, process: 'agent/13/1' }, false],
    ['taken once more since', { ...ours, transitions: 4 }, false],
  ];
  for (const [title, seen, expected] of rows) {
    it(title, () => {
      assert.equal(isHeldBy(seen, me, 3), expected);
    });
  }
});

describe('deciding whether a dead holder left a pending revision', () => {
  const written = new Date('2026-01-01T12:00:00Z');
  const pending = (status: RevisionStatus, revision: number, secondsLater: number): Revision =>
    ({ status, revision, writtenAt: new Date(written.getTime() + secondsLater * 1000) }) as Revision;
  const held = (work: Work | undefined, more: Partial<LeaseRecord> = {}): LeaseRecord => ({
    ...record(),
    work,
    writtenAt: written,
    ...more,
  });
  const upgrade7: Work = { action: 'upgrade', revision: 7 };
  const left = [{ ...upgrade7, until: written }];
  const rows: [string, boolean, LeaseRecord | undefined, Revision][] = [
    ['the one that was begun', true, held(upgrade7), pending('pending-upgrade', 7, 2)],
    ['written as late as its Helm can have lived', true, held(upgrade7), pending('pending-upgrade', 7, 30)],
    ['written later: a person has taken up Helm since', false, held(upgrade7), pending('pending-upgrade', 7, 31)],
    ['another revision', false, held(upgrade7), pending('pending-upgrade', 8, 0)],
    ['another action', false, held(upgrade7), pending('pending-rollback', 7, 0)],
    ['an uninstall', true, held({ action: 'uninstall', revision: 7 }), pending('uninstalling', 7, 0)],
    ['a rollback', true, held({ action: 'rollback', revision: 7 }), pending('pending-rollback', 7, 0)],
    ['a first install', true, held({ action: 'install', revision: 1 }), pending('pending-install', 1, 0)],
    [
      'an upgrade that Helm made an install',
      true,
      held({ action: 'upgrade', revision: 1 }),
      pending('pending-install', 1, 0),
    ],
    ['nothing is pending', false, held(upgrade7), pending('failed', 7, 0)],
    ['nothing was begun', false, held(undefined), pending('pending-upgrade', 7, 0)],
    ['no lease', false, undefined, pending('pending-upgrade', 7, 0)],
    [
      'the lease does not say when it was written',
      false,
      held(upgrade7, { writtenAt: undefined }),
      pending('pending-upgrade', 7, 0),
    ],
    [
      'the record does not say when it was written',
      false,
      held(upgrade7),
      { ...pending('pending-upgrade', 7, 0), writtenAt: undefined },
    ],
    ['left by the holder before the last', true, held(undefined, { left }), pending('pending-upgrade', 7, 0)],
    [
      'left by the holder before the last, who died in its repair',
      true,
      held({ action: 'rollback', revision: 8 }, { left }),
      pending('pending-upgrade', 7, 0),
    ],
    [
      'a number that was left long ago, used again by a person',
      false,
      held(undefined, { left, writtenAt: new Date(written.getTime() + 3_600_000) }),
      pending('pending-upgrade', 7, 600),
    ],
  ];
  for (const [title, expected, lease, revision] of rows) {
    it(title, () => {
      assert.equal(isAbandoned(lease, revision), expected);
    });
  }

  it('handed-on work has the time of its owner and does not grow without end', () => {
    assert.deepEqual(inherited(held(upgrade7)), left);
    const many = Array.from({ length: 5 }, (_, index) => ({ ...upgrade7, revision: index + 1, until: written }));
    const all = inherited(held(upgrade7, { left: many }));
    assert.deepEqual(
      all.map(({ revision }) => revision),
      [2, 3, 4, 5, 7],
    );
  });
});

const agentVariables: Readonly<Record<string, string>> = {
  'System.CollectionUri': 'https://dev.azure.com/fabrikam/',
  'System.TeamProject': 'Web Shop',
  'System.HostType': 'build',
  'Build.DefinitionName': 'web-deploy',
  'Build.BuildNumber': '20260101.4',
  'Build.BuildId': '4711',
  'System.StageName': 'Prod',
  'System.JobDisplayName': 'Deploy prod',
  'System.JobName': 'deploy',
  'System.JobId': 'job-guid',
  'System.JobAttempt': '1',
  'System.StageAttempt': '2',
};

function variables(change: Record<string, string | undefined> = {}) {
  return (name: string): string | undefined => ({ ...agentVariables, ...change })[name];
}

describe('the holder of a lease', () => {
  const identity = (change: Record<string, string | undefined> = {}, process = 'm/1/1'): string =>
    holderOf(variables(change), process).identity;

  it('is named by organisation, project, pipeline, run, job and attempt, with a link to the job', () => {
    assert.deepEqual(holderOf(variables(), 'agent-3 4f2c/812/3311'), {
      identity:
        'fabrikam/Web Shop, pipeline web-deploy, run 20260101.4 (4711), stage Prod, job Deploy prod (job-guid), ' +
        'attempt 1 of stage attempt 2',
      link: 'https://dev.azure.com/fabrikam/Web%20Shop/_build/results?buildId=4711&view=logs&j=job-guid',
      process: 'agent-3 4f2c/812/3311',
      run: '4711_20260101.4_web-deploy',
    });
  });

  it('contains no secret of the job in a name or a link, and keeps the parts that make it unique', () => {
    const secret = { 'Build.DefinitionName': 'hunter22!', 'System.TeamProject': 'hunter22!' };
    const { identity, link, run } = holderOf(variables(secret), 'm/1/1', redactor(['hunter22!', '4711']));
    assert.equal(
      identity,
      'fabrikam/***, pipeline ***, run 20260101.4 (4711), stage Prod, job Deploy prod (job-guid), attempt 1 of stage attempt 2',
    );
    assert.equal(link, '');
    assert.equal(run, '4711_20260101.4');
    const release = { 'System.HostType': 'release', 'Release.ReleaseId': '7', 'Build.BuildId': undefined };
    const page = { ...release, 'Release.ReleaseWebURL': 'https://example.com/?k=hunter22!' };
    assert.ok(!holderOf(variables(page), 'm/1/1', redactor(['hunter22!'])).link.includes('hunter22'));
  });

  const labels: [string, Record<string, string | undefined>, string, string][] = [
    ['a run', {}, '4711_20260101.4_web-deploy', 'run 20260101.4 (4711) of pipeline web-deploy'],
    [
      'what no label may hold',
      { 'Build.BuildNumber': '_ü $(x) 1.2_', 'Build.DefinitionName': 'Größe / β' },
      '4711_x-1.2_Gr-e',
      'run x-1.2 (4711) of pipeline Gr-e',
    ],
    [
      'names that are too long',
      { 'Build.DefinitionName': 'p'.repeat(100) },
      `4711_20260101.4_${'p'.repeat(36)}`,
      `run 20260101.4 (4711) of pipeline ${'p'.repeat(36)}`,
    ],
    ['nothing but an id', { 'Build.BuildNumber': undefined, 'Build.DefinitionName': '…' }, '4711', 'run 4711'],
  ];
  for (const [title, change, label, words] of labels) {
    it(`the label of its run: ${title}`, () => {
      const { run } = holderOf(variables(change), 'p');
      assert.equal(run, label);
      assert.match(`2147483647_${run}`, /^[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]$/);
      assert.equal(runWords(run), words);
    });
  }

  it('is the same for main and post-job phase of one job, in different processes', () => {
    assert.equal(identity({}, 'm/1/1'), identity({}, 'm/2/2'));
  });

  const others: [string, Record<string, string>][] = [
    ['another leg of the matrix', { 'System.JobId': 'other-guid', 'System.JobDisplayName': 'Deploy prod west' }],
    ['a leg of the matrix with the same display name', { 'System.JobId': 'other-guid' }],
    ['another attempt of the job', { 'System.JobAttempt': '2' }],
    ['another attempt of the stage', { 'System.StageAttempt': '3' }],
    ['another run with the same number', { 'Build.BuildId': '4712' }],
    ['another project', { 'System.TeamProject': 'Other' }],
    ['another organisation', { 'System.CollectionUri': 'https://dev.azure.com/contoso/' }],
  ];
  for (const [title, change] of others) {
    it(`${title} is another holder`, () => {
      assert.notEqual(identity(change), identity());
    });
  }

  it('keeps its ids when names are too long', () => {
    const long = 'ä'.repeat(5000);
    const names = [
      'System.TeamProject',
      'Build.DefinitionName',
      'Build.BuildNumber',
      'System.StageName',
      'System.JobDisplayName',
    ];
    const shown = identity(Object.fromEntries(names.map((name) => [name, long])));
    assert.ok(shown.length <= 1024 && shown.includes('(4711)') && shown.includes('(job-guid)'), shown);
    assert.ok(shown.endsWith('attempt 1 of stage attempt 2'), shown);
  });

  const organisations: [string, string][] = [
    ['https://dev.azure.com/fabrikam/', 'fabrikam/Web Shop'],
    ['https://fabrikam.visualstudio.com/', 'fabrikam/Web Shop'],
    ['https://tfs.example:8080/tfs/Default%20Collection/', 'tfs.example:8080/tfs/Default Collection/Web Shop'],
    ['not an address', 'Web Shop'],
  ];
  for (const [uri, expected] of organisations) {
    it(`the organisation of ${uri}`, () => {
      assert.equal(identity({ 'System.CollectionUri': uri }).split(', ')[0], expected);
    });
  }

  it('an older server has another form of collection address', () => {
    const change = {
      'System.CollectionUri': undefined,
      'System.TeamFoundationCollectionUri': 'https://tfs.example/tfs/Main/',
    };
    const holder = holderOf(variables(change), 'p');
    assert.match(holder.identity, /^tfs\.example\/tfs\/Main\/Web Shop, /);
    assert.match(holder.link, /^https:\/\/tfs\.example\/tfs\/Main\/Web%20Shop\/_build\/results\?buildId=4711&/);
  });

  it('a classic release is named by its release pipeline, although it names a build too', () => {
    const change = {
      'System.HostType': 'release',
      'System.StageName': undefined,
      'System.StageAttempt': undefined,
      'Release.DefinitionName': 'Shop release',
      'Release.ReleaseName': 'Release-12',
      'Release.ReleaseId': '812',
      'Release.EnvironmentName': 'Production',
      'Release.EnvironmentId': '31',
      'Release.AttemptNumber': '2',
      'Release.ReleaseWebURL': 'https://dev.azure.com/fabrikam/x/_release?releaseId=812&_a=release-summary',
    };
    const holder = holderOf(variables(change), 'p');
    assert.equal(
      holder.identity,
      'fabrikam/Web Shop, release pipeline Shop release, run Release-12 (812), stage Production (31), ' +
        'job Deploy prod (job-guid), attempt 1 of stage attempt 2',
    );
    assert.equal(holder.link, change['Release.ReleaseWebURL']);
    const bare = holderOf(variables({ ...change, 'Release.ReleaseWebURL': undefined }), 'p');
    assert.equal(
      bare.link,
      'https://dev.azure.com/fabrikam/Web%20Shop/_releaseProgress?_a=release-pipeline-progress&releaseId=812',
    );
  });

  it("two developer terminals are two holders, even with some of the agent's variables set", () => {
    const none = (): undefined => undefined;
    const one = holderOf(none, 'laptop/1/1');
    assert.deepEqual(one, { identity: 'no pipeline, process laptop/1/1', link: '', process: 'laptop/1/1', run: '' });
    assert.notEqual(holderOf(none, 'laptop/2/1').identity, one.identity);
    const half = variables({ 'System.JobId': undefined });
    assert.notEqual(holderOf(half, 'laptop/1/1').identity, holderOf(half, 'laptop/2/1').identity);
  });

  it('a name is plain text in the log of another run', () => {
    const shown = identity({
      'System.JobDisplayName': 'Deploy\r\n##vso[task.setvariable variable=a]b\u001b[2J\u202e',
      'System.TeamProject': '##[error]x\ud800',
    });
    assert.ok(!/[\p{Cc}\p{Cf}]|##/u.test(shown), shown);
    const { link } = holderOf(variables({ 'System.TeamProject': 'a/b?c#d ##vso[x]\ud800' }), 'p');
    assert.equal(
      link,
      'https://dev.azure.com/fabrikam/a%2Fb%3Fc%23d%20%23%23vso%5Bx%5D%EF%BF%BD/_build/results?buildId=4711&view=logs&j=job-guid',
    );
  });
});

describe('the messages about a lease', () => {
  const locked = { release: 'shop', namespace: 'prod' };
  const other: LeaseRecord = {
    ...record({ acquireTime: '2026-01-01T12:03:04.000000Z' }),
    holder: 'fabrikam/Shop, run 9',
    link: 'https://dev.azure.com/9',
    work: { action: 'upgrade', revision: 7 },
  };

  it('name the holder, its start and work, a link and the length of the wait', () => {
    assert.equal(
      waitingText(locked, other, 0, 300_000),
      'Another run holds the release shop in namespace prod: fabrikam/Shop, run 9, since 2026-01-01 12:03:04 UTC by its clock, ' +
        'working on upgrade 7: https://dev.azure.com/9\nWaiting for it, at most 5 min (lockTimeout).',
    );
    assert.match(waitingText(locked, other, 90_000, 300_000), /at most 5 min \(1 min 30 s have passed\)/);
  });

  it('a reminder distinguishes a live holder from a silent one', () => {
    const times = { waitedMs: 15_000, limitMs: 300_000, quietMs: 2000, untilExpiryMs: 28_000 };
    assert.equal(
      reminderText(other, times),
      'Still waiting, 15 s of at most 5 min, for fabrikam/Shop, run 9. It is alive.',
    );
    assert.equal(
      reminderText(other, { ...times, quietMs: 14_000, untilExpiryMs: 16_000 }),
      'Still waiting, 15 s of at most 5 min, for fabrikam/Shop, run 9. It has not renewed its lock for 14 s; if it stays silent, its lock expires in 16 s.',
    );
  });

  it('a refusal links to the holder, a loss to the run that took the lease', () => {
    assert.match(
      refusedMessage(locked, other, 300_000),
      /^Waited 5 min for the release shop in namespace prod, .*dev\.azure\.com\/9$/,
    );
    assert.match(lostMessage(locked, other, 41_000), /for 41 s, and the lock was taken by fabrikam\/Shop, run 9/);
    assert.match(lostMessage(locked, undefined, 0), /was deleted/);
    assert.match(lostMessage(locked, { ...other, holder: '' }, 50_000), /somebody else has taken and released it/);
  });

  it('a missing right is named as the rule to add', () => {
    assert.equal(
      unusableMessage(locked, 'The API server answered 403.'),
      'The lock of the release shop in namespace prod cannot be used: The API server answered 403. A Role in that namespace ' +
        'needs the rule apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["get", "create", "update"].',
    );
  });
});
