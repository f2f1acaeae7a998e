import { storedRevision } from '../../core/release/releaseRecord';
import type { ApiTarget } from './apiRequest';

export interface ReleaseName {
  release: string;
  namespace: string;
}

export function isStorage({ release, namespace }: ReleaseName, target: ApiTarget, name: string): boolean {
  const isKind = target.apiVersion === 'v1' && (target.resource === 'secrets' || target.resource === 'configmaps');
  return isKind && target.namespace === namespace && storedRevision(release, name) !== undefined;
}
