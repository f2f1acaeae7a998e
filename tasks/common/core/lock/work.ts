export const workActions = ['install', 'upgrade', 'rollback', 'uninstall'] as const;

/** A run of Helm, and the revision that it makes (that it removes, for `uninstall`). */
export interface Work {
  action: (typeof workActions)[number];
  revision: number;
}

/** Whether it takes a deploy back: a rollback, or the removal of a first install. */
export function takesBack(work: Work | undefined): boolean {
  return work?.action === 'rollback' || work?.action === 'uninstall';
}
