import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';

const schema = JSON.parse(readFileSync(new URL('../../docs/plan.schema.json', import.meta.url), 'utf8')) as object;

const time = { validate: (text: string) => !Number.isNaN(Date.parse(text)) && /^\d{4}-.*Z$/.test(text) };

const validate = new Ajv({ allErrors: true, formats: { 'date-time': time } }).compile(schema);

/** The violations of docs/plan.schema.json in a plan. */
export function planProblems(plan: unknown): string[] {
  validate(plan);
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath}: ${message ?? ''}`);
}

export function assertPlan(plan: unknown): void {
  assert.deepEqual(planProblems(plan), []);
}
