import assert from 'node:assert/strict';
import { createSecretMasker } from '../support/agent/masking';
import { tinyAgents } from './tinyAgent';

describe('masking', () => {
  const agentWith = tinyAgents();

  it('a secret variable is masked unchanged, trimmed, unquoted, and in base64, JSON, URI and command form', () => {
    const secret = ' "p%w; \\ö" ';
    const masker = createSecretMasker();
    masker.addSecretVariable(secret);
    const forms = [
      secret,
      secret.trim(),
      Buffer.from(secret).toString('base64'),
      JSON.stringify(secret).slice(1, -1),
      encodeURIComponent(secret),
    ];
    for (const form of forms) assert.equal(masker.mask(`<${form}>`), '<***>', form);
    assert.equal(masker.mask(secret.replace('%', '%AZP25')), '***');
    const quoted = createSecretMasker();
    quoted.addSecretVariable("'inner-value'");
    assert.equal(quoted.mask('-inner-value-'), '-***-');
  });

  it('a part of a secret is shown, and overlapping or adjacent secrets become one mask', () => {
    const masker = createSecretMasker();
    for (const value of ['abcdef', 'defghi', 'xyz']) masker.add(value);
    assert.equal(masker.mask('abcde abcdefghi abcdefxyz!'), 'abcde *** ***!');
    assert.ok(masker.finds('_xyz_') && !masker.finds('xy'));
  });

  it('setsecret masks later output in the log and in issues, but not in the raw stream', async () => {
    const main = `
      say('early s3cr3t-value');
      say('##vso[task.setsecret]s3cr3t-value');
      say('late s3cr3t-value');
      fs.writeSync(2, 'stderr s3cr3t-value\\n');
      setTimeout(() => say('##vso[task.logissue type=error;]issue s3cr3t-value'), 20);`;
    const job = await agentWith([{ main }]).runJob({ steps: [{ task: 'Tiny@1' }] });
    const shown = job.log.map(({ text }) => text);
    assert.ok(shown.includes('late ***'));
    assert.equal(job.issues[0]?.message, 'issue ***');
    assert.ok(job.step('Tiny').raw.some(({ line }) => line === 'late s3cr3t-value'));
    assert.deepEqual(job.step('Tiny').secretsSet, ['s3cr3t-value']);
    assert.ok(job.holdsSecret('report: s3cr3t-value') && !job.holdsSecret('report: s3cr3t'));
  });

  it('connection parameters are masked in their encoded form, but not as a task decodes them', async () => {
    const apiToken = Buffer.from('decoded-token').toString('base64');
    const main = `
      const token = process.env['ENDPOINT_AUTH_PARAMETER_' + process.env.INPUT_C + '_APITOKEN'];
      say('encoded ' + token);
      say('decoded ' + Buffer.from(token, 'base64'));
      say('tenant ' + process.env['ENDPOINT_AUTH_PARAMETER_' + process.env.INPUT_C + '_TENANTID']);`;
    const agent = agentWith([{ main, inputs: [{ name: 'c', type: 'connectedService:kubernetes' }] }]);
    const job = await agent.runJob({
      endpoints: [{ name: 'k', url: 'https://x', scheme: 'Token', auth: { apiToken, tenantid: 'contoso' } }],
      steps: [{ task: 'Tiny@1', inputs: { c: 'k' } }],
    });
    const shown = job.log.map(({ text }) => text);
    assert.ok(
      shown.includes('encoded ***') && shown.includes('decoded decoded-token') && shown.includes('tenant contoso'),
    );
  });

  it('a kubeconfig of several lines is one secret, so no single line is masked', async () => {
    const kubeconfig = 'users:\n- token: topsecret\n';
    const main = `process.env['ENDPOINT_AUTH_PARAMETER_' + process.env.INPUT_C + '_KUBECONFIG'].split('\\n').forEach(say);`;
    const agent = agentWith([{ main, inputs: [{ name: 'c', type: 'connectedService:kubernetes' }] }]);
    const endpoints = [{ name: 'k', url: 'https://x', scheme: 'Kubernetes', auth: { kubeconfig } }];
    const job = await agent.runJob({ endpoints, steps: [{ task: 'Tiny@1', inputs: { c: 'k' } }] });
    assert.ok(job.log.some(({ text }) => text === '- token: topsecret'));
  });
});
