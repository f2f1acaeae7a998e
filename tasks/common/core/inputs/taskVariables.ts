/** The variables by which the main phase of a step passes facts to its post-job phase. */
export const privateFolderVariable = 'helmSafeDeployPrivateFolder';
/** The change that the main phase works on (see core/lock/interruption), or a single word when it is over. */
export const interruptionVariable = 'helmSafeDeployInterruption';
/** Marks of the running Helm and of its guard (see adapters/system/processes), one per line. */
export const childrenVariable = 'helmSafeDeployProcesses';
export const planDigestVariable = 'helmSafeDeployPlanDigest';
export const approvalVariable = 'helmSafeDeployApproval';
/** The path of the Helm that the main phase took from the tool cache. */
export const helmVariable = 'helmSafeDeployHelm';
