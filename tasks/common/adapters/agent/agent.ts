import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TaskCommand } from 'azure-pipelines-task-lib/taskcommand.js';
import { neutralise, redactSeen, showLine, splitLines } from '../../core/text/foreignText';
import type { Agent } from '../../core/ports';
import { redactedDocument } from '../../core/text/redactedFields';
import { redactor, shortestSecret, type Redact } from '../../core/text/secrets';
import { attachmentNameLimit } from '../../core/report/attachmentName';
import type { TaskResult } from '../../core/report/report';
import { trustAgentAuthorities } from './agentAuthorities';
import { privateFolder, writeNew, type PrivateFolder } from './privateFolder';
import { takeTaskEnvironment, type TaskEnvironment } from './taskEnvironment';
import { privateFolderVariable } from '../../core/inputs/taskVariables';

export interface TaskAgent extends Agent {
  /** It was read before the first child process started. */
  readonly environment: TaskEnvironment;
  input: (name: string) => string | undefined;
  readonly isDebug: boolean;
  /** System.DefaultWorkingDirectory, where relative paths start. */
  readonly workingDirectory: string;
  /** Agent.TempDirectory, which the agent empties after the job. */
  readonly tempFolder: string;
  /** The folder holds files that must not outlive the step. */
  readonly privateFolder: PrivateFolder;
  /** Masks a credential in the agent's log and in all later output of this process. */
  mask(secret: string): void;
  secrets(): readonly string[];
  /** `Cancelled` is not among the results, because only the agent sets it. */
  complete(result: TaskResult, message: string): void;
}

interface AgentOptions {
  environment?: NodeJS.ProcessEnv;
  /** Gets whole lines with their line breaks; standard output by default. */
  write?: (text: string) => void;
}

/** Call this before anything reads the environment or starts a child process: it removes the secrets from it. */
export function createAgent(options: AgentOptions = {}): TaskAgent {
  const agent = connectAgent(options);
  trustAgentAuthorities(agent);
  return agent;
}

function connectAgent({ environment: source = process.env, write = toStdout }: AgentOptions): TaskAgent {
  const environment = takeTaskEnvironment(source);
  const secrets = [...environment.secrets];
  const published = new Set<string>();
  const rows = new Map<string, string>();
  const tempFolder = environment.variable('Agent.TempDirectory') || tmpdir();
  const isDebug = /^true$/i.test(environment.variable('System.Debug') ?? '');
  // A new secret clears this redactor.
  let known: Redact | undefined;
  const redact: Redact = (text) => redactSeen(text, (known ??= redactor(secrets)));
  // A group that stays empty is not shown.
  let groupToOpen: string | undefined;
  let groupIsOpen = false;

  const clean = (text: string): string[] => splitLines(text).map((line) => showLine(line, redact));
  const cleanText = (text: string): string => clean(text).join('\n');
  const line = (text: string): void => {
    write(`${text}\n`);
  };
  const command = (name: string, properties: Record<string, string>, data: string): void => {
    line(new TaskCommand(name, properties, data).toString());
  };
  const writeFile = (name: string, content: string): string => {
    const file = path.join(tempFolder, `${randomUUID()}-${fileName(name).slice(-80)}`);
    writeNew(file, redactedDocument(content, redact));
    return file;
  };
  const openGroup = (): void => {
    if (groupToOpen === undefined) return;
    line(`##[group]${groupToOpen}`);
    groupToOpen = undefined;
    groupIsOpen = true;
  };
  const endGroup = (): void => {
    if (groupIsOpen) line('##[endgroup]');
    groupToOpen = undefined;
    groupIsOpen = false;
  };
  const logLines = (text: string): void => {
    openGroup();
    clean(text).forEach(line);
  };
  const logCommand = (name: string, properties: Record<string, string>, data: string): void => {
    openGroup();
    command(name, properties, data);
  };

  const setTaskVariable = (name: string, value: string): void => {
    command('task.settaskvariable', { variable: name }, value);
  };

  return {
    environment,
    input: environment.input,
    isDebug,
    workingDirectory: environment.variable('System.DefaultWorkingDirectory') || process.cwd(),
    tempFolder,
    privateFolder: privateFolder(tempFolder, (folder) => {
      setTaskVariable(privateFolderVariable, folder);
    }),
    redact,
    secrets: () => secrets,
    log: logLines,
    debug: (text) => {
      if (isDebug) clean(text).forEach((each) => { logCommand('task.debug', {}, each); }); // prettier-ignore
    },
    startGroup: (title) => {
      // The log page cannot show nested groups.
      endGroup();
      groupToOpen = clean(title).join(' ');
    },
    endGroup,
    warning: (message) => {
      logCommand('task.logissue', { type: 'warning' }, cleanText(message));
    },
    error: (message) => {
      logCommand('task.logissue', { type: 'error' }, cleanText(message));
    },
    timeline: ({ key, name, type, state, result, progress, text }) => {
      const id = rows.get(key) ?? randomUUID();
      const isNew = !rows.has(key);
      rows.set(key, id);
      const properties: Record<string, string> = { id, state };
      if (isNew) Object.assign(properties, { name: cleanText(name), type, order: String(rows.size) });
      if (progress !== undefined) properties['progress'] = String(progress);
      if (state === 'Completed') properties['finishtime'] = new Date().toISOString();
      if (result !== undefined) properties['result'] = result;
      command('task.logdetail', properties, cleanText(text));
    },
    setOutput: (name, value, origin) => {
      if (published.has(name)) return;
      published.add(name);
      const shown = origin === 'own' ? splitLines(value).map(neutralise).join('\n') : cleanText(value);
      command('task.setvariable', { variable: name, isOutput: 'true' }, shown);
    },
    setTaskVariable,
    // eslint-disable-next-line @typescript-eslint/require-await -- a failed write must reject, not throw
    attach: async (attachmentType, name, content) => {
      const file = writeFile(name, content);
      command('task.addattachment', { type: attachmentType, name: fileName(name) }, file);
      return file;
    },
    // eslint-disable-next-line @typescript-eslint/require-await
    uploadSummary: async (name, markdown) => {
      command('task.uploadsummary', {}, writeFile(`${name}.md`, markdown));
    },
    mask: (secret) => {
      if (secret.trim() === '' || secrets.includes(secret)) return;
      secrets.push(secret);
      known = undefined;
      for (const each of splitLines(secret)) {
        if (each.trim().length >= shortestSecret) command('task.setsecret', {}, each.trim());
      }
    },
    complete: (result, message) => {
      endGroup();
      command('task.complete', { result }, cleanText(message));
    },
  };
}

/** Valid on every operating system, as the agent requires. */
function fileName(name: string): string {
  return name.replace(/[^\w.,-]+/g, '-').slice(-attachmentNameLimit);
}

/** If the agent is gone, the process must still go on until the cluster is in order. */
function toStdout(text: string): void {
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined);
  process.stdout.write(text);
}
