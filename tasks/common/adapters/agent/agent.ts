import { randomUUID } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { TaskCommand } from 'azure-pipelines-task-lib/taskcommand.js';
import { neutralise, redactSeen, showLine, splitLines } from '../../core/text/foreignText';
import type { Agent } from '../../core/ports';
import { redactedDocument } from '../../core/text/redactedFields';
import { redactor, shortestSecret, type Redact } from '../../core/text/secrets';
import type { TaskResult } from '../../core/report/report';
import { privateFolder, writeNew, type PrivateFolder } from './privateFolder';
import { takeTaskEnvironment, type TaskEnvironment } from './taskEnvironment';
import { privateFolderVariable } from '../../core/inputs/taskVariables';

/** The port, and what only the task's frame needs. */
export interface TaskAgent extends Agent {
  /** What the agent handed over; all of it was read before the first child was started. */
  readonly environment: TaskEnvironment;
  input: (name: string) => string | undefined;
  readonly isDebug: boolean;
  /** System.DefaultWorkingDirectory: where relative paths start. */
  readonly workingDirectory: string;
  /** Agent.TempDirectory: emptied by the agent after the job. */
  readonly tempFolder: string;
  /** For what must not outlive the step; the post-job phase knows of it. */
  readonly privateFolder: PrivateFolder;
  /** Masks a credential from now on: in the agent's log, and in everything that this process writes. */
  mask(secret: string): void;
  /** All secrets known by now. */
  secrets(): readonly string[];
  /** Tells the agent how the step ended. There is no `Cancelled`: that word is the agent's. */
  complete(result: TaskResult, message: string): void;
}

export interface AgentOptions {
  /** Secrets are taken out of it, so that no child inherits them. */
  environment?: NodeJS.ProcessEnv;
  /** Takes whole lines, line break included: the task's standard output. */
  write?: (text: string) => void;
}

/** To be called once, before anything else of the process reads its environment or starts a child. */
export function createAgent({ environment: source = process.env, write = toStdout }: AgentOptions = {}): TaskAgent {
  const environment = takeTaskEnvironment(source);
  const secrets = [...environment.secrets];
  const published = new Set<string>();
  const rows = new Map<string, string>();
  const tempFolder = environment.variable('Agent.TempDirectory') || tmpdir();
  const isDebug = /^true$/i.test(environment.variable('System.Debug') ?? '');
  // Made anew when a secret has become known, and only then needed.
  let known: Redact | undefined;
  const redact: Redact = (text) => redactSeen(text, (known ??= redactor(secrets)));
  /** The title of a group in which nothing was said yet: one that stays empty is not shown. */
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
    const file = path.join(tempFolder, `${randomUUID()}-${fileName(name)}`);
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
  const say = (text: string): void => {
    openGroup();
    clean(text).forEach(line);
  };
  const sayCommand = (name: string, properties: Record<string, string>, data: string): void => {
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
    log: say,
    debug: (text) => {
      if (isDebug) clean(text).forEach((each) => { sayCommand('task.debug', {}, each); }); // prettier-ignore
    },
    startGroup: (title) => {
      // the page knows no groups inside groups
      endGroup();
      groupToOpen = clean(title).join(' ');
    },
    endGroup,
    warning: (message) => {
      sayCommand('task.logissue', { type: 'warning' }, cleanText(message));
    },
    error: (message) => {
      sayCommand('task.logissue', { type: 'error' }, cleanText(message));
    },
    timeline: ({ key, name, type, state, result, progress, text }) => {
      const id = rows.get(key) ?? randomUUID();
      const isNew = !rows.has(key);
      rows.set(key, id);
      const properties: Record<string, string> = { id, state };
      // A row without a parent is one of the step's own record.
      if (isNew) Object.assign(properties, { name: cleanText(name), type, order: String(rows.size) });
      if (progress !== undefined) properties['progress'] = String(progress);
      if (state === 'Completed') properties['finishtime'] = new Date().toISOString();
      if (result !== undefined) properties['result'] = result;
      command('task.logdetail', properties, cleanText(text));
    },
    setOutput: (name, value, origin) => {
      // the agent makes an output read-only
      if (published.has(name)) return;
      published.add(name);
      const shown = origin === 'own' ? splitLines(value).map(neutralise).join('\n') : cleanText(value);
      command('task.setvariable', { variable: name, isOutput: 'true' }, shown);
    },
    setTaskVariable,
    // eslint-disable-next-line @typescript-eslint/require-await -- what cannot be written is rejected, not thrown
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

/** The agent takes only names that every operating system takes for a file. */
function fileName(name: string): string {
  return name.replace(/[^\w.-]+/g, '-').slice(-80);
}

/** An agent that is gone reads no more: that is no reason to end before the cluster is left in order. */
function toStdout(text: string): void {
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', () => undefined);
  process.stdout.write(text);
}
