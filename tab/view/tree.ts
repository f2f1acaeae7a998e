import type { ReportedEvidence } from '../../tasks/common/core/report/report';
import { treeWords, type Tree, type TreeNode } from '../model/tree';
import { badge, h, unfolding, type Child } from './dom';

export interface TreeOptions {
  root: string;
  /** `Kind/name` of the object that is unfolded. */
  selected: string;
  /** A button for the link to an object, if the host tells its address. */
  link(object: string): HTMLElement | undefined;
}

export function treePart(tree: Tree, options: TreeOptions): HTMLElement {
  const { workloads, others, loose } = tree;
  return h(
    'div',
    { class: 'tree' },
    h('p', { class: 'root' }, h('b', {}, options.root), ` ${treeWords(tree)}`),
    nodeList(workloads, options),
    others.length === 0
      ? undefined
      : unfolding(
          [`Objects without pods (${others.length})`],
          () => [nodeList(others, options)],
          others.some(({ tone }) => tone === 'bad') ? { open: true } : {},
        ),
    ...loose.map(evidencePart),
  );
}

function nodeList(nodes: readonly TreeNode[], options: TreeOptions): HTMLElement | undefined {
  return nodes.length === 0 ? undefined : h('ul', {}, ...nodes.map((node) => h('li', {}, nodePart(node, options))));
}

function nodePart(node: TreeNode, options: TreeOptions): HTMLElement {
  const { name, tone, word, text, children, evidence } = node;
  const head: Child[] = [badge(tone, word), h('span', { class: 'name' }, name)];
  const said = text === '' || tone === 'good' ? undefined : h('span', { class: 'text' }, text);
  if (children.length + evidence.length === 0) {
    return h('div', { class: 'leaf', 'data-object': name, tabindex: -1 }, ...head, said);
  }
  const attributes = name === options.selected ? { open: true as const } : {};
  const body = (): Child[] => [
    nodeList(children, { ...options, selected: '', link: () => undefined }),
    ...evidence.map(evidencePart),
    options.link(name),
  ];
  return unfolding([...head, said], body, { class: 'branch', 'data-object': name, ...attributes });
}

const kindWords: Readonly<Record<ReportedEvidence['kind'], string>> = {
  condition: 'condition',
  containerState: 'state',
  event: 'event',
  object: 'status',
  log: 'log',
};

function evidencePart({ object, kind, title, lines }: ReportedEvidence): HTMLElement {
  const name = `${object}, ${title}`;
  return unfolding(
    [h('span', { class: 'kind' }, kindWords[kind]), h('span', { class: 'name' }, name)],
    () => [logPart(name, lines)],
    { class: 'evidence', ...(kind === 'log' ? {} : { open: true }) },
  );
}

/** All lines are one text node, so that thousands of them cost no more than one. */
export function logPart(name: string, lines: readonly string[]): HTMLElement {
  return h('pre', { class: 'log', tabindex: 0, role: 'group', 'aria-label': name }, lines.join('\n'));
}
