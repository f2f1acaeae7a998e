import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv, type ValidateFunction } from 'ajv';
import type { Expanded } from './expand';
import { productTasks, type ProductTask } from './tasks';

const file = path.join(import.meta.dirname, '..', '..', '..', '..', 'shared', 'schemas', 'azure-pipelines.schema.json');

/** Azure Pipelines' own schema is not part of this repository. Checks that need it are skipped without it. */
export const hasPipelineSchema = existsSync(file);

interface Schema {
  definitions: { task: { properties: { task: { anyOf: unknown[] } }; anyOf: unknown[] } };
}

let compiled: ValidateFunction | undefined;

/** The violations of Azure Pipelines' schema, extended by the inputs of our tasks. */
export function schemaProblems(expanded: Expanded): string[] {
  compiled ??= compile();
  const copy: unknown = JSON.parse(JSON.stringify(expanded), lowerBoolean);
  if (compiled(copy)) return [];
  // The first problems are those of branches that were never meant, so the deepest one is the most telling.
  const errors = [...(compiled.errors ?? [])].sort((one, other) => depth(other.instancePath) - depth(one.instancePath));
  return errors
    .slice(0, 3)
    .map(({ instancePath, message, params }) => `${instancePath}: ${message ?? ''} ${JSON.stringify(params)}`);
}

/** The service writes booleans in capitals. */
function lowerBoolean(_key: string, value: unknown): unknown {
  return value === 'True' || value === 'False' ? value.toLowerCase() : value;
}

function depth(pointer: string): number {
  return pointer.split('/').length;
}

function compile(): ValidateFunction {
  const schema = JSON.parse(readFileSync(file, 'utf8')) as Schema;
  const { task } = schema.definitions;
  for (const one of productTasks) {
    task.properties.task.anyOf.push({ enum: [one.reference] });
    task.anyOf.push(schemaOf(one));
  }
  // All scalars of an expanded pipeline are texts; the service converts them as it needs them.
  return new Ajv({ strict: false, unicodeRegExp: false, coerceTypes: true, allErrors: false, logger: false }).compile(
    schema,
  );
}

function schemaOf({ reference, inputs }: ProductTask): object {
  const properties = Object.fromEntries(inputs.map(({ name, type, options }) => [name, inputSchema(type, options)]));
  return {
    required: ['task', 'inputs'],
    properties: {
      task: { pattern: `^${reference}$` },
      inputs: {
        type: 'object',
        properties,
        additionalProperties: false,
        required: inputs.filter(({ required }) => required).map(({ name }) => name),
      },
    },
  };
}

function inputSchema(type: string, options: readonly string[] | undefined): object {
  if (options !== undefined) return { enum: [...options, ''] };
  return type === 'boolean' ? { enum: ['true', 'false'] } : { type: 'string' };
}
