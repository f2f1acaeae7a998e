import type { Job, Pipeline, Stage } from '../../test/support/pipelines/model';

const box = { width: 168, height: 64, gap: 34 };
const margin = 16;
/** The room above the boxes for arrows that pass a box, and the one below for the legend. */
const above = 44;
const below = 34;

const kinds: Readonly<Record<Job['kind'], { words: string; fill: string; stroke: string }>> = {
  agent: { words: 'job on an agent', fill: '#eef4fb', stroke: '#3b73af' },
  deployment: { words: 'deployment job', fill: '#eaf6ec', stroke: '#2e7d32' },
  server: { words: 'waits, takes no agent', fill: '#fdf3e1', stroke: '#b26a00' },
};

/** An SVG of the stages of a pipeline from left to right, with an arrow for each dependency. */
export function stagesPicture(pipeline: Pipeline, title: string): string {
  const { stages } = pipeline;
  const width = 2 * margin + stages.length * box.width + (stages.length - 1) * box.gap;
  const height = above + box.height + below;
  const position = new Map(stages.map(({ name }, index) => [name, index]));
  const arrows = stages.flatMap((stage, to) =>
    stage.dependsOn.flatMap((name) => {
      const from = position.get(name);
      return from === undefined ? [] : [arrow(from, to)];
    }),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" font-family="Segoe UI, Helvetica, Arial, sans-serif">
<title>${escaped(title)}</title>
<rect width="${width}" height="${height}" fill="#ffffff"/>
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#555555"/></marker></defs>
${[...arrows, ...stages.map(stageBox)].join('\n')}
</svg>
`;
}

function left(index: number): number {
  return margin + index * (box.width + box.gap);
}

function arrow(from: number, to: number): string {
  const style = 'fill="none" stroke="#555555" stroke-width="1.5" marker-end="url(#tip)"';
  const middle = above + box.height / 2;
  if (to === from + 1) return `<path d="M${left(from) + box.width} ${middle}H${left(to) - 1}" ${style}/>`;
  const start = left(from) + box.width / 2;
  const end = left(to) + box.width / 2 - 24;
  return `<path d="M${start} ${above}C${start} 8 ${end} 8 ${end} ${above - 1}" ${style}/>`;
}

function stageBox(stage: Stage, index: number): string {
  const [job] = stage.jobs;
  const { words, fill, stroke } = kinds[job?.kind ?? 'agent'];
  const more = stage.jobs.length > 1 ? `${stage.jobs.length} jobs` : words;
  const x = left(index);
  const centre = x + box.width / 2;
  const environment = job?.environment === undefined ? '' : `on ${job.environment}`;
  return [
    `<rect x="${x}" y="${above}" width="${box.width}" height="${box.height}" rx="8" fill="${fill}" stroke="${stroke}" stroke-width="1.5"/>`,
    `<text x="${centre}" y="${above + 27}" text-anchor="middle" font-size="15" font-weight="600" fill="#1b1b1b">${escaped(stage.name)}</text>`,
    `<text x="${centre}" y="${above + 47}" text-anchor="middle" font-size="12" fill="#333333">${escaped(more)}</text>`,
    `<text x="${centre}" y="${above + box.height + 20}" text-anchor="middle" font-size="12" fill="#333333">${escaped(environment)}</text>`,
  ].join('\n');
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
