import { planAttachmentType } from '../../tasks/common/core/rollbackPlan/document/document';
import { reportAttachmentType } from '../../tasks/common/core/report/report';
import type { Attachment } from '../model/attachments';
import { readAttachments } from '../model/attachments';
import { readRows, readRun, type Run, type RunRecord } from '../model/run';
import { RequestFailed, type Requests } from './requests';

export type AttachmentKind = 'report' | 'plan';

/** Reads the attachments and the timeline of one run. Each call is one request. Rejects with RequestFailed. */
export interface Source {
  list(kind: AttachmentKind): Promise<Attachment[]>;
  content(kind: AttachmentKind, attachment: Attachment): Promise<string>;
  run(): Promise<Run>;
  /** The rows of a step, from the timeline of its own. */
  rows(timelineId: string): Promise<RunRecord[]>;
}

const types: Readonly<Record<AttachmentKind, string>> = { report: reportAttachmentType, plan: planAttachmentType };

const asJson = (version: string): string => `application/json;api-version=${version};excludeUrls=true;noArrayWrap=true`;

export function createSource(
  requests: Requests,
  run: { projectId: string; buildId: number },
  taskIds: ReadonlySet<string>,
): Source {
  const path = `${encodeURIComponent(run.projectId)}/_apis/build/builds/${run.buildId}`;
  return {
    list: async (kind) => {
      const text = await requests.get(`${path}/attachments/${types[kind]}`, asJson('6.0-preview.2'));
      const found = text === undefined ? [] : readAttachments(text);
      if (found === undefined) throw new RequestFailed('the server did not answer with a list');
      return found;
    },
    content: async (kind, { timelineId, recordId, name }) => {
      const file = `${path}/${timelineId}/${recordId}/attachments/${types[kind]}/${encodeURIComponent(name)}`;
      const text = await requests.get(file, 'application/octet-stream;api-version=6.0-preview.2');
      if (text === undefined) throw new RequestFailed('the server does not have it any more');
      return text;
    },
    run: async () => {
      const text = await requests.get(`${path}/timeline`, asJson('6.0'));
      const found = text === undefined ? undefined : readRun(text, taskIds);
      if (found === undefined) throw new RequestFailed('the server did not answer with a timeline');
      return found;
    },
    rows: async (timelineId) => {
      const text = await requests.get(`${path}/timeline/${timelineId}`, asJson('6.0'));
      return text === undefined ? [] : readRows(text);
    },
  };
}
