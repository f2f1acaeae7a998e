import type { AuditEvent, TestCluster } from '../../test/support/cluster';

export interface RequestCounts {
  /** By Helm, or by the Helm that the task runs. */
  readonly helm: number;
  /** By the task itself. */
  readonly task: number;
  /** Of all of them: answers that hold a list, single objects, watches, changes. */
  readonly lists: number;
  readonly watches: number;
  readonly changes: number;
  readonly total: number;
}

/** Counts, by the API server's audit log, what Helm and the task asked while `action` ran. */
export async function requestsBetween(cluster: TestCluster, action: () => Promise<unknown>): Promise<RequestCounts> {
  const since = new Date();
  await action();
  return countRequests(await cluster.auditEvents({ since, userAgent: /^(Helm\/|helm-safe-deploy$)/ }));
}

export function countRequests(events: readonly AuditEvent[]): RequestCounts {
  const count = (isCounted: (event: AuditEvent) => boolean): number => events.filter(isCounted).length;
  return {
    helm: count(({ userAgent }) => userAgent?.startsWith('Helm/') === true),
    task: count(({ userAgent }) => userAgent === 'helm-safe-deploy'),
    lists: count(({ verb }) => verb === 'list'),
    watches: count(({ verb }) => verb === 'watch'),
    changes: count(({ verb }) => changing.has(verb)),
    total: events.length,
  };
}

const changing: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);
