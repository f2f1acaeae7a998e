import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { repository } from '../../scripts/build';
import { generatedPages } from '../../scripts/docs/pages';

describe('a page that is written from the code', () => {
  let pages: Map<string, string>;

  before(async () => {
    pages = await generatedPages(repository);
  });

  it('is committed as the generator writes it', () => {
    const outdated = [...pages].filter(([page, text]) => committed(page) !== text).map(([page]) => page);
    assert.deepEqual(outdated, [], `Run «npm run docs» and commit what it changes: ${outdated.join(', ')}`);
  });

  it('exists for each task, for failures, findings and rights', () => {
    const tasks = ['ApproveAndRollback', 'HelmSafeDeploy', 'RolloutHealthCheck'].map((name) => `docs/tasks/${name}.md`);
    const expected = [...tasks, 'docs/failures.md', 'docs/plan-findings.md', 'docs/rights.md'];
    assert.deepEqual([...pages.keys()], expected);
  });
});

function committed(page: string): string {
  const file = path.join(repository, page);
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}
