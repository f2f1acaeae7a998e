import { isBuiltin } from 'node:module';
import { parse } from 'acorn';
import AjvDraft04 from 'ajv-draft-04';
import { azureFile, credentialFile, guardFile, taskVersion } from '../build';
import { pngSize } from './packageUnderCheck';
import type { CheckContext, PackagedTask, TaskInput, TaskJson } from './packageUnderCheck';
import { partText } from './vsix';
import type { Parts } from './vsix';

/** Returns the problems of one task, one sentence each without the name of the task. */
type TaskRule = (task: PackagedTask, parts: Parts, context: CheckContext) => string[];

/** The first agent version that supports the handler Node20_1. */
const oldestAgent = '3.230.0';
const handlers = ['Node20_1', 'Node24'];
const phases = ['execution', 'prejobexecution', 'postjobexecution'] as const;

export function taskProblems(tasks: readonly PackagedTask[], parts: Parts, context: CheckContext): string[] {
  const rules = [
    schemaRule,
    identityRule,
    versionRule,
    textRule,
    handlerRule,
    entryRule,
    agentRule,
    restrictionRule,
    inputRule,
    readInputRule,
    iconRule,
    noticesRule,
    guardRule,
    partsRule,
  ] satisfies TaskRule[];
  const problems = tasks.flatMap((task) =>
    rules.flatMap((rule) => rule(task, parts, context).map((problem) => `${task.folder}: ${problem}`)),
  );
  return [...problems, ...sharedIds(tasks)];
}

const schemaRule: TaskRule = ({ json }, _parts, { taskSchema }) => {
  if (taskSchema === undefined) return [];
  // The schema has patterns such as `\:`, which the unicode flag forbids, and its own keywords.
  const validate = new AjvDraft04({ strict: false, unicodeRegExp: false, allErrors: true }).compile(taskSchema);
  if (validate(json)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) =>
      `task.json does not fit its schema: ${instancePath || 'the whole'} ${message ?? ''} ${JSON.stringify(params)}`,
  );
};

const identityRule: TaskRule = ({ folder, json }, _parts, { taskIds }) => {
  const name = json.name ?? '';
  const expected = `${name}/${name}V${String(json.version?.Major)}`;
  return [
    ...(folder === expected ? [] : [`the name and the major in task.json ask for the folder ${expected}`]),
    ...(json.id !== undefined && taskIds[name] === json.id
      ? []
      : [`id is ${String(json.id)}, but ${String(taskIds[name])} is fixed for ${name} in tasks/ids.json`]),
  ];
};

const versionRule: TaskRule = ({ json }, _parts, { version }) => {
  const expected = JSON.stringify(taskVersion(json.version?.Major ?? 1, version));
  const found = JSON.stringify(json.version);
  return found === expected ? [] : [`version is ${found}; extension ${version} asks for ${expected}`];
};

const textRule: TaskRule = ({ json }) => [
  ...lengthProblem('friendlyName', json.friendlyName, 40),
  ...lengthProblem('description', json.description, 200),
  ...lengthProblem('instanceNameFormat', json.instanceNameFormat, 200),
];

/** Checks that a text exists and is not longer than the Marketplace allows. */
export function lengthProblem(name: string, text: string | undefined, most: number): string[] {
  if (text === undefined || text.trim() === '') return [`${name} is missing`];
  return text.length <= most
    ? []
    : [`${name} has ${String(text.length)} characters; at most ${String(most)} are allowed`];
}

const handlerRule: TaskRule = ({ folder, json }, parts) => [
  ...(json.execution === undefined ? ['execution is missing'] : []),
  ...phases.flatMap((phase) => {
    const section = json[phase];
    if (section === undefined) return [];
    const names = Object.keys(section).sort();
    const wrongNames =
      names.join() === handlers.join()
        ? []
        : [`${phase} has the handlers ${names.join(', ')} instead of ${handlers.join(', ')}`];
    const missing = Object.entries(section).flatMap(([handler, { target }]) =>
      target !== undefined && parts.has(`${folder}/${target}`)
        ? []
        : [`${phase}.${handler}: its target ${String(target)} is not in the package`],
    );
    return [...wrongNames, ...missing];
  }),
];

/** The oldest Node that an agent may choose must be able to parse every file that the agent starts. */
const entryRule: TaskRule = ({ folder, json }, parts) => {
  const targets = new Set(
    phases.flatMap((phase) => Object.values(json[phase] ?? {}).flatMap(({ target }) => target ?? [])),
  );
  return [...targets].flatMap((target) => {
    const code = partText(parts, `${folder}/${target}`);
    if (code === undefined) return [];
    try {
      parse(code, { ecmaVersion: 5, sourceType: 'script' });
      return [];
    } catch (error) {
      return [
        `${target} is no ECMAScript 5, so an old Node cannot read what it has to say: ${(error as Error).message}`,
      ];
    }
  });
};

const agentRule: TaskRule = ({ json: { minimumAgentVersion } }) => {
  if (minimumAgentVersion === undefined) return ['minimumAgentVersion is missing'];
  if (isAtLeast(minimumAgentVersion, oldestAgent)) return [];
  return [`minimumAgentVersion ${minimumAgentVersion} is below ${oldestAgent}, the first that knows Node20_1`];
};

function isAtLeast(version: string, least: string): boolean {
  return version.localeCompare(least, 'en', { numeric: true }) >= 0;
}

const restrictionRule: TaskRule = ({ json }) => {
  const outputs = (json.outputVariables ?? []).map(({ name }) => name).sort();
  const allowed = [...(json.restrictions?.settableVariables?.allowed ?? ['everything'])].sort();
  return [
    ...(allowed.join() === outputs.join()
      ? []
      : [
          `restrictions.settableVariables.allowed is ${allowed.join(', ')}, the output variables are ${outputs.join(', ')}`,
        ]),
    ...(json.restrictions?.commands?.mode === 'restricted'
      ? ['restrictions.commands.mode restricted forbids the attachments and summaries that the task makes']
      : []),
    ...(json.outputVariables ?? []).flatMap(({ name, description }) =>
      description === undefined || description === '' ? [`output variable ${name} has no description`] : [],
    ),
  ];
};

const inputRule: TaskRule = ({ json }) => {
  const inputs = json.inputs ?? [];
  const repeated = inputs.filter(({ name }, index) => inputs.findIndex((input) => sameName(input.name, name)) < index);
  return [
    ...repeated.map(({ name }) => `input ${name} is there twice`),
    ...inputs.flatMap((input) => oneInput(input, json).map((problem) => `input ${input.name}: ${problem}`)),
  ];
};

/** The agent turns input names into environment variables in capitals, so case does not count. */
function sameName(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}

function oneInput(input: TaskInput, json: TaskJson): string[] {
  const inputs = json.inputs ?? [];
  const asked = [...(input.visibleRule ?? '').matchAll(/(\w+)\s*(?:!?=|NotContains|Contains)/g)].map(
    (match) => match[1],
  );
  const options = Object.keys(input.options ?? {});
  return [
    ...(input.aliases === undefined ? [] : ['has aliases; the agent may send only the canonical name']),
    ...(input.helpMarkDown === undefined || input.helpMarkDown === '' ? ['has no helpMarkDown'] : []),
    ...(input.groupName === undefined || json.groups?.some(({ name }) => name === input.groupName)
      ? []
      : [`its group ${input.groupName} is not defined`]),
    ...asked
      .filter((name) => !inputs.some((other) => other.name === name))
      .map((name) => `its visibleRule asks for ${String(name)}, which is no input`),
    ...(options.length > 0 && input.defaultValue !== undefined && !options.includes(String(input.defaultValue))
      ? [`its default ${String(input.defaultValue)} is none of its options`]
      : []),
  ];
}

const readInputRule: TaskRule = ({ json }, _parts, { inputs }) => {
  const declared = json.inputs ?? [];
  const code = inputs[json.name ?? ''];
  if (code === undefined) return ['nothing is known about the inputs that its code reads'];
  return [
    ...declared
      .filter(({ name }) => !code.read.includes(name))
      .map(({ name }) => `input ${name} of task.json is not read by the code`),
    ...code.read
      .filter((name) => declared.every((input) => input.name !== name))
      .map((name) => `input ${name} that the code reads is not in task.json`),
    ...declared.flatMap(({ name, defaultValue = '' }) => {
      const own = code.defaults[name];
      return own === undefined || own === String(defaultValue)
        ? []
        : [`input ${name} is "${String(defaultValue)}" by default, but "${own}" in the code`];
    }),
  ];
};

const iconRule: TaskRule = ({ folder }, parts) => {
  const size = pngSize(parts.get(`${folder}/icon.png`));
  return size?.width === 32 && size.height === 32 ? [] : ['icon.png is not a PNG of 32x32'];
};

const noticesRule: TaskRule = ({ folder }, parts) =>
  parts.has(`${folder}/ThirdPartyNotices.md`) ? [] : ['ThirdPartyNotices.md is missing'];

/** The guard must be small, because one runs beside each Helm, on agents that run many jobs. */
const mostGuardBytes = 16_000;

const guardRule: TaskRule = ({ folder }, parts) => {
  const guard = partText(parts, `${folder}/${guardFile}`);
  const isStarted = partText(parts, `${folder}/main.js`)?.includes(guardFile) === true;
  if (guard === undefined) return isStarted ? [`${guardFile}, which its bundle starts, is missing`] : [];
  const modules = [...guard.matchAll(/\brequire\(["'`]?([^"'`)]*)/g)].map(([, name = '']) => name);
  return [
    ...(isStarted ? [] : [`${guardFile} is there, but its bundle does not start it`]),
    ...(guard.length <= mostGuardBytes
      ? []
      : [`${guardFile} has ${String(guard.length)} characters; at most ${String(mostGuardBytes)} are allowed`]),
    ...modules
      .filter((name) => !isBuiltin(name))
      .map((name) => `${guardFile} needs ${name}; it may need nothing but Node`),
  ];
};

/** An agent unpacks them for each job. Helm starts the plug-in each time it runs. */
const mostPartBytes = { [azureFile]: 300_000, [credentialFile]: 4_000 };

const partsRule: TaskRule = ({ folder }, parts) => {
  const main = partText(parts, `${folder}/main.js`) ?? '';
  return Object.entries(mostPartBytes).flatMap(([file, most]) => {
    const part = parts.get(`${folder}/${file}`);
    if (part === undefined) return main.includes(file) ? [`${file}, which its bundle uses, is missing`] : [];
    return [
      ...(main.includes(file) ? [] : [`${file} is there, but its bundle does not use it`]),
      ...(part.length <= most ? [] : [`${file} has ${String(part.length)} bytes; at most ${String(most)} are allowed`]),
    ];
  });
};

function sharedIds(tasks: readonly PackagedTask[]): string[] {
  const names = new Map<string, string>();
  return tasks.flatMap(({ folder, json: { id = '', name = '' } }) => {
    const other = names.get(id.toLowerCase());
    names.set(id.toLowerCase(), name);
    return other === undefined || other === name ? [] : [`${folder}: id ${id} is also that of ${other}`];
  });
}
