import assert from 'node:assert/strict';
import { testedHelms } from '../../scripts/cluster/pins';
import { factDifferences, knownFacts } from '../../scripts/helm/facts';
import { measure } from '../../scripts/helm/probes';
import { cluster as testCluster, type TestCluster } from '../support/cluster';

describe('measured facts about Helm that the tasks rely on', function () {
  this.timeout(600_000);
  let cluster: TestCluster;

  before(async () => {
    cluster = await testCluster();
  });

  for (const version of testedHelms) {
    it(`Helm ${version} behaves as it was measured`, async function () {
      const helm = cluster.helms[version] ?? this.skip();
      const said: string[] = [];
      const facts = await measure({ cluster, helm, log: (line) => said.push(line) }).catch((error: unknown) => {
        throw new Error(`After «${said.at(-1) ?? ''}»`, { cause: error });
      });
      assert.deepEqual(factDifferences(knownFacts[version], facts), []);
    });
  }
});
