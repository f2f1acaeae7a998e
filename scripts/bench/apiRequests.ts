import type { AuditEvent, TestCluster } from '../../test/support/cluster';

export interface RequestCounts {
  /** Requests by Helm, or by the Helm that the task runs. */
  readonly helm: number;
  /** Requests by the task itself. */
  readonly task: number;
  /** The following numbers include both. Each page of a list counts as one list. */
  readonly lists: number;
  readonly watches: number;
  readonly changes: number;
  readonly total: number;
}

/** Counts the requests of Helm and the task since a time, from the audit log of the API server. */
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
