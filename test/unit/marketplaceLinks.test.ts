import assert from 'node:assert/strict';
import { marketplaceLinks } from '../../scripts/package/marketplaceLinks';

describe('the links of the Marketplace page', () => {
  it('are all made from the address in package.json, at the tag of the version', () => {
    for (const url of ['https://example.com/o/r', 'git+https://example.com/o/r.git', 'https://example.com/o/r/']) {
      const { repository, links } = marketplaceLinks({ type: 'git', url }, '1.2.0') as {
        repository: object;
        links: Record<string, { uri: string }>;
      };
      assert.deepEqual(repository, { type: 'git', uri: 'https://example.com/o/r' });
      assert.equal(links['license']?.uri, 'https://example.com/o/r/blob/v1.2.0/LICENSE');
      assert.deepEqual(Object.keys(links).sort(), [
        'getstarted',
        'home',
        'issues',
        'learn',
        'license',
        'privacypolicy',
        'support',
      ]);
    }
  });

  it('are missing where there is no address', () => {
    assert.deepEqual(marketplaceLinks(undefined, '1.2.0'), {});
  });
});
