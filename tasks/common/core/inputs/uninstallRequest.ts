import type { RepairRequest } from './deployRequest';

/** The request of a step with `action: uninstall`. */
export interface UninstallRequest extends RepairRequest {
  /** The timeout until the last object is gone. */
  timeoutSeconds: number;
  /** A release that another program left pending counts as abandoned at this age. */
  assumeAbandonedAfterSeconds: number;
  /** Helm's records stay, and the last one becomes `uninstalled`. */
  keepHistory: boolean;
  /** The namespace goes too if nothing else is in it. */
  deleteNamespace: boolean;
  /** Objects that may hold data go too. */
  deleteData: boolean;
}
