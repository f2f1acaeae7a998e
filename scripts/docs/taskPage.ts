import type { TaskInput, TaskJson } from '../package/packageUnderCheck';

/** The page of one task as Markdown: all of its inputs and outputs with the words of its task.json. */
export function taskPage(json: TaskJson): string {
  const { name = '', version, description = '', helpMarkDown = '' } = json;
  const reference = `${name}@${String(version?.Major)}`;
  return [
    `# ${reference}`,
    description,
    helpMarkDown,
    '## Inputs',
    ...groupsOf(json).flatMap(({ title, inputs }) => [`### ${title}`, ...inputs.map(inputEntry)]),
    '## Output variables',
    `Give the step a name, for example \`name: step\`. Later steps then read \`$(step.${firstOutput(json)})\`.`,
    ...(json.outputVariables ?? []).map((output) => `### ${output.name}\n\n${output.description ?? ''}`),
    '## See also',
    seeAlso,
  ].join('\n\n');
}

const seeAlso = [
  '- [Causes](../causes.md) of a failed rollout, [failures](../failures.md) of a step, and [findings](../plan-findings.md) of a plan',
  '- [Rights](../rights.md) that the service connection needs',
  '- [Troubleshooting](../troubleshooting.md)',
].join('\n');

function firstOutput({ outputVariables }: TaskJson): string {
  return outputVariables?.[0]?.name ?? '';
}

/** The inputs in the order of their groups, as the editor of a pipeline shows them. */
function groupsOf({ groups = [], inputs = [] }: TaskJson): { title: string; inputs: TaskInput[] }[] {
  const named = groups.map(({ name, displayName = name }) => ({
    title: displayName,
    inputs: inputs.filter(({ groupName }) => groupName === name),
  }));
  const ungrouped = inputs.filter(({ groupName }) => groups.every(({ name }) => name !== groupName));
  return [{ title: 'General', inputs: ungrouped }, ...named].filter((group) => group.inputs.length > 0);
}

function inputEntry(input: TaskInput): string {
  const { name, label = name, helpMarkDown = '' } = input;
  return [`#### ${name}`, `**${label}.** ${helpMarkDown}`, facts(input)].join('\n\n');
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'text',
  multiLine: 'text with several lines',
  boolean: '`true` or `false`',
  filePath: 'path of a file or folder',
  'connectedService:kubernetes': 'Kubernetes service connection',
  'connectedService:AzureRM': 'Azure Resource Manager service connection',
};

function facts({ type, required, defaultValue = '', aliases = [], visibleRule, options }: TaskInput): string {
  const value = String(defaultValue);
  const presence = value === '' ? `${required === true ? 'required' : 'optional'}, no default` : `default \`${value}\``;
  const condition = visibleRule === undefined ? '' : `; only with \`${visibleRule}\``;
  const names = aliases.length === 0 ? '' : `; also called ${aliases.map((alias) => `\`${alias}\``).join(', ')}`;
  const chosen = Object.entries(options ?? {}).map(([option, label]) => `  - \`${option}\`: ${label}`);
  const kind = options === undefined ? (typeWords[type] ?? type) : 'one of these';
  return [`- Type: ${kind}`, ...chosen, `- Value: ${presence}${condition}${names}`].join('\n');
}
