import type {
  CommonServiceIds,
  IHostNavigationService,
  ILocationService,
  IProjectPageService,
} from 'azure-devops-extension-api';
import type { IBuildPageDataService } from 'azure-devops-extension-api/Build';
import * as sdk from 'azure-devops-extension-sdk';

/** What the page of the run gives to the tab. */
export interface Host {
  /** The address of the organization, with a slash at its end. */
  base: string;
  projectId: string;
  projectName: string;
  buildId: number;
  contributionId: string;
  token(): Promise<string>;
  /** The value of a parameter in the address of the run's page. */
  parameter(name: string): Promise<string | undefined>;
  setParameter(name: string, value: string): void;
  resize(): void;
}

/** The api package has these ids only as a const enum, which single files cannot import. */
const services = {
  location: 'ms.vss-features.location-service' satisfies `${CommonServiceIds.LocationService}`,
  navigation: 'ms.vss-features.host-navigation-service' satisfies `${CommonServiceIds.HostNavigationService}`,
  project: 'ms.vss-tfs-web.tfs-page-data-service' satisfies `${CommonServiceIds.ProjectPageService}`,
  build: 'ms.vss-build-web.build-page-data-service',
};

/** The area of the REST API to which builds belong. */
const buildArea = '5d6898bb-45ec-463f-95f9-54d49c71752e';

/** Throws an Error with a sentence if the page is not that of a run. */
export async function connectHost(): Promise<Host> {
  await sdk.init({ loaded: false });
  await sdk.ready();
  const [location, project, build, navigation] = await Promise.all([
    sdk.getService<ILocationService>(services.location),
    sdk.getService<IProjectPageService>(services.project),
    sdk.getService<IBuildPageDataService>(services.build),
    sdk.getService<IHostNavigationService>(services.navigation).catch(() => undefined),
  ]);
  // The call goes to another window, so its result is a promise, whatever the type says.
  const [base, info, page] = await Promise.all([
    location.getResourceAreaLocation(buildArea),
    project.getProject(),
    Promise.resolve(build.getBuildPageData()),
  ]);
  const id = page?.build?.id;
  if (info === undefined || id === undefined) throw new Error('The page does not say of which run it is.');
  return {
    base: base.endsWith('/') ? base : `${base}/`,
    projectId: info.id,
    projectName: info.name,
    buildId: id,
    contributionId: sdk.getContributionId(),
    token: () => sdk.getAccessToken(),
    parameter: async (name) => {
      const parameters = await navigation?.getQueryParams().catch(() => undefined);
      return parameters?.[name];
    },
    setParameter: (name, value) => navigation?.setQueryParams({ [name]: value }),
    resize: () => {
      sdk.resize();
    },
  };
}

export function tellLoaded(): void {
  void sdk.notifyLoadSucceeded();
}
