/** Names of what the main phase of a step tells its post-job phase. */
export const privateFolderVariable = 'helmSafeDeployPrivateFolder';
/** That the main phase is at work, and at which change; see core/lock/interruption. A word when it is over. */
export const interruptionVariable = 'helmSafeDeployInterruption';
/** Marks of the Helm that is at work and of its guard (see adapters/system/processes), one per line. */
export const childrenVariable = 'helmSafeDeployProcesses';
/** The digest of the plan that a rollback carries out. */
export const planDigestVariable = 'helmSafeDeployPlanDigest';
/** The approval that the main phase of a rollback has proven; see core/approval/judgeApproval. */
export const approvalVariable = 'helmSafeDeployApproval';
