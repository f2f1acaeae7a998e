import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createAgent, openExtension } from '../support/agent/index';
import { tinyFiles, writeExtension } from '../support/agent/tinyExtension';

describe('an extension', () => {
  const scratch: string[] = [];
  after(() => {
    for (const folder of scratch) fs.rmSync(folder, { recursive: true, force: true });
  });

  function write(files: Record<string, string>, as: 'folder' | 'vsix' = 'folder'): string {
    const written = writeExtension(files, as);
    scratch.push(as === 'vsix' ? path.dirname(written) : written);
    return written;
  }

  function open(source: string): ReturnType<typeof openExtension> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'unpacked-'));
    scratch.push(folder);
    return openExtension(source, folder);
  }

  const tiny = { main: `say('hello');` };

  it('gives the same tasks from a .vsix and from a folder, in both layouts', () => {
    const files = tinyFiles([
      { ...tiny, name: 'Versioned' },
      { ...tiny, name: 'Flat', layout: 'flat' },
    ]);
    for (const as of ['vsix', 'folder'] as const) {
      const extension = open(write(files, as));
      assert.deepEqual([extension.publisher, extension.id, extension.version], ['fabrikam', 'tiny', '1.2.3']);
      assert.deepEqual(
        extension.tasks.map((task) => `${task.name}@${task.version.major}`),
        ['Versioned@1', 'Flat@1'],
      );
    }
  });

  it('runs a job from a .vsix', async () => {
    const agent = createAgent({ extension: write(tinyFiles([tiny]), 'vsix') });
    try {
      const job = await agent.runJob({ steps: [{ task: 'Tiny@1' }] });
      assert.equal(job.step('Tiny').raw[0]?.line, 'hello');
    } finally {
      agent.dispose();
    }
    assert.ok(!fs.existsSync(agent.folders.home));
  });

  const broken: [name: string, change: (files: Record<string, string>) => void, message: RegExp][] = [
    ['without a manifest', (files) => delete files['extension.vsomanifest'], /has no extension\.vsomanifest/],
    [
      'that contributes no task',
      (files) => (files['extension.vsomanifest'] = '{"contributions":[]}'),
      /contributes no task/,
    ],
    ['whose manifest is no JSON', (files) => (files['extension.vsomanifest'] = '{'), /vsomanifest is not JSON/],
    [
      'whose task folder is missing',
      (files) =>
        (files['extension.vsomanifest'] =
          files['extension.vsomanifest']?.replace('"name":"Tiny"', '"name":"Gone"') ?? ''),
      /"Gone" has no folder/,
    ],
    [
      'whose task has no task.json',
      (files) => delete files['Tiny/TinyV1/task.json'],
      /"Tiny" of a task contribution has no task\.json/,
    ],
    [
      'whose target is missing',
      (files) => delete files['Tiny/TinyV1/main.js'],
      /the target "main\.js" of execution\.Node20_1 is not there/,
    ],
    [
      'whose task has no version',
      (files) =>
        (files['Tiny/TinyV1/task.json'] = files['Tiny/TinyV1/task.json']?.replace('"Patch":0', '"Fix":0') ?? ''),
      /no whole "version"/,
    ],
    [
      'with the same task twice',
      (files) => (
        (files['Tiny/TinyV2/task.json'] = files['Tiny/TinyV1/task.json'] ?? ''),
        (files['Tiny/TinyV2/main.js'] = '')
      ),
      /Two tasks are Tiny@1/,
    ],
    ['with a file outside itself', (files) => (files['../escaped.js'] = ''), /entry outside: \.\.\/escaped\.js/],
  ];
  for (const [name, change, message] of broken) {
    it(`${name} is refused by name`, () => {
      const files = tinyFiles([tiny]);
      change(files);
      assert.throws(() => open(write(files, 'vsix')), message);
    });
  }

  it('a task that needs a newer agent is refused', () => {
    const extension = write(tinyFiles([{ ...tiny, json: { minimumAgentVersion: '3.230.0' } }]));
    assert.throws(
      () => createAgent({ extension, version: '3.229.9' }),
      /Tiny needs an agent of version 3\.230\.0; this one is 3\.229\.9/,
    );
    createAgent({ extension, version: '4.0.0' }).dispose();
  });
});
