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

/** Counts, by the API server's audit log, what Helm and the task have asked since then. */
export async function requestsSince(cluster: TestCluster, since: Date): Promise<RequestCounts> {
  return countRequests(await cluster.auditEvents({ since, userAgent: /^(Helm\/|helm-safe-deploy$)/ }));
}

const changing: ReadonlySet<string> = new Set(['create', 'update', 'patch', 'delete', 'deletecollection']);

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

export const noRequests = countRequests([]);
