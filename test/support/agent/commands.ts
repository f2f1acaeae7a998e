import fs from 'node:fs';
import path from 'node:path';
import { escape, looksLikeCommand, parseCommand, unescape } from './command';
import type { LoggingCommand } from './command';
import { logDetail } from './logDetail';
import { addIssue, violation, writeDebug, writeOutput } from './stepContext';
import type { StepContext } from './stepContext';
import { isSettable } from './taskDefinition';
import { isTaskResult, worstResult } from './taskResult';

interface KnownCommand {
  /** True if the command is allowed where `commands.mode` is restricted. */
  readonly inRestrictedMode: boolean;
  /** Property names, in lower case, that the agent reads or task-lib sends. */
  readonly properties: readonly string[];
  readonly run: (step: StepContext, command: LoggingCommand, line: string) => void;
}

const issueProperties = [
  'type',
  'source',
  'correlationid',
  'auditaction',
  'sourcepath',
  'linenumber',
  'columnnumber',
  'code',
];
const variableProperties = ['variable', 'issecret', 'isoutput', 'isreadonly', 'preservecase'];
const detailProperties = [
  'id',
  'parentid',
  'type',
  'name',
  'order',
  'starttime',
  'finishtime',
  'progress',
  'state',
  'result',
];

const commands: Readonly<Record<string, KnownCommand>> = {
  'task.complete': { inRestrictedMode: true, properties: ['result', 'done'], run: complete },
  'task.setvariable': { inRestrictedMode: true, properties: variableProperties, run: setVariable },
  'task.settaskvariable': { inRestrictedMode: true, properties: variableProperties, run: setTaskVariable },
  'task.logissue': { inRestrictedMode: true, properties: issueProperties, run: logIssue },
  'task.issue': { inRestrictedMode: true, properties: issueProperties, run: logIssue },
  'task.logdetail': { inRestrictedMode: true, properties: detailProperties, run: logDetail },
  'task.setprogress': { inRestrictedMode: true, properties: ['value'], run: setProgress },
  'task.setsecret': { inRestrictedMode: true, properties: [], run: setSecret },
  'task.debug': {
    inRestrictedMode: true,
    properties: [],
    run: (step, { data }) => {
      writeDebug(step, data);
    },
  },
  'task.prependpath': { inRestrictedMode: true, properties: [], run: prependPath },
  'task.uploadsummary': { inRestrictedMode: false, properties: [], run: uploadSummary },
  'task.uploadfile': { inRestrictedMode: false, properties: [], run: uploadFile },
  'task.addattachment': { inRestrictedMode: false, properties: ['type', 'name'], run: addAttachment },
  'task.setendpoint': { inRestrictedMode: false, properties: ['id', 'field', 'key'], run: setEndpoint },
  'telemetry.publish': { inRestrictedMode: false, properties: ['area', 'feature'], run: () => undefined },
  'build.addbuildtag': { inRestrictedMode: false, properties: [], run: () => undefined },
  'build.updatebuildnumber': { inRestrictedMode: false, properties: [], run: () => undefined },
  'build.uploadlog': {
    inRestrictedMode: false,
    properties: [],
    run: (step, { data }) => {
      attach(step, 'build.uploadlog', path.basename(data), data);
    },
  },
  'artifact.upload': {
    inRestrictedMode: false,
    properties: ['artifactname', 'containerfolder'],
    run: (step, { data, properties }) => {
      attach(step, 'artifact.upload', properties.get('artifactname') ?? '', data);
    },
  },
};

const areas = new Set(Object.keys(commands).map((name) => name.split('.')[0]));

/** Reads one line of the task. A command is executed, any other line is shown. */
export function processLine(step: StepContext, line: string): void {
  const command = parseCommand(line);
  if (command === undefined) {
    if (looksLikeCommand(line)) warn(step, line, `'${line}' holds ##vso, but is not a command that the agent knows.`);
    writeOutput(step, line);
    return;
  }
  if (!areas.has(command.area)) {
    warn(step, line, `The agent has no commands for ##vso[${command.area}.*].`);
    return;
  }
  try {
    runCommand(step, command, line);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    violation(step, line, reason);
    addIssue(step, 'error', `Unable to process command '${line}' successfully.`);
    addIssue(step, 'error', reason);
    step.commandResult = 'Failed';
  } finally {
    if (command.event !== 'debug') writeDebug(step, `Processed: ${unescape(line)}`);
  }
}

function runCommand(step: StepContext, command: LoggingCommand, line: string): void {
  const name = `${command.area}.${command.event}`;
  const known = commands[name];
  if (known === undefined) throw new Error(`##vso[${name}] is not a command that the agent knows.`);
  const isRestricted = step.restrictions.some(({ commandsMode }) => commandsMode === 'restricted');
  if (isRestricted && !known.inRestrictedMode) {
    warn(step, line, `##vso[${name}] is not allowed in this step: commands are restricted.`);
    return;
  }
  const unknown = [...command.properties.keys()].filter((key) => !known.properties.includes(key));
  if (unknown.length > 0) violation(step, line, `${name} has no property ${unknown.join(', ')}: the agent ignores it.`);
  known.run(step, command, line);
}

function warn(step: StepContext, line: string, message: string): void {
  violation(step, line, message);
  addIssue(step, 'warning', message);
}

function needed(command: LoggingCommand, property: string): string {
  const value = command.properties.get(property);
  if (value === undefined) throw new Error(`${command.area}.${command.event} needs the property "${property}".`);
  return value;
}

/** A .NET boolean. Any text except true and false counts as not given. */
function flag(step: StepContext, command: LoggingCommand, line: string, property: string): boolean {
  const value = command.properties.get(property)?.trim().toLowerCase();
  if (value !== undefined && value !== 'true' && value !== 'false') {
    violation(step, line, `${property}=${value} is neither true nor false: the agent takes it for false.`);
  }
  return value === 'true';
}

function complete(step: StepContext, command: LoggingCommand, line: string): void {
  const result = command.properties.get('result') ?? '';
  if (!isTaskResult(result)) throw new Error(`task.complete has no valid result: "${result}".`);
  step.result = worstResult(step.result, result);
  step.record.message = step.job.masker.mask(command.data);
  advance(step, 100, command.data);
  if (flag(step, command, line, 'done')) step.onDone();
}

function advance(step: StepContext, percent: number, currentOperation: string): void {
  const before = step.record.progress.at(-1)?.percent ?? 0;
  step.record.progress.push({ percent: Math.max(before, percent), currentOperation });
}

function setProgress(step: StepContext, command: LoggingCommand, line: string): void {
  const value = command.properties.get('value') ?? '';
  if (!/^-?\d+$/.test(value)) violation(step, line, `setprogress has no whole number: "${value}".`);
  advance(step, Math.min(Math.max(Number.parseInt(value, 10) || 0, 0), 100), command.data);
}

function setVariable(step: StepContext, command: LoggingCommand, line: string): void {
  const { job, record } = step;
  const name = needed(command, 'variable');
  const [secret, isOutput, readOnly] = flags(step, command, line);
  const output = isOutput || step.task.outputVariables.some((known) => known.toLowerCase() === name.toLowerCase());
  const stored = output ? `${record.name}.${name}` : name;
  if (job.variables.isReadOnly(name) || job.variables.isReadOnly(stored)) {
    throw new Error(`The variable '${stored}' is read-only.`);
  }
  if (secret) {
    refuseLines(command.data);
    job.masker.add(escape(command.data));
  }
  if (!step.restrictions.every((restrictions) => isSettable(restrictions, name))) {
    warn(step, line, `Setting the variable '${name}' is not allowed by the task's restrictions.`);
    return;
  }
  const preserveCase = flag(step, command, line, 'preservecase');
  job.variables.set(stored, command.data, { secret, readOnly: isOutput || readOnly, preserveCase });
  if (output) record.outputs[name] = command.data;
  record.variablesSet.push({ name, value: command.data, secret, output, readOnly: isOutput || readOnly });
}

function setTaskVariable(step: StepContext, command: LoggingCommand, line: string): void {
  const name = needed(command, 'variable');
  const [secret, , readOnly] = flags(step, command, line);
  if (step.taskVariables.isReadOnly(name)) throw new Error(`The task variable '${name}' is read-only.`);
  if (secret) refuseLines(command.data);
  const preserveCase = flag(step, command, line, 'preservecase');
  step.taskVariables.set(name, command.data, { secret, readOnly, preserveCase });
  step.record.taskVariablesSet.push({ name, value: command.data, secret, output: false, readOnly });
}

function flags(step: StepContext, command: LoggingCommand, line: string): [boolean, boolean, boolean] {
  return [
    flag(step, command, line, 'issecret'),
    flag(step, command, line, 'isoutput'),
    flag(step, command, line, 'isreadonly'),
  ];
}

function refuseLines(secret: string): void {
  if (secret.includes('\n')) throw new Error('Secrets cannot contain multiple lines.');
}

function setSecret(step: StepContext, command: LoggingCommand, line: string): void {
  if (/[\r\n]/.test(command.data))
    violation(step, line, 'setsecret of several lines: no single log line can match it.');
  step.job.masker.add(command.data);
  if (command.data !== '') step.record.secretsSet.push(command.data);
}

function logIssue(step: StepContext, command: LoggingCommand, line: string): void {
  const type = command.properties.get('type')?.toLowerCase();
  if (type === undefined) {
    warn(step, line, 'An issue without a type cannot be made.');
    return;
  }
  if (type !== 'error' && type !== 'warning') throw new Error(`The issue type "${type}" is neither error nor warning.`);
  const data = Object.fromEntries(command.properties);
  addIssue(step, type, located(command, type), data);
}

// An issue with a source path is shown in the form of compiler messages.
function located({ properties, data }: LoggingCommand, type: string): string {
  const file = properties.get('sourcepath');
  if (file === undefined) return data;
  const place = `${properties.get('linenumber') ?? ''},${properties.get('columnnumber') ?? ''}`;
  return `${file}(${place}): ${type} ${properties.get('code') ?? ''}: ${data}`;
}

function prependPath(step: StepContext, command: LoggingCommand, line: string): void {
  if (!step.restrictions.every((restrictions) => isSettable(restrictions, 'PATH'))) {
    warn(step, line, "Setting the variable 'PATH' is not allowed by the task's restrictions.");
    return;
  }
  if (command.data === '') throw new Error('task.prependpath needs a folder.');
  const { prependPath: folders } = step.job;
  const before = folders.indexOf(command.data);
  if (before >= 0) folders.splice(before, 1);
  folders.push(command.data);
  step.record.prependedPaths.push(command.data);
}

function uploadSummary(step: StepContext, { data }: LoggingCommand): void {
  const content = attach(step, 'Distributedtask.Core.Summary', path.basename(data), data);
  step.record.summaries.push(content.toString('utf8'));
}

function uploadFile(step: StepContext, { data }: LoggingCommand): void {
  attach(step, 'DistributedTask.Core.FileAttachment', path.basename(data), data);
}

function addAttachment(step: StepContext, command: LoggingCommand): void {
  attach(step, needed(command, 'type'), needed(command, 'name'), command.data);
}

function attach(step: StepContext, type: string, name: string, file: string): Buffer {
  if (name === '') throw new Error('An attachment needs a name.');
  if (/[/\0]/.test(type + name))
    throw new Error(`"${type}" or "${name}" holds a character that file names cannot have.`);
  // A task cannot know the agent's own working directory, so only absolute paths are found.
  if (!path.isAbsolute(file) || !fs.existsSync(file) || !fs.statSync(file).isFile()) {
    throw new Error(`The file "${file}" of the attachment "${name}" does not exist.`);
  }
  const content = fs.readFileSync(file);
  step.record.attachments.push({ type, name, file, content });
  return content;
}

function setEndpoint(step: StepContext, command: LoggingCommand): void {
  const field = needed(command, 'field').toLowerCase();
  if (command.data === '') throw new Error('task.setendpoint needs a value.');
  if (field === 'authparameter') step.job.masker.add(command.data);
  const id = needed(command, 'id').toLowerCase();
  const endpoint = step.job.endpoints.find((known) => known.id === id);
  if (endpoint === undefined) throw new Error(`The service connection ${id} is not one of this job.`);
  if (field === 'url') endpoint.url = new URL(command.data).href;
  else if (field === 'dataparameter') endpoint.data[needed(command, 'key')] = command.data;
  else if (field === 'authparameter') endpoint.auth[needed(command, 'key')] = command.data;
  else throw new Error(`task.setendpoint knows no field "${field}".`);
}
