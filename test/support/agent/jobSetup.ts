import { randomUUID } from 'node:crypto';
import { systemConnection, toEndpoint } from './endpoint';
import type { Endpoint } from './endpoint';
import { findTask } from './extension';
import type { Extension } from './extension';
import { systemVariables } from './identity';
import type { JobIdentity } from './identity';
import type { JobHost, JobSpec } from './job';
import { lineKind } from './log';
import type { AgentLogLine } from './log';
import { createSecretMasker, isSecretAuthorizationParameter } from './masking';
import type { StepSpec } from './stepHost';
import type { JobContext } from './stepContext';
import type { Restrictions, TaskDefinition } from './taskDefinition';
import { createVariables } from './variables';
import type { Variables } from './variables';

/** A step of the job with the state that its stages share. */
export interface PlannedStep {
  readonly spec: StepSpec;
  readonly task: TaskDefinition;
  readonly id: string;
  readonly name: string;
  readonly taskVariables: Variables;
}

export function createJobContext(
  host: JobHost,
  spec: JobSpec,
  identity: JobIdentity,
  onLine: (line: AgentLogLine) => void,
): JobContext {
  const masker = createSecretMasker();
  const variables = createVariables(masker);
  for (const [name, value] of Object.entries(spec.variables ?? {})) variables.set(name, value);
  for (const [name, value] of Object.entries(spec.secrets ?? {})) {
    masker.addSecretVariable(value);
    variables.set(name, value, { secret: true });
  }
  for (const [name, value] of Object.entries(systemVariables(identity, host.folders, host))) {
    variables.set(name, value, { readOnly: true });
  }
  masker.addSecretVariable(identity.accessToken);
  variables.set('system.accessToken', identity.accessToken, { secret: true, readOnly: true });
  variables.set('agent.jobstatus', 'Succeeded', { readOnly: true });
  variables.recalculate();
  const endpoints = (spec.endpoints ?? []).map(toEndpoint);
  endpoints.push(systemConnection(identity.collectionUri, identity.accessToken));
  maskEndpoints(endpoints, masker.add);
  for (const { ticket } of spec.secureFiles ?? []) masker.add(ticket);
  let number = 0;
  const append = (step: string, stage: AgentLogLine['stage'], text: string): AgentLogLine => {
    number += 1;
    const line = { number, at: new Date(), step, stage, kind: lineKind(text), text };
    onLine(line);
    return line;
  };
  return { masker, variables, endpoints, prependPath: [...(spec.prependPath ?? [])], timeline: new Map(), append };
}

function maskEndpoints(endpoints: readonly Endpoint[], add: (value: string) => void): void {
  for (const { auth } of endpoints) {
    for (const [name, value] of Object.entries(auth)) if (isSecretAuthorizationParameter(name)) add(value);
  }
}

export function planSteps(extension: Extension, spec: JobSpec, context: JobContext): PlannedStep[] {
  const names = new Set<string>();
  return spec.steps.map((step, index) => {
    const task = findTask(extension, step.task);
    const name = step.name ?? (names.has(task.name) ? `${task.name}${index}` : task.name);
    if (names.has(name)) throw new Error(`Two steps of the job have the name ${name}.`);
    names.add(name);
    return { spec: step, task, id: randomUUID(), name, taskVariables: createVariables(context.masker) };
  });
}

export function restrictionsOf({ spec, task }: PlannedStep): Restrictions[] {
  const { target } = spec;
  if (target === undefined) return [task.restrictions];
  return [task.restrictions, { commandsMode: target.commands ?? 'any', settableVariables: target.settableVariables }];
}

export function setTaskScope(variables: Variables, { id, task }: PlannedStep, displayName: string): void {
  const scope = {
    'task.displayName': displayName,
    'task.publishTelemetry': 'False',
    'system.taskDisplayName': displayName,
    'system.taskInstanceId': id,
    'system.taskInstanceName': task.name,
  };
  for (const [name, value] of Object.entries(scope)) variables.set(name, value, { readOnly: true });
}
