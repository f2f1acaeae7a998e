/** The statuses of kstatus. NotFound is missing, because the judged object exists. */
export type Status = 'InProgress' | 'Failed' | 'Current' | 'Terminating' | 'Unknown';

/** `reason` is a PascalCase word for programs. `message` is a sentence for people, and may quote the cluster. */
export interface ObjectStatus {
  status: Status;
  reason: string;
  message: string;
}

export function current(reason: string, message: string): ObjectStatus {
  return { status: 'Current', reason, message };
}

export function inProgress(reason: string, message: string): ObjectStatus {
  return { status: 'InProgress', reason, message };
}

export function failed(reason: string, message: string): ObjectStatus {
  return { status: 'Failed', reason, message };
}

export function unknown(reason: string, message: string): ObjectStatus {
  return { status: 'Unknown', reason, message };
}

/**
 * The object is there, and no rule knows what it has to say when it is done. So nobody knows if it works.
 */
export function notJudged(why: string): ObjectStatus {
  return { status: 'Current', reason: 'NotJudged', message: `In place, not judged. ${why}` };
}

/** Scheduled, paused or stopped on purpose: nobody knows when it goes on, so it is not waited for. */
export function heldOnPurpose(why: string): ObjectStatus {
  return current('Suspended', `Held on purpose, so it is not waited for: ${why}`);
}

export const notWaitedFor = 'NotWaitedFor';

/** False for an object that is in place without any proof that it works, because nobody knows or nobody asked. */
export function isJudged({ reason }: { reason: string }): boolean {
  return reason !== 'NotJudged' && reason !== notWaitedFor;
}
