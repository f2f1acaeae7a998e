export const workActions = ['install', 'upgrade', 'rollback', 'uninstall'] as const;

/** A run of Helm, with the revision that it makes, or removes in the case of `uninstall`. */
export interface Work {
  action: (typeof workActions)[number];
  revision: number;
}

/** Returns true if the work undoes a deploy: a rollback, or the removal of a first install. */
export function takesBack(work: Work | undefined): boolean {
  return work?.action === 'rollback' || work?.action === 'uninstall';
}
