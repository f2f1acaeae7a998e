import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { assumeKinds } from '../../tasks/common/adapters/gateway/assumeKinds';
import { rehearsalStage } from '../../tasks/common/adapters/gateway/rehearsalStage';
import { openGateway, type Gateway } from '../../tasks/common/adapters/gateway/openGateway';
import { privateFolder } from '../../tasks/common/adapters/agent/privateFolder';
import type { DeclaredKind } from '../../tasks/common/core/helm/chartCrds';
import { gatewayClient, type GatewayClient } from '../support/gatewayClient';
import { reply, startStubApiServer, type StubApiServer } from '../support/stubApiServer';

function kind(apiVersion: string, name: string, namespaced = true): DeclaredKind {
  const singular = name.toLowerCase();
  return { apiVersion, kind: name, plural: `${singular}s`, singular, namespaced };
}

const kinds = [kind('toys.example.com/v1', 'Toy'), kind('toys.example.com/v1', 'Box', false), kind('apps/v2', 'Doll')];
const aggregatedForm = 'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList';

const deployments = { resource: 'deployments', responseKind: { group: 'apps', version: 'v1', kind: 'Deployment' } };
const aggregated = {
  kind: 'APIGroupDiscoveryList',
  apiVersion: 'apidiscovery.k8s.io/v2',
  items: [
    { metadata: { name: 'apps' }, versions: [{ version: 'v1', freshness: 'Current', resources: [deployments] }] },
  ],
};
const names = {
  kind: 'APIGroupList',
  groups: [
    {
      name: 'apps',
      versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
      preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
    },
  ],
};

interface Discovered {
  metadata: { name: string };
  versions: { version: string; resources: { resource: string; scope?: string; responseKind: object }[] }[];
}

/** Resources as `group/version resource scope`. */
function resourcesOf(items: readonly Discovered[]): string[] {
  return items.flatMap(({ metadata, versions }) =>
    versions.flatMap(({ version, resources }) =>
      resources.map(({ resource, scope }) => [`${metadata.name}/${version}`, resource, scope].join(' ').trim()),
    ),
  );
}

describe('a cluster that already shows the kinds of a chart', () => {
  let api: StubApiServer;
  let gateway: Gateway;
  let client: GatewayClient;
  let temporary: string;
  let knowsAggregated: boolean;

  beforeEach(async () => {
    knowsAggregated = true;
    api = await startStubApiServer();
    api.handlers.push(({ path: asked, headers }, response) => {
      if (asked !== '/apis') return false;
      const isAggregated = knowsAggregated && headers.accept?.includes('APIGroupDiscoveryList') === true;
      if (!isAggregated) return reply(response, 200, names);
      return reply(response, 200, aggregated, { 'Content-Type': aggregatedForm });
    });
    temporary = mkdtempSync(path.join(tmpdir(), 'assume-'));
    const options = {
      kubeconfig: await api.kubeconfig(),
      namespace: 'shop',
      folder: privateFolder(temporary, () => undefined),
      environment: {},
      onSecret: () => undefined,
    };
    gateway = await openGateway(options, (upstream) =>
      assumeKinds(
        upstream,
        kinds,
        rehearsalStage(upstream, { release: 'web', namespace: 'shop' }, { newKinds: kinds }),
      ),
    );
    client = gatewayClient(gateway.kubeconfig);
  });

  afterEach(async () => {
    client.close();
    await gateway.close();
    await api.close();
    rmSync(temporary, { recursive: true, force: true });
  });

  it('lists all its kinds in the one discovery answer that Helm requests', async () => {
    const accept = `${aggregatedForm},application/vnd.kubernetes.protobuf,application/json`;
    const { headers, json } = await client.ask('/apis', { headers: { accept } });
    assert.equal(headers['content-type'], aggregatedForm);
    assert.equal(json['kind'], 'APIGroupDiscoveryList');
    const items = json['items'] as Discovered[];
    assert.deepEqual(resourcesOf(items), [
      'apps/v1 deployments',
      'apps/v2 dolls Namespaced',
      'toys.example.com/v1 toys Namespaced',
      'toys.example.com/v1 boxs Cluster',
    ]);
    const toy = items.at(-1)?.versions[0]?.resources[0]?.responseKind;
    assert.deepEqual(toy, { group: 'toys.example.com', version: 'v1', kind: 'Toy' });
    assert.ok(!api.requests.some(({ headers: sent }) => sent.accept?.includes('protobuf')));
  });

  it('lists them also for clients and API servers that know only the older discovery format', async () => {
    for (const accept of ['application/json', `${aggregatedForm},application/json`]) {
      knowsAggregated = false;
      const { json } = await client.ask('/apis', { headers: { accept } });
      const groups = json['groups'] as { name: string; versions: { groupVersion: string }[] }[];
      assert.deepEqual(
        groups.map(({ name, versions }) => [name, ...versions.map(({ groupVersion }) => groupVersion)]),
        [
          ['apps', 'apps/v1', 'apps/v2'],
          ['toys.example.com', 'toys.example.com/v1'],
        ],
      );
    }
  });

  it('has no object of these kinds, and writes nothing', async () => {
    const { status, json } = await client.ask('/apis/toys.example.com/v1/namespaces/shop/toys');
    assert.deepEqual([status, json['kind'], json['items']], [200, 'ToyList', []]);
  });
});
