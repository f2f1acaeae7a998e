import type { Source } from './host/source';
import { RequestFailed } from './host/requests';
import type { Attachment } from './model/attachments';
import { readPlan } from './model/plan';
import { planView, type PlanView } from './model/planView';
import { readReport } from './model/report';
import { stepView, type StepView } from './model/step';

/** A report with its plan, or why it cannot be shown (a clause). */
export type Content = { view: StepView; plan: PlanView | undefined; notes: readonly string[] } | { problem: string };

export interface ReportReader {
  read(attachment: Attachment): Promise<Content>;
}

/** Never rejects: what cannot be read is said, so that the other reports are still shown. */
export function reportReader(source: Source): ReportReader {
  let plans: Promise<Attachment[]> | undefined;

  const planOf = async (recordId: string): Promise<{ plan?: PlanView; notes: string[] }> => {
    try {
      plans ??= source.list('plan');
      // A step that resumes a rollback may attach its plan twice: the last one counts.
      const attachment = (await plans).findLast((each) => each.recordId === recordId);
      if (attachment === undefined) return { notes: [] };
      const read = readPlan(await source.content('plan', attachment));
      if ('problem' in read) return { notes: [`The plan ${attachment.name} cannot be shown: ${read.problem}.`] };
      return { plan: planView(read.plan), notes: formNotes(read.newerForm, 'plan') };
    } catch (error) {
      plans = undefined;
      return { notes: [`The plan of this step cannot be read: ${messageOf(error)}.`] };
    }
  };

  return {
    read: async (attachment) => {
      try {
        const read = readReport(await source.content('report', attachment));
        if ('problem' in read) return read;
        const { report, newerForm } = read;
        const notes = formNotes(newerForm, 'report');
        const view = stepView(report);
        if (report.task !== 'ApproveAndRollback' || report.action !== 'plan') return { view, plan: undefined, notes };
        const found = await planOf(attachment.recordId);
        return { view, plan: found.plan, notes: [...notes, ...found.notes] };
      } catch (error) {
        return { problem: messageOf(error) };
      }
    },
  };
}

function formNotes(newerForm: number | undefined, what: string): string[] {
  return newerForm === undefined
    ? []
    : [`A newer task wrote this ${what} (form ${newerForm}), so that some of it may be missing here.`];
}

/** A clause. Errors of the program itself are not for readers. */
export function messageOf(error: unknown): string {
  return error instanceof RequestFailed ? error.message : 'the tab has made a mistake';
}
