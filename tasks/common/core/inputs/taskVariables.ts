/** Names of the variables by which the main phase of a step passes facts to its post-job phase. */
export const privateFolderVariable = 'helmSafeDeployPrivateFolder';
/**
 * Says that the main phase is at work and on which change; see core/lock/interruption. It holds a single word when the
 * work is over.
 */
export const interruptionVariable = 'helmSafeDeployInterruption';
/** Marks of the running Helm and of its guard (see adapters/system/processes), one per line. */
export const childrenVariable = 'helmSafeDeployProcesses';
/** The digest of the plan that a rollback executes. */
export const planDigestVariable = 'helmSafeDeployPlanDigest';
/** The approval that the main phase of a rollback has proven; see core/approval/judgeApproval. */
export const approvalVariable = 'helmSafeDeployApproval';
