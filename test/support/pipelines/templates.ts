import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { pipelineProblems } from './checks';
import { expandFile, expandText, type Expanded, type ExpandOptions } from './expand';
import type { Value } from './expression';
import { pipelineOf, type Pipeline } from './model';
import { hasPipelineSchema, schemaProblems } from './schema';

export const repository = path.join(import.meta.dirname, '..', '..', '..');

/** Pipelines name the repository of the templates so. */
const options: ExpandOptions = { repositories: { helmSafeDeploy: repository } };

/** A pipeline in the root of this repository that uses one stage template. */
export function expandStages(template: string, parameters: Readonly<Record<string, Value>>): Expanded {
  const pipeline = {
    stages: [{ template: `templates/stages/${template}.yml`, parameters }],
  };
  return expandText(JSON.stringify(pipeline), path.join(repository, 'azure-pipelines.yml'), options);
}

export function stagesOf(template: string, parameters: Readonly<Record<string, Value>>): Pipeline {
  return pipelineOf(expandStages(template, parameters));
}

/** What is wrong with an expanded pipeline, by Azure Pipelines' schema where it is there, and by our own checks. */
export function problemsOf(expanded: Expanded): string[] {
  return [...(hasPipelineSchema ? schemaProblems(expanded) : []), ...pipelineProblems(pipelineOf(expanded))];
}

export function examples(): string[] {
  return readdirSync(path.join(repository, 'templates', 'examples'));
}

export function expandExample(name: string): Expanded {
  return expandFile(path.join(repository, 'templates', 'examples', name), options);
}

export interface YamlBlock {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The YAML blocks of a Markdown file that are pipelines, and not objects of Kubernetes. */
export function pipelineBlocks(file: string): YamlBlock[] {
  const markdown = readFileSync(path.join(repository, file), 'utf8');
  return [...markdown.matchAll(/```ya?ml\n([^]*?)```/g)]
    .map(({ 1: text = '', index }) => ({ file, line: markdown.slice(0, index).split('\n').length + 1, text }))
    .filter(({ text }) => !/^(?:apiVersion|kind):|^# (?:Chart|values)/m.test(text));
}

/** A bare list in a document is a list of steps. */
export function expandBlock({ text }: YamlBlock): Expanded {
  return expandText(
    text.startsWith('- ') ? `steps:\n${text}` : text,
    path.join(repository, 'azure-pipelines.yml'),
    options,
  );
}

/** All Markdown files whose pipelines a user may copy. */
export function documents(): string[] {
  const inDocs = readdirSync(path.join(repository, 'docs'), { recursive: true })
    .map((name) => path.join('docs', String(name)))
    .filter((name) => name.endsWith('.md') && !name.includes('decisions'));
  return ['README.md', 'overview.md', ...inDocs];
}
