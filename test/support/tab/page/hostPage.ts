// The package hides this file, which holds the protocol between a page and its frames.
import { channelManager } from '../../../../node_modules/azure-devops-extension-sdk/esm/XDM.js';
import type { HostRecord, HostSettings } from '../hostSettings';

declare global {
  interface Window {
    hostSettings: HostSettings;
    hostRecord: HostRecord;
  }
}

const settings = window.hostSettings;
const frame = document.createElement('iframe');
frame.title = 'Rollout';
frame.allow = settings.hasClipboard ? 'clipboard-write' : "clipboard-write 'none'";
document.body.append(frame);
if (frame.contentWindow === null) throw new Error('The frame has no window.');
const channel = channelManager.addChannel(frame.contentWindow, new URL(settings.tab).origin);
const registry = channel.getObjectRegistry();

window.hostRecord = {
  loaded: false,
  heights: [],
  setTheme: (theme) =>
    void channel.invokeRemoteMethod('dispatchEvent', 'DevOps.SdkClient', ['themeChanged', { detail: { data: theme } }]),
};

const pageContext = { webContext: { project: { id: settings.projectId, name: 'Fabrikam' } } };

registry.register('DevOps.HostControl', {
  initialHandshake: () => ({
    contributionId: 'helm-safe-deploy.helm-safe-deploy.rollout-tab',
    context: { extension: { id: 'helm-safe-deploy.helm-safe-deploy' }, pageContext, user: {}, host: {} },
    initialConfig: {},
    themeData: settings.theme,
  }),
  notifyLoadSucceeded: () => {
    window.hostRecord.loaded = true;
  },
  notifyLoadFailed: () => undefined,
  getAccessToken: () => ({ token: settings.token }),
  resize: (_width: number, height: number) => {
    window.hostRecord.heights.push(height);
    frame.style.height = `${height}px`;
  },
});

const services: Record<string, object> = {
  'ms.vss-features.location-service': {
    getResourceAreaLocation: () => Promise.resolve(settings.base),
    getServiceLocation: () => Promise.resolve(settings.base),
  },
  'ms.vss-tfs-web.tfs-page-data-service': {
    getProject: () => Promise.resolve({ id: settings.projectId, name: 'Fabrikam' }),
  },
  'ms.vss-build-web.build-page-data-service': {
    getBuildPageData: () => ({ build: { id: settings.buildId, buildNumber: '20260301.1' }, definition: { id: 7 } }),
  },
  'ms.vss-features.host-navigation-service': {
    getQueryParams: () => Promise.resolve(settings.parameters),
    setQueryParams: (given: Record<string, string>) => {
      Object.assign(settings.parameters, given);
    },
  },
};

registry.register('DevOps.ServiceManager', { getService: (id: string) => services[id] });
frame.src = settings.tab;
