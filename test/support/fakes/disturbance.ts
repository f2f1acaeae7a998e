import { TaskError } from '../../../tasks/common/core/failure';

/** The disturbance of the `at`-th call of a port, counted from 1. */
export interface Disturbance {
  at: number;
  /**
   * `fails`: the call is not done. `answer lost`: it is done, but the answer is an error. `cancel`: the step is
   * cancelled.
   */
  how: 'fails' | 'answer lost' | 'cancel';
  /** Later calls fail as well. */
  forEver?: boolean;
  error?: () => Error;
}

export interface Disturbed {
  /** The names of all calls, oldest first. */
  readonly calls: string[];
  wrap<Port extends object>(name: string, port: Port): Port;
}

export const unreachable = (): Error => new TaskError('ClusterUnreachable', 'The server did not answer (injected).');

export function disturbedPorts(disturbance: Disturbance | undefined, cancel: () => void): Disturbed {
  const calls: string[] = [];

  const call = async (name: string, act: () => Promise<unknown>): Promise<unknown> => {
    calls.push(name);
    if (disturbance === undefined) return act();
    const { at, how, forEver = false, error = unreachable } = disturbance;
    const isHit = calls.length === at || (forEver && calls.length > at);
    if (!isHit) return act();
    if (how === 'fails') throw error();
    if (how === 'cancel') cancel();
    const answer = await act();
    if (how === 'answer lost') throw error();
    return answer;
  };

  return {
    calls,
    wrap: (name, port) =>
      new Proxy(port, {
        get(target, method) {
          const value: unknown = Reflect.get(target, method);
          if (typeof value !== 'function') return value;
          const act = value as (...given: unknown[]) => Promise<unknown>;
          return (...given: unknown[]) => call(`${name}.${String(method)}`, () => act.apply(target, given));
        },
      }),
  };
}
