import assert from 'node:assert/strict';
import { gzipSync } from 'node:zlib';
import type { LiveObject } from '../../matrix/api';
import {
  availabilityViolations,
  besideViolations,
  fileViolations,
  helmViolations,
  leaseViolations,
  manifestViolations,
  nextRunViolations,
  orphanViolations,
  planViolations,
  recordViolations,
  signalViolations,
  stateViolations,
  survivalViolations,
  unchangedViolations,
  writerViolations,
  type Golden,
  type HelmSeen,
  type Violation,
} from '../../matrix/invariants';
import { stateOf, type StateOfObject } from '../../matrix/liveState';
import { helmVerb } from '../../matrix/processTable';
import { recordOf, type RecordSeen } from '../../matrix/records';

/*
 * Each invariant is broken here by hand, and the matrix must find the fault. test/e2e/matrix.test.ts shows that reading
 * a real release works.
 */

const ns = 'matrix-1234';

function assertViolated(found: readonly Violation[], invariant: Violation['invariant'], message: RegExp): void {
  assert.deepEqual([...new Set(found.map((each) => each.invariant))], [invariant]);
  assert.match(found.map((each) => each.message).join('\n'), message);
}

function record(revision: number, status: string, more: Partial<RecordSeen> = {}): RecordSeen {
  return {
    revision,
    status,
    statusInside: status,
    manifest: `of ${revision}`,
    text: `t${revision}`,
    labels: {},
    ...more,
  };
}

describe('records after an interruption', () => {
  const good = [record(1, 'superseded'), record(2, 'failed'), record(3, 'deployed')];

  it('of an orderly release are no violation', () => {
    assert.deepEqual(recordViolations(good, 'after next run'), []);
    assert.deepEqual(recordViolations([], 'after job'), []);
    assert.deepEqual(recordViolations([record(1, 'failed')], 'after job'), []);
  });

  for (const status of ['pending-install', 'pending-upgrade', 'pending-rollback', 'uninstalling']) {
    it(`${status} is a violation, anywhere in the history`, () => {
      assertViolated(recordViolations([record(1, 'deployed'), record(2, status)], 'after job'), 'not stuck', /2 p|2 u/);
      assertViolated(recordViolations([record(1, status), record(2, 'deployed')], 'after job'), 'not stuck', /1 p|1 u/);
    });
  }

  it('a label that differs from the content is a violation', () => {
    const records = [record(1, 'superseded'), record(2, 'deployed', { statusInside: 'failed' })];
    assertViolated(recordViolations(records, 'after job'), 'records as deployed', /deployed by its label and failed/);
  });

  it('two deployed revisions are a violation', () => {
    const records = [record(1, 'deployed'), record(2, 'deployed')];
    assertViolated(recordViolations(records, 'after job'), 'one deployed revision', /1 deployed, 2 deployed/);
  });

  it('after the next run, a history whose last revision is not the deployed one is a violation', () => {
    const found = (...records: RecordSeen[]): Violation[] => recordViolations(records, 'after next run');
    assertViolated(found(record(1, 'failed')), 'one deployed revision', /1 failed/);
    assertViolated(found(record(1, 'deployed'), record(2, 'failed')), 'one deployed revision', /2 failed/);
    assertViolated(found(), 'one deployed revision', /no revision/);
  });

  it('a manifest that belongs to another revision is a violation', () => {
    const manifests = new Map(good.map(({ text, manifest }) => [text, manifest]));
    assert.deepEqual(manifestViolations(good, manifests, 'after job'), []);
    const altered = [...good.slice(0, 2), record(3, 'deployed', { manifest: 'of 3, edited' })];
    assertViolated(manifestViolations(altered, manifests, 'after job'), 'records as deployed', /revision 3/);
  });

  it('are read as Helm writes them', () => {
    const release = { info: { status: 'failed' }, manifest: 'kind: X', config: { text: 'two' } };
    const stored = Buffer.from(gzipSync(JSON.stringify(release)).toString('base64')).toString('base64');
    const labels = { version: '2', status: 'deployed' };
    const secret: LiveObject = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'x', labels },
      data: { release: stored },
    };
    const seen = recordOf(secret);
    assert.deepEqual([seen.revision, seen.status, seen.statusInside], [2, 'deployed', 'failed']);
    assert.deepEqual([seen.manifest, seen.text], ['kind: X', 'two']);
  });
});

function live(kind: string, name: string, fields: Record<string, unknown> = {}, uid = `uid of ${name}`): LiveObject {
  return { apiVersion: 'v1', kind, ...fields, metadata: { name, namespace: ns, uid, resourceVersion: '7' } };
}

function state(...objects: LiveObject[]): StateOfObject[] {
  return objects.map((object) => stateOf(object, ns));
}

const container = { name: 'web', env: [{ name: 'DRAIN', value: '3' }] };
const deployment = (podSpec: Record<string, unknown> = {}): LiveObject =>
  live('Deployment', 'web', { spec: { replicas: 1, template: { spec: { containers: [container], ...podSpec } } } });

describe('objects after an interruption', () => {
  const golden: Golden = {
    manifest: '',
    objects: state(deployment(), live('ConfigMap', 'web', { data: { text: 'three' } })),
  };
  const rest = live('ConfigMap', 'web', { data: { text: 'three' } });
  const found = (told: string, ...objects: LiveObject[]): Violation[] =>
    stateViolations(state(...objects), golden, told, 'after next run');

  it('as after a fresh install are no violation, whatever the API server has assigned', () => {
    const assigned = { ...deployment(), status: { readyReplicas: 1 } };
    assert.deepEqual(found('', assigned, rest), []);
  });

  it('that are missing or being deleted are a violation', () => {
    assertViolated(found('', deployment()), 'declared is live', /ConfigMap\/web is not there/);
    const going = { ...rest, metadata: { ...rest.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } };
    assertViolated(found('', deployment(), going), 'declared is live', /ConfigMap\/web is being deleted/);
  });

  it('with another value in a declared field, or without the field, are a violation', () => {
    const other = live('ConfigMap', 'web', { data: { text: 'two' } });
    assertViolated(found('', deployment(), other), 'declared is live', /data\.text: "two" instead of "three"/);
    const none = live('ConfigMap', 'web', { data: {} });
    assertViolated(found('', deployment(), none), 'declared is live', /data\.text: nothing/);
  });

  it('with a field of the dead revision are a violation: node selector, environment variable, container', () => {
    const selector = deployment({ nodeSelector: { none: 'z' } });
    assertViolated(found('', selector, rest), 'nothing of a dead revision', /nodeSelector/);
    const env = [...container.env, { name: 'ONLY_TWO', value: 'yes' }];
    const variable = deployment({ containers: [{ ...container, env }] });
    assertViolated(found('', variable, rest), 'nothing of a dead revision', /env\.ONLY_TWO/);
    const sidecar = deployment({ containers: [container, { name: 'sidecar' }] });
    assertViolated(found('', sidecar, rest), 'nothing of a dead revision', /containers\.sidecar/);
  });

  it('of the dead revision are a violation', () => {
    const scaler = live('HorizontalPodAutoscaler', 'web');
    const message = 'HorizontalPodAutoscaler/web';
    assertViolated(found(message, deployment(), rest, scaler), 'nothing of a dead revision', /is still there/);
  });

  it('a claim of the dead revision may stay only if a run has named it', () => {
    const claim = live('PersistentVolumeClaim', 'only-two');
    assert.deepEqual(found('PersistentVolumeClaim/only-two stays', deployment(), rest, claim), []);
    assertViolated(found('', deployment(), rest, claim), 'nothing of a dead revision', /no run has named it/);
  });

  it('that served and were removed or recreated are a violation', () => {
    const before = state(deployment(), live('PersistentVolumeClaim', 'data'), live('ConfigMap', 'only-one'));
    const all = ['Deployment/web', 'PersistentVolumeClaim/data'];
    assert.deepEqual(survivalViolations(before, before.slice(0, 2), all), []);
    const anew = state(deployment(), live('PersistentVolumeClaim', 'data', {}, 'another'));
    assertViolated(
      survivalViolations(before, anew, all),
      'what served was never removed',
      /data was removed and created again/,
    );
    const gone = state(deployment());
    assertViolated(survivalViolations(before, gone, all), 'what served was never removed', /data was removed$/);
  });
});

describe('processes that write to the cluster', () => {
  const at = (second: number): string => `2026-01-01T00:00:${String(second).padStart(2, '0')}.000000Z`;
  const wrote = (run: number, second: number) => ({ run, at: at(second), what: 'patch deployments/web' });

  it('one after the other are no violation', () => {
    assert.deepEqual(writerViolations([wrote(2, 5), wrote(1, 1), wrote(1, 2), wrote(2, 6)]), []);
  });

  it('one that writes again after a later run began is a violation', () => {
    assertViolated(
      writerViolations([wrote(1, 1), wrote(2, 5), wrote(1, 6)]),
      'one writer',
      /run 1: patch .* after run 2/,
    );
    assertViolated(writerViolations([wrote(0, 1), wrote(2, 5), wrote(1, 6)]), 'one writer', /run 1/);
  });

  const helm = (pid: number, firstSeen: number, lastSeen: number, parent = 1): HelmSeen => ({
    pid,
    verb: 'upgrade',
    parent,
    firstSeen,
    lastSeen,
  });

  it('two Helms at once are a violation', () => {
    assert.deepEqual(helmViolations([helm(1, 0, 5), helm(2, 6, 9)]), []);
    assertViolated(helmViolations([helm(1, 0, 5), helm(2, 5, 9)]), 'one writer', /\(1\) and helm upgrade \(2\)/);
  });

  it('a Helm of the post-job phase beside a live main phase is a violation', () => {
    const main = { pid: 10, startedAt: 0, endedAt: 4 };
    const postJob = { pid: 20, startedAt: 3, endedAt: 9 };
    assert.deepEqual(besideViolations([main, postJob], [helm(1, 1, 2, 10), helm(2, 5, 6, 20)]), []);
    const early = besideViolations([main, postJob], [helm(2, 3.5, 6, 20)]);
    assertViolated(early, 'one writer', /process 10 was still alive/);
    const never = besideViolations([{ ...main, endedAt: Infinity }, postJob], [helm(2, 5, 6, 20)]);
    assertViolated(never, 'one writer', /process 10/);
  });

  it('are known by their command lines', () => {
    const verb = (line: string): string | undefined => helmVerb(line.split(' '));
    assert.equal(verb('/bin/helm upgrade web chart --install'), 'upgrade');
    assert.equal(verb('/bin/helm rollback web 1'), 'rollback');
    assert.equal(verb('/bin/helm rollback web 1 --no-hooks --history-max 0'), undefined);
    assert.equal(verb('/bin/helm uninstall web'), 'uninstall');
    assert.equal(verb('/bin/helm upgrade web chart --dry-run=server'), undefined);
    assert.equal(verb('/bin/helm upgrade --help'), undefined);
    assert.equal(verb('/bin/helm version'), undefined);
  });
});

describe('other violations after an interruption', () => {
  it('an unanswered request to the application, or no request at all', () => {
    assert.deepEqual(availabilityViolations(10, []), []);
    const failures = [{ at: 'then', error: 'ECONNREFUSED' }];
    assertViolated(availabilityViolations(10, failures), 'answered every request', /1 of 10 .* then: ECONNREFUSED/);
    assertViolated(availabilityViolations(0, []), 'answered every request', /no request/);
  });

  it('a leftover file with credentials', () => {
    assert.deepEqual(fileViolations([]), []);
    const found = fileViolations([{ file: '_work/_temp/x/kubeconfig', holds: 'the token' }]);
    assertViolated(found, 'no credentials on disk', /kubeconfig holds the token/);
  });

  it('a leftover process', () => {
    assert.deepEqual(orphanViolations([], 'in the end'), []);
    assertViolated(orphanViolations([{ pid: 7, name: 'helm' }], 'in the end'), 'no orphan process', /helm \(7\)/);
  });

  it('a held lease, or one with unfinished work', () => {
    assert.deepEqual(leaseViolations(undefined, 'after job'), []);
    assert.deepEqual(leaseViolations({ holder: '', work: '' }, 'after job'), []);
    assertViolated(leaseViolations({ holder: 'run 7', work: '' }, 'after job'), 'lease released', /run 7/);
    assertViolated(leaseViolations({ holder: '', work: 'upgrade 2' }, 'after job'), 'lease released', /upgrade 2/);
  });

  it('a next run that does not do its work', () => {
    const wanted = ['deployed', 'recovered'];
    for (const outcome of wanted) assert.deepEqual(nextRunViolations('Succeeded', outcome, '', wanted), []);
    assertViolated(nextRunViolations('Failed', 'refused', 'pending', wanted), 'next run works', /refused: pending/);
    assertViolated(nextRunViolations('Succeeded', '', '', wanted), 'next run works', /no outcome/);
    assertViolated(nextRunViolations('Failed', 'deployed', '', wanted), 'next run works', /Failed/);
    assertViolated(nextRunViolations('Succeeded', 'planned', '', wanted), 'next run works', /planned/);
  });

  it('a change during the planning of a rollback', () => {
    const at = '2026-11-30T10:00:00.000000Z';
    const kept = { run: 1, at, what: 'create secrets/helm-safe-deploy.plan.web.0123' };
    assert.deepEqual(planViolations([kept]), []);
    const patch = { run: 1, at, what: 'patch deployments/web' };
    assertViolated(planViolations([kept, patch]), 'plan changes nothing', /run 1: patch deployments\/web/);

    const configMapWith = (a: string): StateOfObject => ({
      key: 'ConfigMap/web',
      uid: 'u',
      isTerminating: false,
      isKept: false,
      content: { data: { a } },
    });
    const before = { objects: [configMapWith('1')], records: [record(1, 'deployed')] };
    assert.deepEqual(unchangedViolations(before, structuredClone(before)), []);
    const edited = { ...before, objects: [configMapWith('2')] };
    assertViolated(unchangedViolations(before, edited), 'plan changes nothing', /ConfigMap\/web/);
    const gone = unchangedViolations(before, { objects: [], records: before.records });
    assertViolated(gone, 'plan changes nothing', /ConfigMap\/web: gone/);
    const more = { ...before, records: [record(1, 'superseded'), record(2, 'deployed')] };
    const messages = unchangedViolations(before, more).map(({ message }) => message.split(':')[0]);
    assert.deepEqual(messages, ['revision 1', 'revision 2']);
  });

  it('a cancelled step that needed more than SIGINT', () => {
    assert.deepEqual(signalViolations([]), []);
    assert.deepEqual(signalViolations(['SIGINT']), []);
    assertViolated(signalViolations(['SIGINT', 'SIGTERM', 'SIGKILL']), 'ends in time', /SIGTERM, SIGKILL/);
  });
});
