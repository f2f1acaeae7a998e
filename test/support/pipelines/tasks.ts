import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { TaskJson } from '../../../scripts/package/packageUnderCheck';

const repository = path.join(import.meta.dirname, '..', '..', '..');

export interface ProductTask {
  /** As pipelines name it, for example `HelmSafeDeploy@1`. */
  readonly reference: string;
  readonly inputs: readonly { name: string; required: boolean; options: readonly string[] | undefined; type: string }[];
  readonly outputs: readonly string[];
}

/** The tasks of this extension, from their task.json. */
export const productTasks: readonly ProductTask[] = ['HelmSafeDeploy', 'RolloutHealthCheck', 'ApproveAndRollback'].map(
  (name) => {
    const json = JSON.parse(readFileSync(path.join(repository, 'tasks', name, 'task.json'), 'utf8')) as TaskJson;
    const inputs = (json.inputs ?? []) as {
      name: string;
      required?: boolean;
      visibleRule?: string;
      defaultValue?: string;
      options?: object;
      type: string;
    }[];
    return {
      reference: `${name}@${String(json.version?.Major)}`,
      inputs: inputs.map(({ name: input, required, visibleRule, defaultValue, options, type }) => ({
        name: input,
        // A default or a rule that hides the input makes it one that a pipeline may leave out.
        required: required === true && visibleRule === undefined && (defaultValue ?? '') === '',
        options: options === undefined ? undefined : Object.keys(options),
        type,
      })),
      outputs: (json.outputVariables ?? []).map(({ name: output }) => output),
    };
  },
);

export function productTask(reference: string): ProductTask | undefined {
  return productTasks.find((task) => task.reference === reference);
}
