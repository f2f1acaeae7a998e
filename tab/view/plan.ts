import type { PlanView, PlannedObjectView } from '../model/planView';
import { badge, h, unfolding, type Child } from './dom';

export function planPart(plan: PlanView): HTMLElement {
  const telling = plan.findings.filter(({ tone }) => tone !== 'neutral');
  const notes = plan.findings.filter(({ tone }) => tone === 'neutral');
  return h(
    'div',
    { class: 'plan' },
    h('p', { class: 'risk' }, badge(plan.tone, plan.word), ` ${plan.risk}`),
    findingList(telling),
    ...plan.groups.map(({ title, objects, fate }) =>
      unfolding([h('b', {}, `${title} (${objects.length})`)], () => objects.map(objectPart), {
        class: 'fate',
        ...(fate === 'deleted' || fate === 'takenOver' ? { open: true } : {}),
      }),
    ),
    plan.undone.length === 0 ? undefined : undonePart(plan.undone),
    plan.hooks.length === 0
      ? undefined
      : unfolding([h('b', {}, `Hooks (${plan.hooks.length})`)], () => [
          h('ul', {}, ...plan.hooks.map(({ name, event, text }) => h('li', {}, `${name} (${event}). ${text}`))),
        ]),
    notes.length === 0 ? undefined : unfolding([h('b', {}, `Notes (${notes.length})`)], () => [findingList(notes)]),
  );
}

function findingList(findings: PlanView['findings']): HTMLElement | undefined {
  if (findings.length === 0) return undefined;
  return h(
    'ul',
    { class: 'findings' },
    ...findings.map(({ tone, word, code, message }) =>
      h('li', {}, badge(tone, `${word}, ${code}`), h('span', { class: 'text' }, message)),
    ),
  );
}

function objectPart({ name, namespace, remarks, diff, diffCut }: PlannedObjectView): HTMLElement {
  const head: Child[] = [
    h('span', { class: 'name' }, name),
    h('span', { class: 'text' }, [namespace === '' ? 'in the cluster' : `in ${namespace}`, ...remarks].join('. ')),
  ];
  if (diff.length === 0) return h('div', { class: 'leaf' }, ...head);
  const lines = diff.map(({ kind, text }) => h('span', { class: kind }, text));
  const cut = diffCut === 0 ? undefined : `(and ${diffCut} more lines)`;
  const label = `What changes in ${name}`;
  return unfolding(head, () => [
    h('pre', { class: 'log diff', tabindex: 0, role: 'group', 'aria-label': label }, ...lines, cut),
  ]);
}

function undonePart(undone: PlanView['undone']): HTMLElement {
  const heads = ['Object', 'Field', 'Is now', 'Becomes'];
  return unfolding(
    [h('b', {}, `Changes by hand that are undone (${undone.length})`)],
    () => [
      h(
        'div',
        { class: 'wide', tabindex: 0, role: 'group', 'aria-label': 'Changes by hand that are undone' },
        h(
          'table',
          {},
          h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
          h(
            'tbody',
            {},
            ...undone.map(({ object, path, live, becomes }) =>
              h('tr', {}, h('th', { scope: 'row' }, object), ...[path, live, becomes].map((cell) => h('td', {}, cell))),
            ),
          ),
        ),
      ),
    ],
    { open: true },
  );
}
