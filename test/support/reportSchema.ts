import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';

const schema = JSON.parse(readFileSync(new URL('../../docs/report.schema.json', import.meta.url), 'utf8')) as {
  oneOf: unknown;
  definitions: object;
};

const time = { validate: (text: string) => !Number.isNaN(Date.parse(text)) && /^\d{4}-.*Z$/.test(text) };

const ajv = new Ajv({ allErrors: true, formats: { 'date-time': time } });

/**
 * Validates with the part of docs/report.schema.json for this task, because `oneOf` would only report that no part
 * matches.
 */
const validators = {
  HelmSafeDeploy: ajv.compile({ ...schema, oneOf: [{ $ref: '#/definitions/deploy' }] }),
  RolloutHealthCheck: ajv.compile({ ...schema, oneOf: [{ $ref: '#/definitions/health' }] }),
  ApproveAndRollback: ajv.compile({ ...schema, oneOf: [{ $ref: '#/definitions/rollback' }] }),
};

/** The violations of docs/report.schema.json in a report. */
export function reportProblems(report: { task: keyof typeof validators } | undefined): string[] {
  if (report === undefined) return ['there is no report'];
  const validate = validators[report.task];
  validate(report);
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath}: ${message ?? ''} ${JSON.stringify(params)}`,
  );
}

export function assertReport(report: { task: keyof typeof validators } | undefined): void {
  assert.deepEqual(reportProblems(report), []);
}
