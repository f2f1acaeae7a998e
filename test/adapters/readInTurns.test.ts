import assert from 'node:assert/strict';
import { readInTurns } from '../../tasks/common/adapters/helm/readInTurns';

/** Enough text for several turns on any machine. */
function largeManifest(name: string): string {
  const data = Array.from({ length: 200 }, (_, index) => `  key${index}: "value ${index} of ${name}"\n`).join('');
  const document = (index: number): string =>
    `---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}-${index}}\ndata:\n${data}`;
  return Array.from({ length: 2000 }, (_, index) => document(index)).join('');
}

describe('reading a large manifest in turns', () => {
  it('lets other work run between the documents', async () => {
    let turns = 0;
    let isDone = false;
    const count = (): void => {
      turns += 1;
      if (!isDone) setImmediate(count);
    };
    setImmediate(count);
    await readInTurns(largeManifest('turns'));
    isDone = true;
    assert.ok(turns > 2, `the event loop ran ${turns} times`);
  });
});
