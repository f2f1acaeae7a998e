import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import os from 'node:os';
import type { AgentFolders } from './folders';

/** The identity of the job, the same for all its processes. */
export interface JobIdentity {
  readonly collectionUri: string;
  readonly project: string;
  readonly projectId: string;
  readonly definitionId: string;
  readonly definitionName: string;
  readonly buildId: string;
  readonly buildNumber: string;
  readonly planId: string;
  readonly timelineId: string;
  readonly jobId: string;
  readonly stageName: string;
  readonly stageAttempt: string;
  readonly phaseName: string;
  readonly phaseAttempt: string;
  readonly jobName: string;
  readonly jobDisplayName: string;
  readonly jobAttempt: string;
  readonly requestedFor: string;
  readonly requestedForId: string;
  readonly requestedForEmail: string;
  readonly repository: string;
  readonly sourceBranch: string;
  readonly sourceVersion: string;
  readonly sourceVersionMessage: string;
  readonly reason: string;
  readonly isFork: boolean;
  /** The token of SYSTEMVSSCONNECTION and of the secret variable System.AccessToken. */
  readonly accessToken: string;
  /** The environment of a deployment job. */
  readonly environment?: {
    readonly id: string;
    readonly name: string;
    readonly resourceId?: string;
    readonly resourceName?: string;
  };
}

export function jobIdentity(given: Partial<JobIdentity>): JobIdentity {
  const buildId = given.buildId ?? String(randomInt(1000, 1_000_000));
  return {
    collectionUri: 'https://dev.azure.com/fabrikam/',
    project: 'Fabrikam',
    projectId: '6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c',
    definitionId: '42',
    definitionName: 'fabrikam-deploy',
    buildId,
    buildNumber: `20240101.${buildId}`,
    planId: randomUUID(),
    timelineId: randomUUID(),
    jobId: randomUUID(),
    stageName: 'Deploy',
    stageAttempt: '1',
    phaseName: 'Deploy',
    phaseAttempt: '1',
    jobName: 'Job',
    jobDisplayName: 'Deploy',
    jobAttempt: '1',
    requestedFor: 'Jamal Hartnett',
    requestedForId: 'd291b0c4-a05c-4ea6-8df1-4b41d5f39eff',
    requestedForEmail: 'fabrikamfiber4@hotmail.com',
    repository: 'fabrikam',
    sourceBranch: 'refs/heads/main',
    sourceVersion: randomBytes(20).toString('hex'),
    sourceVersionMessage: 'Change the greeting',
    reason: 'Manual',
    isFork: false,
    accessToken: randomBytes(39).toString('base64url'),
    ...given,
  };
}

/** The public variables that the server and the agent set in every job. All of them are read-only. */
export function systemVariables(
  identity: JobIdentity,
  folders: AgentFolders,
  agent: { version: string; name: string },
): Record<string, string> {
  return {
    ...ofServer(identity),
    ...ofBuild(identity, folders),
    ...ofAgent(identity, folders, agent),
    ...ofEnvironment(identity),
  };
}

function ofServer(identity: JobIdentity): Record<string, string> {
  return {
    system: 'build',
    'system.hostType': 'build',
    'system.serverType': 'Hosted',
    'system.culture': 'en-US',
    'system.collectionId': '9f3c2a8e-5a41-4b0e-8f57-0d6a1d2b7c11',
    'system.collectionUri': identity.collectionUri,
    'system.teamFoundationCollectionUri': identity.collectionUri,
    'system.taskDefinitionsUri': identity.collectionUri,
    'system.teamProject': identity.project,
    'system.teamProjectId': identity.projectId,
    'system.definitionId': identity.definitionId,
    'system.definitionName': identity.definitionName,
    'system.planId': identity.planId,
    'system.timelineId': identity.timelineId,
    'system.jobId': identity.jobId,
    'system.jobName': identity.jobName,
    'system.jobDisplayName': identity.jobDisplayName,
    'system.jobIdentifier': `${identity.stageName}.${identity.phaseName}.${identity.jobName}`,
    'system.jobAttempt': identity.jobAttempt,
    'system.jobPositionInPhase': '1',
    'system.totalJobsInPhase': '1',
    'system.parallelExecutionType': 'None',
    'system.phaseName': identity.phaseName,
    'system.phaseDisplayName': identity.phaseName,
    'system.phaseAttempt': identity.phaseAttempt,
    'system.stageName': identity.stageName,
    'system.stageDisplayName': identity.stageName,
    'system.stageAttempt': identity.stageAttempt,
    'system.enableAccessToken': 'SecretVariable',
    'system.isAzureVM': '0',
    'system.isDockerContainer': '0',
    'system.pullRequest.isFork': identity.isFork ? 'True' : 'False',
    'system.oidcRequestUri': `${identity.collectionUri}${identity.projectId}/_apis/distributedtask/hubs/build/plans/${identity.planId}/jobs/${identity.jobId}/oidctoken`,
  };
}

function ofBuild(identity: JobIdentity, folders: AgentFolders): Record<string, string> {
  return {
    'build.buildId': identity.buildId,
    'build.buildNumber': identity.buildNumber,
    'build.buildUri': `vstfs:///Build/Build/${identity.buildId}`,
    'build.containerId': '1234567',
    'build.definitionName': identity.definitionName,
    'build.definitionVersion': '1',
    'build.queuedBy': identity.requestedFor,
    'build.queuedById': identity.requestedForId,
    'build.reason': identity.reason,
    'build.repository.id': '4f3c7a32-6a4a-4d1e-9b53-0a9a3b8d5e21',
    'build.repository.name': identity.repository,
    'build.repository.provider': 'TfsGit',
    'build.repository.uri': `${identity.collectionUri}${identity.project}/_git/${identity.repository}`,
    'build.repository.localPath': folders.sources,
    'build.repository.clean': 'False',
    'build.requestedFor': identity.requestedFor,
    'build.requestedForId': identity.requestedForId,
    'build.requestedForEmail': identity.requestedForEmail,
    'build.sourceBranch': identity.sourceBranch,
    'build.sourceBranchName': identity.sourceBranch.split('/').at(-1) ?? '',
    'build.sourceVersion': identity.sourceVersion,
    'build.sourceVersionAuthor': identity.requestedFor,
    'build.sourceVersionMessage': identity.sourceVersionMessage,
    'build.sourcesDirectory': folders.sources,
    'build.binariesDirectory': folders.binaries,
    'build.artifactStagingDirectory': folders.artifacts,
    'build.stagingDirectory': folders.artifacts,
    'common.testResultsDirectory': folders.testResults,
    'pipeline.workspace': folders.build,
    'system.artifactsDirectory': folders.artifacts,
    'system.defaultWorkingDirectory': folders.sources,
  };
}

function ofAgent(
  identity: JobIdentity,
  folders: AgentFolders,
  agent: { version: string; name: string },
): Record<string, string> {
  return {
    'agent.id': '1',
    'agent.name': agent.name,
    'agent.machineName': os.hostname(),
    'agent.os': process.platform === 'darwin' ? 'Darwin' : process.platform === 'win32' ? 'Windows_NT' : 'Linux',
    'agent.osArchitecture': os.arch().toUpperCase(),
    'agent.version': agent.version,
    'agent.isSelfHosted': '1',
    'agent.cloudId': '',
    'agent.jobName': identity.jobDisplayName,
    'agent.homeDirectory': folders.home,
    'agent.rootDirectory': folders.work,
    'agent.workFolder': folders.work,
    'agent.buildDirectory': folders.build,
    'agent.tempDirectory': folders.temp,
    'agent.toolsDirectory': folders.tools,
    'agent.readOnlyVariables': 'true',
    'agent.retainDefaultEncoding': 'false',
    'system.workFolder': folders.work,
    GIT_TERMINAL_PROMPT: '0',
  };
}

function ofEnvironment(identity: JobIdentity): Record<string, string> {
  const { environment } = identity;
  if (environment === undefined) return {};
  return {
    'environment.id': environment.id,
    'environment.name': environment.name,
    ...(environment.resourceId !== undefined && { 'environment.resourceId': environment.resourceId }),
    ...(environment.resourceName !== undefined && { 'environment.resourceName': environment.resourceName }),
  };
}
