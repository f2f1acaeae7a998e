/** Names of what the main phase of a step tells its post-job phase. */
export const privateFolderVariable = 'helmSafeDeployPrivateFolder';
