export const workActions = ['install', 'upgrade', 'rollback', 'uninstall'] as const;

/** A run of Helm, and the revision that it makes (that it removes, for `uninstall`). */
export interface Work {
  action: (typeof workActions)[number];
  revision: number;
}

/** Whether it takes a deploy back. */
export function takesBack({ action }: Work): boolean {
  return action === 'rollback' || action === 'uninstall';
}
