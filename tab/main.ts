import { showRun } from './app';
import { connectHost, tellLoaded } from './host/host';
import { createRequests } from './host/requests';
import { createSource } from './host/source';
import { themeOf } from './model/theme';
import { h } from './view/dom';
import { taskIds } from './taskIds';

/** The host gives its colours as variables. Which of our colours stand out on them is measured, not guessed. */
function followTheme(): void {
  const apply = (): void => {
    const { backgroundColor, color } = getComputedStyle(document.body);
    const { isDark, isHighContrast } = themeOf(backgroundColor, color);
    document.documentElement.dataset['theme'] = isDark ? 'dark' : 'light';
    document.documentElement.toggleAttribute('data-contrast', isHighContrast);
  };
  addEventListener('themeApplied', apply);
  apply();
}

async function main(root: HTMLElement): Promise<void> {
  followTheme();
  try {
    const host = await connectHost();
    new ResizeObserver(() => {
      host.resize();
    }).observe(document.body);
    tellLoaded();
    const requests = createRequests({ base: host.base, token: () => host.token() });
    const source = createSource(requests, host, taskIds);
    const clock = {
      now: () => Date.now(),
      sleep: (seconds: number) => new Promise<void>((resolve) => setTimeout(resolve, seconds * 1000)),
    };
    await showRun(root, { host, source, clock });
  } catch {
    tellLoaded();
    root.replaceChildren(h('h1', {}, 'Rollout'), h('p', { role: 'status' }, 'This page is not that of a run.'));
  }
}

const root = document.querySelector('main');
if (root !== null) void main(root);
