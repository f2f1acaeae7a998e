import type { ReportedEvidence } from '../../tasks/common/core/report/report';
import { cell, codeBlock } from '../../tasks/common/core/text/markdown';
import type { PlanView } from './planView';
import { timeWords, type StepView } from './step';
import type { Tree, TreeNode } from './tree';

const logLines = 12;

/** A report as Markdown for a chat: no table, the answers first. `link` is the address of the run, or empty. */
export function incidentMarkdown(view: StepView, plan: PlanView | undefined, link: string): string {
  const answers = view.answers.map(({ question, text, code, lines, quote }) => {
    const own = `- **${question}:** ${cell(text)}${code === '' ? '' : ` (${cell(code)})`}`;
    const more = quote === '' ? lines : [...lines, quote];
    return [own, ...more.map((line) => `  - ${cell(line)}`)].join('\n');
  });
  const evidence = lastEvidence(view.tree);
  const parts = [
    `**${cell(view.sentence)}** (${[view.word, timeWords(view.finishedAt)].filter((part) => part !== '').join(', ')})`,
    answers.join('\n'),
    evidence === undefined
      ? ''
      : `${cell(evidence.object)}, ${cell(evidence.title)}:\n\n${codeBlock(evidence.lines.slice(-logLines))}`,
    plan === undefined ? '' : plan.markdown,
    link,
  ];
  return parts.filter((part) => part !== '').join('\n\n') + '\n';
}

/** The log of the first failure, or else the first evidence. */
function lastEvidence({ workloads, others, loose }: Tree): ReportedEvidence | undefined {
  const all = [...workloads, ...others].flatMap(evidenceOf).concat(loose);
  return all.find(({ kind }) => kind === 'log') ?? all[0];
}

function evidenceOf({ evidence, children }: TreeNode): readonly ReportedEvidence[] {
  return [...evidence, ...children.flatMap(evidenceOf)];
}
