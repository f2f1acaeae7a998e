import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { createAgent, type TaskAgent } from '../../tasks/common/adapters/agent/agent';
import { publishDeploy, publishHealth, publishRollback } from '../../tasks/common/adapters/agent/publishReport';
import type { HealthReport } from '../../tasks/common/core/report/healthReport';
import type { DeployReport, ReportedObject } from '../../tasks/common/core/report/report';
import type { RollbackReport } from '../../tasks/common/core/rollbackPlan/document/rollbackReport';
import type { ChangePlan } from '../../tasks/common/core/rollbackPlan/model/types';

const printable = (most: number): fc.Arbitrary<string> =>
  fc
    .array(fc.integer({ min: 0x20, max: 0x7e }), { minLength: 3, maxLength: most, size: 'max' })
    .map((codes) => String.fromCharCode(...codes));

/** Any characters, and those with a meaning in Markdown, addresses and templates. */
const secretText = fc
  .oneof(
    printable(30),
    printable(4096),
    fc.constantFrom(
      'postgres://app:p*ss_w|rd<x>[y]&~#@db:5432/app',
      '__a_b__',
      '**a',
      'a|b',
      '${{ x }}',
      '$(x)y',
      '[a](b)',
    ),
  )
  .filter((text) => text.trim().length >= 3 && text.trim() === text && !/^\*+$/.test(text));

/** A foreign message with the secret in the middle, twice, and cut at both ends. */
function messageWith(secret: string): string {
  return `Invalid value: ${secret}: must be ${secret}\nand <b>${secret}</b>, ${secret.slice(0, -1)}`;
}

const object = (message: string): ReportedObject => ({
  kind: 'Deployment',
  apiVersion: 'apps/v1',
  name: 'web',
  namespace: 'shop',
  health: 'failed',
  status: 'InProgress',
  reason: 'CrashLoop',
  message,
  since: '2026-01-01T00:00:00.000Z',
  brokenBefore: message,
  isPreexisting: false,
});

const told = (message: string) => ({
  schemaVersion: 1 as const,
  release: 'shop',
  namespace: 'team',
  reason: 'CrashLoop',
  reasonGroup: 'runtimeConfig',
  timedOut: false,
  message,
  advice: `Look at ${message}`,
  failedWorkload: 'Deployment/web',
  startedAt: '2026-01-01T00:00:00.000Z',
  finishedAt: '2026-01-01T00:00:00.000Z',
  objects: [object(message)],
  evidence: [
    { object: 'Pod/web-1', kind: 'log' as const, title: `last lines of ${message}`, lines: [message, `x${message}`] },
  ],
});

function deployReport(message: string): DeployReport {
  return {
    ...told(message),
    task: 'HelmSafeDeploy',
    outcome: 'failed',
    revisionBefore: 911,
    revision: 912,
    verifiedRevision: null,
    servingRevision: null,
    servingHealth: 'unknown',
    chart: message,
    appVersion: message,
    helmVersion: 'v3',
    leftovers: [{ kind: 'ConfigMap', name: message, keptBecause: message }],
  };
}

function healthReport(message: string): HealthReport {
  return {
    ...told(message),
    task: 'RolloutHealthCheck',
    health: 'unhealthy',
    revision: 911,
    rollbackRevision: null,
    canRollBack: false,
    markedVerified: false,
  };
}

const digest = `sha256:911${'0'.repeat(61)}`;

function rollbackReport(message: string): RollbackReport {
  return {
    ...told(message),
    task: 'ApproveAndRollback',
    action: 'plan',
    workloads: [],
    outcome: 'planned',
    planDigest: digest,
    risk: 'high',
    targetRevision: 1,
    deletions: 0,
    revision: 2,
    healthBefore: '',
    health: '',
    restoredObjects: [],
    deletedObjects: [],
    heldBackDeletions: [],
    differences: [message],
    approvedBy: message,
    approvedAt: '',
    approval: message,
    helmVersion: 'v3',
  };
}

function planWith(message: string): ChangePlan {
  const facts = {
    revision: 1,
    status: 'deployed',
    proof: 'verified' as const,
    chart: message,
    appVersion: message,
    deployedAt: '',
    description: message,
    deployedBy: message,
  };
  return {
    schemaVersion: 1,
    change: 'rollback',
    subject: { kind: 'release', namespace: 'team', release: 'shop' },
    createdAt: '2026-01-01T00:00:00.000Z',
    digest,
    risk: 'high',
    toRevision: 'verified',
    present: facts,
    target: facts,
    passed: [facts],
    targetRecord: '',
    helm: { version: 'v3', provenance: 'release', rehearsal: 'completed' },
    allowPodDelete: false,
    objects: [
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        resource: 'deployments',
        namespace: 'team',
        name: 'web',
        fate: 'patched',
        reason: message,
        isLive: true,
        isInLast: true,
        isInTarget: true,
        isRehearsed: true,
        uid: '',
        owner: '',
        diff: [`-${message}`, `+${message}`],
        diffCut: 0,
        secretKeys: [],
        drift: [{ path: 'spec', live: message, becomes: message }],
        images: [{ container: 'web', from: message, becomes: message }],
        restartsPods: true,
        mayRunAgain: false,
        revisions: null,
        deletedBy: '',
        contentDigest: '',
        goWithIt: [],
        generated: [],
        changes: [{ path: 'spec', from: message, becomes: message }],
        fields: [{ path: 'spec', value: message, valueDigest: '' }],
        podTemplateDigest: '',
      },
    ],
    hooks: [],
    findings: [
      { code: 'HookRuns', severity: 'warning', object: '', message, allowedBy: '', isMomentary: false } as never,
    ],
    trappedPods: [],
    deletions: 0,
  };
}

/**
 * All output of the task as the reader of each channel sees it: commands decoded, JSON as its texts, Markdown
 * unescaped.
 */
function channels(lines: readonly string[]): string[] {
  const shown = lines.map((line) => line.trimEnd()).filter((line) => !line.startsWith('##vso[task.setsecret'));
  return shown.flatMap((line) => {
    const [, name = '', data = ''] = /^##vso\[([\w.]+)[^\]]*\](.*)$/s.exec(line) ?? [];
    if (name === 'task.addattachment' && data.endsWith('.json')) return textsIn(JSON.parse(readFileSync(data, 'utf8')));
    if (name === 'task.addattachment' || name === 'task.uploadsummary') return markdown(readFileSync(data, 'utf8'));
    if (name === '') return [line];
    return markdown(data.replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%AZP25', '%'));
  });
}

function markdown(text: string): string[] {
  return [text, text.replace(/\\([!-/:-@[-`{-~])/g, '$1')];
}

function textsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : [];
}

describe('the output of a task', () => {
  let temp = '';
  before(() => {
    temp = mkdtempSync(path.join(tmpdir(), 'leaks-'));
  });
  after(() => {
    rmSync(temp, { recursive: true, force: true });
  });

  function agentWith(secret: string): { agent: TaskAgent; lines: string[] } {
    const lines: string[] = [];
    const environment = { AGENT_TEMPDIRECTORY: temp, SECRET_PW: secret, SYSTEM_DEBUG: 'true' };
    return { agent: createAgent({ environment, write: (text) => lines.push(text) }), lines };
  }

  const publications: [string, (agent: TaskAgent, message: string) => Promise<unknown>][] = [
    ['a deploy', (agent, message) => publishDeploy(agent, deployReport(message))],
    ['a health check and its gate', (agent, message) => publishHealth(agent, healthReport(message), 'fail')],
    ['a plan', (agent, message) => publishRollback(agent, rollbackReport(message), planWith(message))],
  ];
  for (const [name, publish] of publications) {
    it(`no output contains a secret of any characters and length: ${name}`, async () => {
      await fc.assert(
        fc.asyncProperty(secretText, async (secret) => {
          const { agent, lines } = agentWith(secret);
          await publish(agent, messageWith(secret));
          for (const text of channels(lines)) {
            // A short secret may occur in our own words. The last redaction masks it everywhere except in JSON and
            // unescaped Markdown.
            const isTold = secret.length >= 8 && text.includes(secret);
            assert.ok(!isTold, `${JSON.stringify(secret)} in ${text.slice(0, 400)}`);
          }
        }),
        { numRuns: 25 },
      );
    });
  }

  it('a line, an issue, a row, an output and a debug line contain no secret', () => {
    fc.assert(
      fc.property(secretText, (secret) => {
        const { agent, lines } = agentWith(secret);
        const message = messageWith(secret);
        agent.log(message);
        agent.debug(message);
        agent.warning(message);
        agent.error(message);
        agent.startGroup(message);
        agent.setOutput('summary', message);
        agent.timeline({ key: 'a', name: message, type: 'Pod', state: 'InProgress', text: message });
        agent.complete('Failed', message);
        const said = channels(lines).map((text) => text.replace(/^##\[group\]/, ''));
        for (const text of said) assert.ok(!(secret.length >= 8 && text.includes(secret)), text.slice(0, 400));
      }),
      { numRuns: 50 },
    );
  });

  it('text that the task itself makes stays: digest, path and workload', async () => {
    const { agent, lines } = agentWith('911');
    await publishRollback(agent, rollbackReport('pin 911'), planWith('pin 911'));
    const all = lines.join('');
    assert.ok(all.includes(`variable=planDigest;isOutput=true;]${digest}\n`));
    const attached = /addattachment type=helm-safe-deploy\.plan[^\]]*\](.*)\n/.exec(all)?.[1] ?? '';
    const plan = JSON.parse(readFileSync(attached, 'utf8')) as ChangePlan;
    assert.equal(plan.digest, digest);
    assert.equal(plan.findings[0]?.message.split('\n')[0], 'pin ***');
  });

  it('outcome and outputs are set even where no file can be written', async () => {
    const lines: string[] = [];
    const environment = { AGENT_TEMPDIRECTORY: path.join(temp, 'gone') };
    const agent = createAgent({ environment, write: (text) => lines.push(text) });
    const end = await publishDeploy(agent, deployReport('no luck'));
    assert.equal(end.result, 'Failed');
    assert.match(end.message, /no luck/);
    const all = lines.join('');
    assert.match(all, /variable=outcome;isOutput=true;\]failed\n/);
    assert.match(all, /variable=reportPath;isOutput=true;\]\n/);
    assert.match(all, /type=warning;\]The report of this step could not be written/);
  });
});
