import { apiGroup } from '../kubernetes/manifest';
import type { KubeObject } from '../kubernetes/object';
import { quantity } from '../kubernetes/quantity';
import { textAt } from '../kubernetes/read';

export function isClaim({ apiVersion, kind }: Pick<KubeObject, 'apiVersion' | 'kind'>): boolean {
  return kind === 'PersistentVolumeClaim' && apiGroup(apiVersion) === '';
}

/**
 * Returns why a live claim cannot become as declared, or undefined. A claim cannot shrink: the API server refuses it
 * (pkg/apis/core/validation, ValidatePersistentVolumeClaimUpdate).
 */
export function grownWords(declared: KubeObject, live: KubeObject): string | undefined {
  const size = (claim: KubeObject): string => textAt(claim, 'spec', 'resources', 'requests', 'storage');
  const [wanted, found] = [quantity(size(declared)), quantity(size(live))];
  if (wanted === undefined || found === undefined || found <= wanted) return undefined;
  return `PersistentVolumeClaim/${live.metadata.name} keeps its ${size(live)}, because a claim cannot shrink to ${size(declared)}.`;
}
