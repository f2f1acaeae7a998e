export const workActions = ['install', 'upgrade', 'rollback', 'uninstall'] as const;

/** A run of Helm, with the revision that it creates or uninstalls. */
export interface Work {
  action: (typeof workActions)[number];
  revision: number;
}

/** Returns true for a rollback and for the removal of a first install. */
export function takesBack(work: Work | undefined): boolean {
  return work?.action === 'rollback' || work?.action === 'uninstall';
}
