import type { TaskInput, TaskJson } from './packageUnderCheck';

/** What pipelines of users rely on in one major version of a task. */
export interface FrozenTask {
  inputs: Readonly<Record<string, FrozenInput>>;
  outputs: readonly string[];
}

interface FrozenInput {
  type: string;
  default: string;
  required: boolean;
  /** The keys of a pick list. More may come, none may go. */
  options?: readonly string[];
  aliases?: readonly string[];
}

/** Keyed by the reference in a pipeline, such as `HelmSafeDeploy@1`. */
export type FrozenTasks = Readonly<Record<string, FrozenTask>>;

export function frozenTask({ inputs = [], outputVariables = [] }: TaskJson): FrozenTask {
  return {
    inputs: Object.fromEntries(inputs.map((input) => [input.name, frozenInput(input)])),
    outputs: outputVariables.map(({ name }) => name),
  };
}

function frozenInput({ type, defaultValue = '', required = false, options, aliases }: TaskInput): FrozenInput {
  return {
    type,
    default: String(defaultValue),
    required,
    ...(options === undefined ? {} : { options: Object.keys(options) }),
    ...(aliases === undefined ? {} : { aliases }),
  };
}

/** What would break a pipeline that was written for the frozen tasks, one sentence each. */
export function brokenPromises(frozen: FrozenTasks, tasks: FrozenTasks): string[] {
  return Object.entries(frozen).flatMap(([name, before]) => {
    const now = tasks[name];
    if (now === undefined) return [`${name} is gone`];
    return [
      ...before.outputs
        .filter((output) => !now.outputs.includes(output))
        .map((output) => `${name}: output ${output} is gone`),
      ...Object.entries(before.inputs).flatMap(([input, was]) =>
        changesOf(was, now.inputs[input]).map((change) => `${name}: input ${input} ${change}`),
      ),
    ];
  });
}

function changesOf(was: FrozenInput, now: FrozenInput | undefined): string[] {
  if (now === undefined) return ['is gone'];
  const missing = (before: readonly string[] = [], after: readonly string[] = []) =>
    before.filter((each) => !after.includes(each));
  return [
    ...(now.type === was.type ? [] : [`has the type ${now.type} instead of ${was.type}`]),
    ...(now.default === was.default ? [] : [`has the default «${now.default}» instead of «${was.default}»`]),
    ...(now.required && !was.required ? ['is required now'] : []),
    ...missing(was.options, now.options).map((option) => `has lost the option ${option}`),
    ...missing(was.aliases, now.aliases).map((alias) => `has lost the alias ${alias}`),
  ];
}

/** Inputs and outputs that are not frozen yet, such as `HelmSafeDeploy@1: input set`. */
export function unfrozen(frozen: FrozenTasks, tasks: FrozenTasks): string[] {
  return Object.entries(tasks).flatMap(([name, now]) => {
    const before = frozen[name] ?? { inputs: {}, outputs: [] };
    return [
      ...Object.keys(now.inputs)
        .filter((input) => before.inputs[input] === undefined)
        .map((input) => `${name}: input ${input}`),
      ...now.outputs.filter((output) => !before.outputs.includes(output)).map((output) => `${name}: output ${output}`),
    ];
  });
}
